#include "mpi/ranges.h"
#include "tests/check.h"

/// Ranges follow each other from 0 to n, begin at whole blocks, and no two differ by more than one block.
static void check_ranges(int64_t n, int size)
{
    int64_t end = 0, shortest = INT64_MAX, longest = 0, uneven = 0, gaps = 0;
    for (int rank = 0; rank < size; rank++) {
        gr_range range = gr_range_of_rank(n, rank, size);
        gaps += range.begin != end || range.end < range.begin;
        uneven += range.begin % GR_RANGE_BLOCK != 0 && range.begin != n;
        end = range.end;
        int64_t blocks = gr_range_blocks(gr_range_count(range));
        shortest = blocks < shortest ? blocks : shortest;
        longest = gr_range_count(range) > longest ? gr_range_count(range) : longest;
    }
    GR_CHECK_INT(gaps, 0);
    GR_CHECK_INT(uneven, 0);
    GR_CHECK_INT(end, n);
    GR_CHECK(gr_range_blocks(longest) - shortest <= 1);
    GR_CHECK_INT(gr_range_longest(n, size), longest);
}

static void test_ranges(void)
{
    static const int64_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 40961, INT64_C(1) << 31};
    for (int size = 1; size <= 17; size++) {
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            check_ranges(sizes[i], size);
        }
    }
    check_ranges(INT64_MAX, 1);
    check_ranges(INT64_MAX, 4096);
    check_ranges(INT64_MAX - 4095, 1000);
}

static void test_known(void)
{
    gr_range last = gr_range_of_rank(3 * GR_RANGE_BLOCK + 1, 1, 2);
    GR_CHECK_INT(last.begin, 2 * GR_RANGE_BLOCK);
    GR_CHECK_INT(last.end, 3 * GR_RANGE_BLOCK + 1);
    gr_range none = gr_range_of_rank(1, 0, 2);
    GR_CHECK_INT(gr_range_count(none), 0);
    GR_CHECK_INT(gr_range_count(gr_range_of_rank(1, 1, 2)), 1);
}

static void test_overlap(void)
{
    gr_range both = gr_range_overlap((gr_range){3, 9}, (gr_range){5, 20});
    GR_CHECK_INT(both.begin, 5);
    GR_CHECK_INT(both.end, 9);
    GR_CHECK_INT(gr_range_count(gr_range_overlap((gr_range){3, 9}, (gr_range){9, 20})), 0);
    GR_CHECK_INT(gr_range_count(gr_range_overlap((gr_range){30, 40}, (gr_range){5, 20})), 0);
    GR_CHECK_INT(gr_range_count(gr_range_overlap((gr_range){5, 5}, (gr_range){0, 20})), 0);
}

static const gr_test tests[] = {
    {"ranges", test_ranges},
    {"known", test_known},
    {"overlap", test_overlap},
};
GR_TEST_MAIN("ranges", tests)
