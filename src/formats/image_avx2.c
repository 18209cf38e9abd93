#include "src/formats/image_taps.h"

#include "src/base/cpu.h"

#include <string.h>

/// The passes of image_taps.c in 256-bit vectors. Same bits: all of it is integer arithmetic, and the true sums fit into
/// 32 bits. A product of 8-bit pixel and 24-bit weight becomes two products of 16 bits, of which one instruction (madd)
/// does 16 and adds them in pairs: sum = 2^11 * sum(pixel * high) + sum(pixel * low).

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
enum { BLOCK = 4, LOAD = 16, GROUP_BYTES = 12, SPLIT = 8 };

bool gri_has_avx2(void)
{
    return gr_cpu_get()->avx2;
}

/// One output pixel in each of `rows` rows (a constant, so that the sums stay in registers). Each 128-bit half of a
/// vector takes two taps of a group: r0 r1 g0 g1 b0 b1 times h0 h1 h0 h1 h0 h1.
AVX2 static inline __attribute__((always_inline)) void
width_pixels(const unsigned char *p, int64_t in_row, const int16_t *split, int64_t groups,
             int rows, unsigned char *to, int64_t out_row)
{
    const __m256i pixels =
        _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1,
                         7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    const __m256i highs = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5,
                                           6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
    const __m256i lows = _mm256_add_epi8(highs, _mm256_set1_epi8(SPLIT));
    __m256i high[BLOCK], low[BLOCK];
    for (int r = 0; r < rows; r++) {
        high[r] = low[r] = _mm256_setzero_si256();
    }
    for (int64_t g = 0; g < groups; g++) {
        __m256i w = _mm256_broadcastsi128_si256(
            _mm_loadu_si128((const __m128i *)(const void *)(split + g * SPLIT)));
        __m256i wh = _mm256_shuffle_epi8(w, highs), wl = _mm256_shuffle_epi8(w, lows);
        for (int r = 0; r < rows; r++) {
            const void *at = p + r * in_row + g * GROUP_BYTES;
            __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128(at));
            v = _mm256_shuffle_epi8(v, pixels);
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(v, wh));
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(v, wl));
        }
    }
    for (int r = 0; r < rows; r++) {
        __m256i both = _mm256_add_epi32(_mm256_slli_epi32(high[r], GRI_LOW_BITS), low[r]);
        __m128i sum =
            _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
        sum = _mm_add_epi32(sum, _mm_set1_epi32(1 << (GRI_WEIGHT_BITS - 1)));
        sum = _mm_srai_epi32(sum, GRI_WEIGHT_BITS);
        sum = _mm_packs_epi32(sum, sum);
        sum = _mm_packus_epi16(sum, sum); // clamps to 0..255
        int32_t rgb = _mm_cvtsi128_si32(sum);
        memcpy(to + r * out_row, &rgb, 3);
    }
}

/// `rows` rows of the pass, at most BLOCK. Loads take 16 bytes at a time, of which the last may lie behind the taps;
/// where it would end behind `end`, the plain pass does the pixel.
AVX2 static inline __attribute__((always_inline)) void width_rows(const gri_taps *t, int rows,
                                                                  const unsigned char *in,
                                                                  const unsigned char *end,
                                                                  unsigned char *out)
{
    const int64_t in_row = t->in * 3, out_row = t->out * 3;
    for (int64_t x = 0; x < t->out; x++) {
        int64_t groups = (t->count[x] + 3) / 4;
        const unsigned char *p = in + t->first[x] * 3;
        const int16_t *split = t->split + x * t->groups * SPLIT;
        int64_t reach = (rows - 1) * in_row + (groups - 1) * GROUP_BYTES + LOAD;
        if (reach <= end - p) {
            width_pixels(p, in_row, split, groups, rows, out + 3 * x, out_row);
            continue;
        }
        int64_t only_first[1] = {0};
        const gri_taps one = {.in = t->in,
                              .out = 1,
                              .most = t->most,
                              .first = only_first,
                              .count = t->count + x,
                              .weights = t->weights + x * t->most};
        for (int r = 0; r < rows; r++) {
            gri_width_plain(&one, 1, p + r * in_row, out + r * out_row + 3 * x);
        }
    }
}

