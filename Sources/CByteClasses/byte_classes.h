// What kinds of ASCII characters 64 bytes of text are, as bit masks: bit i speaks of byte i.
//
// In C because Swift has no way from a vector of truth values to bits, which is one instruction in 16 bytes
// (`pmovmskb`) where arithmetic on words takes a dozen. The vectors are clang's own, so the compiler lowers them for
// whatever machine it builds for; nothing here names an instruction set.
#ifndef GUARD_BYTE_CLASSES_H
#define GUARD_BYTE_CLASSES_H

#include <stdint.h>
#include <string.h>

typedef uint8_t guard_bytes64 __attribute__((ext_vector_type(64)));
typedef _Bool guard_bits64 __attribute__((ext_vector_type(64)));

#define GUARD_MASK(condition) \
    __builtin_bit_cast(uint64_t, __builtin_convertvector((condition), guard_bits64))

typedef struct {
    uint64_t high;        // not ASCII
    uint64_t letters;     // A...Z, a...z
    uint64_t upper;       // A...Z
    uint64_t digits;      // 0...9
    uint64_t spaces;      // tab ... carriage return, space: White_Space
    uint64_t newlines;    // line feed, carriage return
    uint64_t blanks;      // space
    uint64_t apostrophes; // '
    uint64_t slashes;     // /
} guard_byte_classes;

// `text` is readable for 64 bytes.
static inline __attribute__((always_inline)) guard_byte_classes guard_classify(const uint8_t *text) {
    guard_bytes64 v;
    memcpy(&v, text, sizeof v);
    guard_byte_classes classes;
    classes.high = GUARD_MASK(v > (uint8_t)0x7F);
    classes.letters = GUARD_MASK(((v | (uint8_t)0x20) - (uint8_t)'a') < (uint8_t)26);
    classes.upper = GUARD_MASK((v - (uint8_t)'A') < (uint8_t)26);
    classes.digits = GUARD_MASK((v - (uint8_t)'0') < (uint8_t)10);
    classes.blanks = GUARD_MASK(v == (uint8_t)' ');
    classes.spaces = classes.blanks | GUARD_MASK((v - (uint8_t)'\t') < (uint8_t)5);
    classes.newlines = GUARD_MASK((v == (uint8_t)'\n') | (v == (uint8_t)'\r'));
    classes.apostrophes = GUARD_MASK(v == (uint8_t)'\'');
    classes.slashes = GUARD_MASK(v == (uint8_t)'/');
    return classes;
}

// Asks for the cache line of an address that will be read soon. Any address is allowed.
static inline __attribute__((always_inline)) void guard_prefetch(const void *address) { __builtin_prefetch(address); }

#endif
