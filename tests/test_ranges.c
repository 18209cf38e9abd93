#include "mpi/ranges.h"
#include "tests/check.h"

/// Runs follow each other from 0 to n, rank by rank and stripe by stripe, begin at whole blocks, and no two of a stripe differ
/// by more than one block.
static void check_runs(int64_t n, int size)
{
    int64_t end = 0, uneven = 0, gaps = 0, far = 0;
    gr_owned any = gr_owned_of(n, 0, size);
    for (int64_t s = 0; s < gr_owned_stripes(&any); s++) {
        int64_t shortest = INT64_MAX, most = 0;
        for (int rank = 0; rank < size; rank++) {
            gr_owned owned = gr_owned_by(&any, rank);
            gr_range run = gr_owned_run(&owned, s);
            int64_t blocks = gr_range_blocks(gr_range_count(run));
            gaps += run.begin != end || run.end < run.begin;
            uneven += run.begin % GR_RANGE_BLOCK != 0 && run.begin != n;
            end = run.end;
            shortest = blocks < shortest ? blocks : shortest;
            most = blocks > most ? blocks : most;
        }
        gaps += gr_owned_stripe(&any, s).end != end;
        far += most - shortest > 1;
    }
    GR_CHECK_INT(gaps, 0);
    GR_CHECK_INT(uneven, 0);
    GR_CHECK_INT(far, 0);
    GR_CHECK_INT(end, n);
}

/// Places count the owned elements; pieces inside `in` are those elements, each once and in order.
static void check_places(int64_t n, int size, gr_range in)
{
    int64_t wrong = 0, all = 0, most = 0, inside = 0;
    for (int rank = 0; rank < size; rank++) {
        gr_owned owned = gr_owned_of(n, rank, size);
        gr_range run = {0};
        int64_t before = 0;
        for (int64_t at = 0; at < n; at += 1000) {
            wrong += gr_owned_owner(&owned, at, &run) == rank &&
                     gr_owned_place(&owned, at) - gr_owned_place(&owned, run.begin) !=
                         at - run.begin;
            wrong += at < run.begin || at >= run.end;
        }
        for (gr_range piece = {0}; gr_owned_next(&owned, (gr_range){0, n}, &piece);) {
            wrong += gr_owned_place(&owned, piece.begin) != before;
            before += gr_range_count(piece);
            wrong += gr_owned_owner(&owned, piece.begin, &run) != rank || run.end != piece.end;
        }
        wrong += gr_owned_count(&owned) != before;
        all += before;
        most = before > most ? before : most;
        int64_t end = in.begin;
        for (gr_range piece = {in.begin, in.begin}; gr_owned_next(&owned, in, &piece);) {
            wrong += piece.begin < end || piece.end > in.end || piece.begin >= piece.end;
            end = piece.end;
            inside += gr_range_count(piece);
        }
    }
    GR_CHECK_INT(wrong, 0);
    GR_CHECK_INT(all, n);
    GR_CHECK_INT(inside, gr_range_count(in));
    GR_CHECK_INT(gr_owned_most(n, size), most);
}

static void test_runs(void)
{
    static const int64_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 40961, 1000003};
    for (int64_t blocks = 1; blocks <= 64; blocks += 21) {
        gr_owned_set_blocks(blocks);
        for (int size = 1; size <= 17; size++) {
            for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                int64_t n = sizes[i];
                check_runs(n, size);
                check_places(n, size, (gr_range){n / 3, n - n / 5});
                check_places(n, size, (gr_range){n / 2, n / 2});
            }
        }
    }
    gr_owned_set_blocks(GR_OWNED_BLOCKS);
    check_runs(INT64_C(1) << 31, 3);
}

/// No number overflows with the largest spaces.
static void test_large(void)
{
    gr_owned last = gr_owned_of(INT64_MAX / 2, 4095, 4096);
    gr_owned alone = gr_owned_of(INT64_MAX / 2, 0, 1);
    gr_range run = gr_owned_run(&last, gr_owned_stripes(&last) - 1);
    GR_CHECK_INT(run.end, INT64_MAX / 2);
    GR_CHECK_INT(gr_owned_count(&alone), INT64_MAX / 2);
}

static void test_known(void)
{
    gr_owned second = gr_owned_of(3 * GR_RANGE_BLOCK + 1, 1, 2);
    GR_CHECK_INT(gr_owned_run(&second, 0).begin, 2 * GR_RANGE_BLOCK);
    GR_CHECK_INT(gr_owned_run(&second, 0).end, 3 * GR_RANGE_BLOCK + 1);
    gr_owned none = gr_owned_of(1, 0, 2);
    GR_CHECK_INT(gr_owned_count(&none), 0);
    gr_owned_set_blocks(1);
    gr_owned striped = gr_owned_of(5 * GR_RANGE_BLOCK, 1, 2);
    GR_CHECK_INT(gr_owned_run(&striped, 1).begin, 3 * GR_RANGE_BLOCK);
    GR_CHECK_INT(gr_owned_place(&striped, 4 * GR_RANGE_BLOCK), 2 * GR_RANGE_BLOCK);
    gr_owned_set_blocks(GR_OWNED_BLOCKS);
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
    {"runs", test_runs},
    {"large", test_large},
    {"known", test_known},
    {"overlap", test_overlap},
};
GR_TEST_MAIN("ranges", tests)
