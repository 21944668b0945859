// Where in a text literals or runs of bytes may be, as bit masks: bit i of word w speaks of byte 64 w + i.
//
// In C because Swift has neither shuffles by a vector nor a way from truth values to bits. Each function stands here
// twice: plain, and for AVX2, which `guard_has_avx2` asks the machine for. Both say yes wherever there is something;
// places where there is nothing may differ.
#ifndef GUARD_TEXT_SCAN_H
#define GUARD_TEXT_SCAN_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define GUARD_AVX2 static inline __attribute__((target("avx2,bmi,bmi2")))
#endif

// Bytes that must be readable behind the text.
#define GUARD_TEXT_PADDING 80
// A text is read in parts of at most so many bytes.
#define GUARD_PART_BYTES 4096
// Bytes of a short fingerprint.
#define GUARD_SHORT_BYTES 3

// Fingerprints of literals; `FingerprintTable` fills it.
typedef struct {
    // One bit for each of the 2^long_bits hashes; null: there are none.
    const uint8_t *long_bitmap;
    uint32_t long_bits;
    // Bytes of a long fingerprint beyond four, at most four.
    uint32_t long_more;
    // The same of short ones of three bytes and of two.
    const uint8_t *three_bitmap;
    uint32_t three_bits;
    const uint8_t *two_bitmap;
    uint32_t two_bits;
    // Of short ones that are few: by byte of the fingerprint, then by the byte's low and high half, which of eight groups
    // have such a byte there. 2 * 16 * GUARD_SHORT_BYTES bytes; null: there are none.
    const uint8_t *short_nibbles;
} guard_prints;

#define GUARD_FACTOR 0x9E3779B1u
#define GUARD_FACTOR_2 0x85EBCA77u

// Of the first and the last four bytes of a fingerprint.
static inline uint32_t guard_hash(uint32_t first, uint32_t last) {
    return first * GUARD_FACTOR + last * GUARD_FACTOR_2;
}

static inline uint32_t guard_load32(const uint8_t *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    return value;
}

static inline uint64_t guard_load64(const uint8_t *bytes) {
    return guard_load32(bytes) | (uint64_t)guard_load32(bytes + 4) << 32;
}

#define GUARD_THREE 0xFFFFFFu
#define GUARD_TWO 0xFFFFu

// Which of 64 places have the bit of the hash of the bytes there, of those that `keep` keeps of four, set.
static inline uint64_t guard_hashed(const uint8_t *bitmap, uint32_t bits, uint32_t keep, const uint8_t *at) {
    uint64_t mask = 0;
    for (int i = 0; i < 64; i++) {
        uint32_t place = guard_hash(guard_load32(at + i) & keep, 0) >> (32 - bits);
        mask |= (uint64_t)(bitmap[place >> 3] >> (place & 7) & 1) << i;
    }
    return mask;
}

// Sets the bits of the places among the first `count` of `text` (at most GUARD_PART_BYTES) where a long or a short
// fingerprint may begin. Bits behind them in the last word are zero.
static inline void guard_places(
    const guard_prints *prints, const uint8_t *text, long count, uint64_t *long_masks, uint64_t *short_masks) {
    for (long start = 0; start < count; start += 64) {
        const uint8_t *at = text + start;
        uint64_t mask = 0, short_mask = 0;
        if (prints->long_bitmap) {
            for (int i = 0; i < 64; i++) {
                uint32_t place = guard_hash(guard_load32(at + i), guard_load32(at + i + prints->long_more));
                place >>= 32 - prints->long_bits;
                mask |= (uint64_t)(prints->long_bitmap[place >> 3] >> (place & 7) & 1) << i;
            }
        }
        if (prints->three_bitmap) short_mask |= guard_hashed(prints->three_bitmap, prints->three_bits, GUARD_THREE, at);
        if (prints->two_bitmap) short_mask |= guard_hashed(prints->two_bitmap, prints->two_bits, GUARD_TWO, at);
        if (prints->short_nibbles) {
            for (int i = 0; i < 64; i++) {
                uint8_t groups = 0xFF;
                for (int j = 0; j < GUARD_SHORT_BYTES; j++) {
                    const uint8_t *tables = prints->short_nibbles + 32 * j;
                    groups &= tables[at[i + j] & 15] & tables[16 + (at[i + j] >> 4)];
                }
                short_mask |= (uint64_t)(groups != 0) << i;
            }
        }
        const uint64_t wanted = count - start < 64 ? ((uint64_t)1 << (count - start)) - 1 : ~(uint64_t)0;
        long_masks[start / 64] = mask & wanted;
        short_masks[start / 64] = short_mask & wanted;
    }
}

