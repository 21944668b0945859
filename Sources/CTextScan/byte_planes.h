// Which of sixteen sets of bytes each byte of a text is of, as bit masks ("planes"): bit i of word w of a plane speaks of
// byte 64 w + i. Each function stands here twice, as in text_scan.h: plain, and for AVX2.
#ifndef GUARD_BYTE_PLANES_H
#define GUARD_BYTE_PLANES_H

#include "text_scan.h"

#define GUARD_PLANES 16

// Bits behind `count` are zero. Plane p begins at planes[p * stride]; `stride` is at least (count + 63) / 64.
//
// `sets`: of each byte below 0x80 bit p says that it is of set p. Bytes from 0x80 on are of the sets of `high`.
static inline void guard_planes(
    const uint16_t *sets, uint16_t high, const uint8_t *text, long count, uint64_t *planes, long stride) {
    for (long start = 0; start < count; start += 64) {
        const long length = count - start < 64 ? count - start : 64;
        uint64_t masks[GUARD_PLANES] = {0};
        for (long i = 0; i < length; i++) {
            const uint16_t of = text[start + i] < 0x80 ? sets[text[start + i]] : high;
            for (int p = 0; p < GUARD_PLANES; p++) masks[p] |= (uint64_t)(of >> p & 1) << i;
        }
        for (int p = 0; p < GUARD_PLANES; p++) planes[p * stride + start / 64] = masks[p];
    }
}

#if defined(__x86_64__)

// `rows`: 16 bytes for each plane: by the low half of a byte below 0x80, bit n: with the high half n it is of the set.
GUARD_AVX2 void guard_planes_avx2(
    const uint8_t *rows, uint16_t high, const uint8_t *text, long count, uint64_t *planes, long stride) {
    const __m256i bits = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m256i low_half = _mm256_set1_epi8(0x0F), zero = _mm256_setzero_si256();
    uint8_t last[64];
    for (long start = 0; start < count; start += 64) {
        const uint8_t *at = text + start;
        uint64_t kept = ~(uint64_t)0;
        if (count - start < 64) {
            memset(last, 0, sizeof last);
            memcpy(last, at, (size_t)(count - start));
            at = last;
            kept = ((uint64_t)1 << (count - start)) - 1;
        }
        const __m256i one = _mm256_loadu_si256((const __m256i *)at);
        const __m256i two = _mm256_loadu_si256((const __m256i *)(at + 32));
        // Zero for bytes from 0x80 on, and so are their rows.
        const __m256i bit_1 = _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16(one, 4), low_half));
        const __m256i bit_2 = _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16(two, 4), low_half));
        const uint64_t beyond = (uint32_t)_mm256_movemask_epi8(one) | (uint64_t)(uint32_t)_mm256_movemask_epi8(two) << 32;
        for (int p = 0; p < GUARD_PLANES; p++) {
            const __m256i row = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(rows + 16 * p)));
            const __m256i in_1 = _mm256_and_si256(_mm256_shuffle_epi8(row, one), bit_1);
            const __m256i in_2 = _mm256_and_si256(_mm256_shuffle_epi8(row, two), bit_2);
            const uint32_t out_1 = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(in_1, zero));
            const uint32_t out_2 = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(in_2, zero));
            uint64_t mask = ~(out_1 | (uint64_t)out_2 << 32);
            if (high >> p & 1) mask |= beyond;
            planes[p * stride + start / 64] = mask & kept;
        }
    }
}

#else

static inline void guard_planes_avx2(
    const uint8_t *rows, uint16_t high, const uint8_t *text, long count, uint64_t *planes, long stride) {
    uint16_t sets[128] = {0};
    for (int byte = 0; byte < 128; byte++) {
        for (int p = 0; p < GUARD_PLANES; p++) {
            sets[byte] |= (uint16_t)((rows[16 * p + (byte & 15)] >> (byte >> 4) & 1) << p);
        }
    }
    guard_planes(sets, high, text, count, planes, stride);
}

#endif
#endif
