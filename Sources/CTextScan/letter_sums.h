// Sums over the pairs of letters of a text that forget by a sixteenth with each pair.
#ifndef GUARD_LETTER_SUMS_H
#define GUARD_LETTER_SUMS_H

#include "text_scan.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// What a pair of letters adds to two sums (values of the first two places), and which bits of what they forget count:
// all where both are letters, none otherwise (places four and five, alike).
typedef struct {
    int16_t values[8];
} guard_step;

// The least that the two sums were.
typedef struct {
    int16_t first, second;
} guard_least;

// `letters`: by byte, below 32. `steps`: by the letter before * 32 + the letter; 1,024 of them. A sum stays within 16
// bits if no value is larger than 128 in size.
static inline guard_least guard_letter_sums(
    const guard_step *steps, const uint8_t *letters, const uint8_t *text, long count) {
    uint32_t last = 0;
#if defined(__SSE2__)
    __m128i sums = _mm_setzero_si128(), least = sums;
    for (long i = 0; i < count; i++) {
        const uint32_t letter = letters[text[i]];
        const __m128i step = _mm_loadu_si128((const __m128i *)(steps + (last << 5 | letter)));
        const __m128i forgotten = _mm_and_si128(_mm_srai_epi16(sums, 4), _mm_srli_si128(step, 8));
        sums = _mm_sub_epi16(_mm_add_epi16(sums, _mm_move_epi64(step)), forgotten);
        least = _mm_min_epi16(least, sums);
        last = letter;
    }
    const uint32_t both = (uint32_t)_mm_cvtsi128_si32(least);
    return (guard_least){(int16_t)(both & 0xFFFF), (int16_t)(both >> 16)};
#else
    int16_t first = 0, second = 0;
    guard_least least = {0, 0};
    for (long i = 0; i < count; i++) {
        const uint32_t letter = letters[text[i]];
        const int16_t *step = steps[last << 5 | letter].values;
        first = (int16_t)(first + step[0] - (first >> 4 & step[4]));
        second = (int16_t)(second + step[1] - (second >> 4 & step[5]));
        if (first < least.first) least.first = first;
        if (second < least.second) least.second = second;
        last = letter;
    }
    return least;
#endif
}

#endif
