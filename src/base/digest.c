#include "src/base/digest.h"

#include "src/base/cpu.h"
#include "src/base/digest_wide.h"
#include "src/base/file_private.h"
#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY // for the size of the state, so that it comes from our memory
#include <xxhash.h>

enum { PIECE = 1 << 17, WIDE = 1024 };

struct gr_digest_stream {
    XXH3_state_t state;
};

static gr_digest from_xxh(XXH128_hash_t hash)
{
    return (gr_digest){.high = hash.high64, .low = hash.low64};
}

/// The library, for what is small and for processors that have no wider vectors.
static gr_digest digest_plain(const void *data, size_t size)
{
    return from_xxh(XXH3_128bits(data, size));
}

static gr_digest (*digest_wide)(const void *, size_t) = digest_plain;
static pthread_once_t chosen = PTHREAD_ONCE_INIT;

/// An unusable GRADUS_VECTORS is refused where kernels are chosen; here it means plain.
static void choose_width(void)
{
    gr_vectors vectors = GR_VECTORS_PLAIN;
    if (gr_cpu_vectors(&vectors) != GR_OK) {
        gr_err_clear();
    }
    digest_wide = vectors == GR_VECTORS_AVX512 ? gri_digest_avx512
                  : vectors == GR_VECTORS_AVX2 ? gri_digest_avx2
                                               : digest_plain;
}

gr_digest gr_digest_of(const void *data, size_t size)
{
    if (size < WIDE) {
        return digest_plain(data, size);
    }
    pthread_once(&chosen, choose_width);
    return digest_wide(data, size);
}

bool gr_digest_equal(gr_digest a, gr_digest b)
{
    return a.high == b.high && a.low == b.low;
}

void gr_digest_format(gr_digest d, char text[GR_DIGEST_TEXT])
{
    snprintf(text, GR_DIGEST_TEXT, "%016" PRIx64 "%016" PRIx64, d.high, d.low);
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

gr_err gr_digest_parse(const char *text, gr_digest *out)
{
    gr_err err = GR_OK;
    uint64_t halves[2] = {0};
    bool ok = strlen(text) == GR_DIGEST_TEXT - 1;
    for (int i = 0; ok && i < GR_DIGEST_TEXT - 1; i++) {
        int value = hex_value(text[i]);
        ok = value >= 0;
        halves[i / 16] = halves[i / 16] << 4 | (uint64_t)(value & 15);
    }
    if (!ok) {
        GR_FAIL(GR_ERR_DATA,
                "\"%.40s\" is no digest: expected 32 lower-case hexadecimal digits", text);
    }
    *out = (gr_digest){.high = halves[0], .low = halves[1]};
done:
    return err;
}

gr_err gr_digest_stream_create(gr_digest_stream **out)
{
    gr_err err = GR_OK;
    gr_digest_stream *s = NULL;
    GR_ALLOC(s, 1);
    XXH3_128bits_reset(&s->state);
    *out = s;
done:
    return err;
}

void gr_digest_stream_add(gr_digest_stream *s, const void *data, size_t size)
{
    XXH3_128bits_update(&s->state, data, size);
}

gr_digest gr_digest_stream_result(const gr_digest_stream *s)
{
    return from_xxh(XXH3_128bits_digest(&s->state));
}

void gr_digest_stream_destroy(gr_digest_stream **s)
{
    GR_FREE(*s);
}

gr_err gr_digest_of_file(const char *path, gr_digest *out)
{
    gr_err err = GR_OK;
    gr_digest_stream *s = NULL;
    char *piece = NULL;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        GR_TRY(gri_system_error(GRI_FIND, "open", path));
    }
    GR_ALLOC(piece, PIECE);
    GR_TRY(gr_digest_stream_create(&s));
    while ((n = read(fd, piece, PIECE)) != 0) {
        if (n > 0) {
            gr_digest_stream_add(s, piece, (size_t)n);
        } else if (errno != EINTR) {
            GR_TRY(gri_system_error(GRI_FIND, "read", path));
        }
    }
    *out = gr_digest_stream_result(s);
done:
    gr_digest_stream_destroy(&s);
    GR_FREE(piece);
    if (fd >= 0) {
        close(fd);
    }
    return err;
}