// Sets the bits of the bytes that are of the set `is_member` (256 truth values, 0 or 1).
static inline void guard_members(const uint8_t *is_member, const uint8_t *text, long count, uint64_t *masks) {
    for (long start = 0; start < count; start += 64) {
        long length = count - start < 64 ? count - start : 64;
        uint64_t mask = 0;
        for (long i = 0; i < length; i++) mask |= (uint64_t)is_member[text[start + i]] << i;
        masks[start / 64] = mask;
    }
}

#if defined(__x86_64__)

static inline int guard_has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"); }

#define GUARD_BLOCK 256

// Of `length` places, a multiple of 32 and at most GUARD_BLOCK: not zero where the bit of the hash of the bytes there is
// set, of those that `keep` keeps of the first four and, if `more` is not 0, of the four that begin so many bytes later.
// The hashes are made by vectors, eight at a time; the bytes of the bitmap are fetched one by one (a gather is no
// faster), and the bits in them are tested by vectors again.
GUARD_AVX2 void guard_hashed_avx2(
    const uint8_t *bitmap, uint32_t bitmap_bits, long more, uint32_t keep, const uint8_t *at, long length,
    uint8_t *found) {
    uint32_t places[GUARD_BLOCK];
    uint8_t wanted[GUARD_BLOCK];
    const __m256i fours = _mm256_setr_epi8(
        0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, 4, 5, 6, 7, 5, 6, 7, 8, 6, 7, 8, 9, 7, 8, 9, 10);
    // The first and the last four bytes are the same where there are no more.
    const int is_whole = keep == ~(uint32_t)0;
    const __m256i factor = _mm256_set1_epi32((int)(more || !is_whole ? GUARD_FACTOR : GUARD_FACTOR + GUARD_FACTOR_2));
    const __m256i factor_2 = _mm256_set1_epi32((int)GUARD_FACTOR_2), kept = _mm256_set1_epi32((int)keep);
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7), seven = _mm256_set1_epi32(7);
    const __m256i bits = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m128i shift = _mm_cvtsi32_si128((int)(32 - bitmap_bits));
    for (long i = 0; i < length; i += 32) {
        __m256i bit[4];
        for (int j = 0; j < 4; j++) {
            const uint8_t *eight = at + i + 8 * j;
            __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)eight));
            __m256i hash = _mm256_mullo_epi32(_mm256_and_si256(_mm256_shuffle_epi8(bytes, fours), kept), factor);
            if (more) {
                bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(eight + more)));
                bytes = _mm256_mullo_epi32(_mm256_shuffle_epi8(bytes, fours), factor_2);
                hash = _mm256_add_epi32(hash, bytes);
            }
            __m256i place = _mm256_srl_epi32(hash, shift);
            _mm256_storeu_si256((__m256i *)(places + i + 8 * j), _mm256_srli_epi32(place, 3));
            bit[j] = _mm256_and_si256(place, seven);
        }
        __m256i packed = _mm256_packus_epi16(
            _mm256_packs_epi32(bit[0], bit[1]), _mm256_packs_epi32(bit[2], bit[3]));
        packed = _mm256_permutevar8x32_epi32(packed, in_order);
        _mm256_storeu_si256((__m256i *)(wanted + i), _mm256_shuffle_epi8(bits, packed));
    }
    for (long i = 0; i < length; i += 8) {
        for (int j = 0; j < 8; j++) found[i + j] = bitmap[places[i + j]];
    }
    for (long i = 0; i < length; i += 32) {
        __m256i both = _mm256_and_si256(
            _mm256_loadu_si256((const __m256i *)(found + i)), _mm256_loadu_si256((const __m256i *)(wanted + i)));
        _mm256_storeu_si256((__m256i *)(found + i), both);
    }
}

// Bit i: byte i is not zero.
GUARD_AVX2 uint32_t guard_nonzero_avx2(__m256i v) {
    return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_setzero_si256()));
}