AVX2 void gri_width_avx2(const gri_taps *t, int64_t height, const unsigned char *in,
                         unsigned char *out)
{
    const unsigned char *end = in + height * t->in * 3;
    int64_t y = 0;
    for (; y + BLOCK <= height; y += BLOCK) {
        width_rows(t, BLOCK, in + y * t->in * 3, end, out + y * t->out * 3);
    }
    for (; y < height; y++) {
        width_rows(t, 1, in + y * t->in * 3, end, out + y * t->out * 3);
    }
}

/// high and low sums of 8 bytes of a pair of rows, `ab` = a0 b0 a1 b1 ... as 16-bit numbers.
AVX2 static inline void add_pair(__m256i ab, __m256i wh, __m256i wl, __m256i *high,
                                 __m256i *low)
{
    *high = _mm256_add_epi32(*high, _mm256_madd_epi16(ab, wh));
    *low = _mm256_add_epi32(*low, _mm256_madd_epi16(ab, wl));
}

AVX2 static inline __m256i finish(__m256i high, __m256i low)
{
    __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, GRI_LOW_BITS), low);
    sum = _mm256_add_epi32(sum, _mm256_set1_epi32(1 << (GRI_WEIGHT_BITS - 1)));
    return _mm256_srai_epi32(sum, GRI_WEIGHT_BITS);
}

/// 32 bytes of one output row. Taps go in pairs; the last of an odd number is paired with itself at weight 0.
AVX2 static inline void height_bytes(const unsigned char *p, int64_t row, const int32_t *w,
                                     int64_t count, unsigned char *to)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i high[4] = {zero, zero, zero, zero}, low[4] = {zero, zero, zero, zero};
    for (int64_t k = 0; k < count; k += 2) {
        bool pair = k + 1 < count;
        int32_t w0 = w[k], w1 = pair ? w[k + 1] : 0;
        const int32_t mask = (1 << GRI_LOW_BITS) - 1;
        __m256i wh = _mm256_set1_epi32((int32_t)((uint32_t)(w0 >> GRI_LOW_BITS & 0xFFFF) |
                                                 (uint32_t)(w1 >> GRI_LOW_BITS) << 16));
        __m256i wl = _mm256_set1_epi32((w0 & mask) | (w1 & mask) << 16);
        const void *at0 = p + k * row, *at1 = pair ? p + (k + 1) * row : at0;
        __m256i a = _mm256_loadu_si256(at0), b = _mm256_loadu_si256(at1);
        __m256i lower = _mm256_unpacklo_epi8(a, b), upper = _mm256_unpackhi_epi8(a, b);
        add_pair(_mm256_unpacklo_epi8(lower, zero), wh, wl, &high[0], &low[0]);
        add_pair(_mm256_unpackhi_epi8(lower, zero), wh, wl, &high[1], &low[1]);
        add_pair(_mm256_unpacklo_epi8(upper, zero), wh, wl, &high[2], &low[2]);
        add_pair(_mm256_unpackhi_epi8(upper, zero), wh, wl, &high[3], &low[3]);
    }
    // Unpacking and packing both stay inside the halves, so the order comes back.
    __m256i words0 = _mm256_packs_epi32(finish(high[0], low[0]), finish(high[1], low[1]));
    __m256i words1 = _mm256_packs_epi32(finish(high[2], low[2]), finish(high[3], low[3]));
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_packus_epi16(words0, words1));
}

AVX2 void gri_height_avx2(const gri_taps *t, int64_t row, const unsigned char *in,
                          unsigned char *out)
{
    enum { STEP = 32 };
    if (row < STEP) {
        gri_height_plain(t, row, in, out);
        return;
    }
    for (int64_t y = 0; y < t->out; y++) {
        const unsigned char *p = in + t->first[y] * row;
        const int32_t *w = t->weights + y * t->most;
        unsigned char *to = out + y * row;
        for (int64_t i = 0; i < row; i += STEP) {
            // The last step goes back a little and does some bytes twice.
            int64_t at = i + STEP <= row ? i : row - STEP;
            height_bytes(p + at, row, w, t->count[y], to + at);
        }
    }
}

#else

bool gri_has_avx2(void)
{
    return false;
}

void gri_width_avx2(const gri_taps *t, int64_t height, const unsigned char *in,
                    unsigned char *out)
{
    gri_width_plain(t, height, in, out);
}

void gri_height_avx2(const gri_taps *t, int64_t row, const unsigned char *in,
                     unsigned char *out)
{
    gri_height_plain(t, row, in, out);
}
#endif
