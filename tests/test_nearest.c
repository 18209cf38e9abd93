#include "src/base/nearest.h"
#include "tests/check.h"

#include <string.h>

static const char *const names[] = {"seed", "out", "tokenizer", "config", "shard-bytes"};
enum { NAMES = sizeof names / sizeof *names };

static void test_finds_the_typo(void)
{
    GR_CHECK_STR(gr_nearest("sede", names, NAMES), "seed");
    GR_CHECK_STR(gr_nearest("tokeniser", names, NAMES), "tokenizer");
    GR_CHECK_STR(gr_nearest("shard_bytes", names, NAMES), "shard-bytes");
    GR_CHECK_STR(gr_nearest("out", names, NAMES), "out");
    GR_CHECK_STR(gr_nearest("confi", names, NAMES), "config");
}

static void test_far_is_none(void)
{
    char text[300];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    GR_CHECK(!gr_nearest("wobble", names, NAMES));
    GR_CHECK(!gr_nearest("", names, NAMES));
    GR_CHECK(!gr_nearest(text, names, NAMES));
    GR_CHECK(!gr_nearest("seed", names, 0));
}

// Swapped neighbours are one edit; the first of equals wins.
static void test_order(void)
{
    const char *const near[] = {"abce", "abdc", "abcf"};
    GR_CHECK_STR(gr_nearest("abcd", near, 3), "abce");
    const char *const swap[] = {"abxyef", "abdcef"};
    GR_CHECK_STR(gr_nearest("abcdef", swap, 2), "abdcef");
}

static const gr_test tests[] = {
    {"finds_the_typo", test_finds_the_typo},
    {"far_is_none", test_far_is_none},
    {"order", test_order},
};
GR_TEST_MAIN("nearest", tests)
