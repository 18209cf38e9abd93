#include "src/base/known.h"

#include "src/base/digest.h"
#include "src/base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

gr_err gr_known_close(const char *what, double got, double want, double rtol, double atol)
{
    gr_err err = GR_OK;
    if (!(fabs(got - want) <= rtol * fabs(want) + atol)) { // NaN too
        GR_FAIL(GR_ERR_FAILED, "%s: expected %.6f, got %.9g", what, want, got);
    }
done:
    return err;
}

gr_err gr_known_close_n(const char *what, const float *got, const double *want, int64_t n,
                        double rtol, double atol)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs((double)got[i] - want[i]) <= rtol * fabs(want[i]) + atol)) {
            GR_FAIL(GR_ERR_FAILED, "%s, element %lld: expected %.6f, got %.9g", what,
                    (long long)i, want[i], (double)got[i]);
        }
    }
done:
    return err;
}

gr_err gr_known_int(const char *what, int64_t got, int64_t want)
{
    gr_err err = GR_OK;
    if (got != want) {
        GR_FAIL(GR_ERR_FAILED, "%s: expected %lld, got %lld", what, (long long)want,
                (long long)got);
    }
done:
    return err;
}

gr_err gr_known_text(const char *what, const char *got, const char *want)
{
    gr_err err = GR_OK;
    if (strcmp(got, want) != 0) {
        GR_FAIL(GR_ERR_FAILED, "%s: expected \"%s\", got \"%s\"", what, want, got);
    }
done:
    return err;
}

/// Random123 1.14, tests/kat_vectors: philox4x32 with 10 rounds.
static gr_err run_random(void)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } table[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    gr_err err = GR_OK;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint32_t out[4];
        gr_philox4x32(table[i].counter, table[i].key, out);
        for (int k = 0; k < 4; k++) {
            GR_TRY(gr_known_int("a word of Philox 4x32-10", out[k], table[i].want[k]));
        }
    }
done:
    return err;
}

/// XXH128 with seed 0, and XXH3-64 of the empty text.
static gr_err run_digest(void)
{
    static const char *const table[][2] = {{"", "99aa06d3014798d86001c324468d497f"},
                                           {"a", "a96faf705af16834e6c632b61e964e1f"},
                                           {"abc", "06b05ab6733a618578af5f94892f3950"}};
    gr_err err = GR_OK;
    char what[32], got[GR_DIGEST_TEXT];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        gr_digest_format(gr_digest_of(table[i][0], strlen(table[i][0])), got);
        snprintf(what, sizeof what, "XXH3-128 of \"%s\"", table[i][0]);
        GR_TRY(gr_known_text(what, got, table[i][1]));
    }
    GR_TRY(gr_known_int("XXH3-64 of \"\"", (int64_t)gr_rng_stream(""),
                        INT64_C(0x2d06800538d394c2)));
done:
    return err;
}

static const gr_known table[] = {{"random", run_random}, {"digest", run_digest}};

const gr_known *gr_base_known(int64_t *count)
{
    *count = sizeof table / sizeof table[0];
    return table;
}