// As `guard_places`.
GUARD_AVX2 void guard_places_avx2(
    const guard_prints *prints, const uint8_t *text, long count, uint64_t *long_masks, uint64_t *short_masks) {
    uint8_t long_found[GUARD_BLOCK], three_found[GUARD_BLOCK], two_found[GUARD_BLOCK];
    const __m256i low_half = _mm256_set1_epi8(0x0F);
    __m256i tables[2 * GUARD_SHORT_BYTES];
    if (prints->short_nibbles) {
        for (int i = 0; i < 2 * GUARD_SHORT_BYTES; i++) {
            tables[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(prints->short_nibbles + 16 * i)));
        }
    }
    for (long start = 0; start < count; start += GUARD_BLOCK) {
        const uint8_t *at = text + start;
        const long length = count - start < GUARD_BLOCK ? (count - start + 31) / 32 * 32 : GUARD_BLOCK;
        if (prints->long_bitmap) {
            guard_hashed_avx2(
                prints->long_bitmap, prints->long_bits, prints->long_more, ~(uint32_t)0, at, length, long_found);
        }
        if (prints->three_bitmap) {
            guard_hashed_avx2(prints->three_bitmap, prints->three_bits, 0, GUARD_THREE, at, length, three_found);
        }
        if (prints->two_bitmap) {
            guard_hashed_avx2(prints->two_bitmap, prints->two_bits, 0, GUARD_TWO, at, length, two_found);
        }
        for (long i = 0; i < length; i += 32) {
            uint32_t mask = 0, short_mask = 0;
            if (prints->long_bitmap) mask = guard_nonzero_avx2(_mm256_loadu_si256((const __m256i *)(long_found + i)));
            if (prints->three_bitmap) {
                short_mask = guard_nonzero_avx2(_mm256_loadu_si256((const __m256i *)(three_found + i)));
            }
            if (prints->two_bitmap) {
                short_mask |= guard_nonzero_avx2(_mm256_loadu_si256((const __m256i *)(two_found + i)));
            }
            if (prints->short_nibbles) {
                __m256i groups = _mm256_set1_epi8(-1);
                for (int j = 0; j < GUARD_SHORT_BYTES; j++) {
                    __m256i v = _mm256_loadu_si256((const __m256i *)(at + i + j));
                    __m256i low = _mm256_and_si256(v, low_half);
                    __m256i high = _mm256_and_si256(_mm256_srli_epi16(v, 4), low_half);
                    groups = _mm256_and_si256(groups, _mm256_shuffle_epi8(tables[2 * j], low));
                    groups = _mm256_and_si256(groups, _mm256_shuffle_epi8(tables[2 * j + 1], high));
                }
                short_mask |= guard_nonzero_avx2(groups);
            }
            const uint32_t wanted = count - start - i < 32 ? ((uint32_t)1 << (count - start - i)) - 1 : ~(uint32_t)0;
            // The halves of a word, in order: the first one also clears the second.
            const long word = (start + i) / 64;
            const int is_first = (start + i) % 64 == 0;
            long_masks[word] = is_first ? mask & wanted : long_masks[word] | (uint64_t)(mask & wanted) << 32;
            short_masks[word] =
                is_first ? short_mask & wanted : short_masks[word] | (uint64_t)(short_mask & wanted) << 32;
        }
    }
}

// As `guard_members`; `rows`: by the low half of a byte, bit n: with the high half n it is a member; 16 bytes for
// n < 8, then 16 for n - 8.
GUARD_AVX2 void guard_members_avx2(const uint8_t *rows, const uint8_t *text, long count, uint64_t *masks) {
    const __m256i first = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)rows));
    const __m256i second = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(rows + 16)));
    const __m256i bits = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128));
    const __m256i low_half = _mm256_set1_epi8(0x0F), top = _mm256_set1_epi8(-128), zero = _mm256_setzero_si256();
    for (long start = 0; start < count; start += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(text + start));
        // A shuffle by a byte with its top bit set yields zero.
        __m256i row = _mm256_or_si256(
            _mm256_shuffle_epi8(first, v), _mm256_shuffle_epi8(second, _mm256_xor_si256(v, top)));
        __m256i bit = _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16(v, 4), low_half));
        uint32_t mask = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_and_si256(row, bit), zero));
        if (count - start < 32) mask &= ((uint32_t)1 << (count - start)) - 1;
        uint64_t *word = masks + start / 64;
        *word = start % 64 == 0 ? mask : *word | (uint64_t)mask << 32;
    }
}

#else

static inline int guard_has_avx2(void) { return 0; }
static inline void guard_places_avx2(
    const guard_prints *prints, const uint8_t *text, long count, uint64_t *long_masks, uint64_t *short_masks) {
    guard_places(prints, text, count, long_masks, short_masks);
}
static inline void guard_members_avx2(const uint8_t *rows, const uint8_t *text, long count, uint64_t *masks) {
    uint8_t is_member[256];
    for (int byte = 0; byte < 256; byte++) is_member[byte] = rows[(byte >> 7) * 16 + (byte & 15)] >> (byte >> 4 & 7) & 1;
    guard_members(is_member, text, count, masks);
}

#endif
#endif
