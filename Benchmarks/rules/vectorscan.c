// Vectorscan on the texts and patterns that rules-benchmark wrote: compiles what it can into one database, scans every
// text, writes which pattern matched which text and where matches end, and prints the sum of each text's
// least nanoseconds.
//
// cc -O2 vectorscan.c -lhs; ./a.out PATTERNS TEXTS MATCHES PASSES
#include <hs/hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) { perror(path); exit(2); }
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(*size + 1);
    if (fread(data, 1, *size, file) != *size) { perror(path); exit(2); }
    data[*size] = 0;
    fclose(file);
    return data;
}

static FILE *out;
static unsigned current;
static unsigned long long count;

static int note(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context) {
    (void)from; (void)flags; (void)context;
    count++;
    if (out) fprintf(out, "%u %u %llu\n", current, id, to);
    return 0;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    size_t size;
    // One pattern: number, flags ('i' caseless, 'v' the engine validates what it finds, '-' none), the expression; each
    // ended by a zero byte. What Vectorscan cannot compile as it is enters as its own approximation (HS_FLAG_PREFILTER),
    // which finds more; such patterns, and validated ones, count for the speed but not for the comparison.
    char *patterns = read_file(argv[1], &size), *end = patterns + size;
    const char *expressions[65536];
    unsigned flags[65536], ids[65536], used = 0, refused = 0, approximate = 0;
    for (char *at = patterns; at < end;) {
        unsigned id = (unsigned)atoi(at);
        at += strlen(at) + 1;
        unsigned flag = HS_FLAG_UTF8 | (strchr(at, 'i') ? HS_FLAG_CASELESS : 0);
        int exact = strchr(at, 'v') == NULL;
        at += strlen(at) + 1;
        hs_compile_error_t *error = NULL;
        hs_database_t *one = NULL;
        int compiled = hs_compile(at, flag, HS_MODE_BLOCK, NULL, &one, &error) == HS_SUCCESS;
        if (!compiled) {
            exact = 0;
            hs_free_compile_error(error);
            flag |= HS_FLAG_PREFILTER;
            compiled = hs_compile(at, flag, HS_MODE_BLOCK, NULL, &one, &error) == HS_SUCCESS;
        }
        if (!exact) {
            fprintf(stderr, "approximate %u\n", id);
            approximate++;
        }
        if (compiled) {
            hs_free_database(one);
            expressions[used] = at;
            flags[used] = flag;
            ids[used++] = id;
        } else {
            hs_free_compile_error(error);
            refused++;
        }
        at += strlen(at) + 1;
    }
    hs_database_t *database = NULL;
    hs_compile_error_t *error = NULL;
    if (hs_compile_multi(expressions, flags, ids, used, HS_MODE_BLOCK, NULL, &database, &error) != HS_SUCCESS) {
        fprintf(stderr, "%s\n", error->message);
        return 2;
    }
    hs_scratch_t *scratch = NULL;
    if (hs_alloc_scratch(database, &scratch) != HS_SUCCESS) return 2;

    // One text: its length in four bytes, little-endian, and its bytes.
    char *texts = read_file(argv[2], &size);
    end = texts + size;
    out = fopen(argv[3], "w");
    static double least[65536];
    double best = 0;
    for (int pass = 0; pass < atoi(argv[4]); pass++) {
        current = 0;
        for (char *at = texts; at + 4 <= end; current++) {
            unsigned length;
            memcpy(&length, at, 4);
            double begin = now();
            if (hs_scan(database, at + 4, length, 0, scratch, note, NULL) != HS_SUCCESS || current > 65535) return 2;
            double took = now() - begin;
            if (pass < 2 || took < least[current]) least[current] = took;
            at += 4 + length;
        }
        // The first pass writes matches.
        if (out) { fclose(out); out = NULL; }
    }
    for (unsigned text = 0; text < current; text++) best += least[text];
    printf("{\"compiled\": %u, \"approximate\": %u, \"refused\": %u, \"nanoseconds\": %.0f}\n", used, approximate, refused,
           best);
    return 0;
}
