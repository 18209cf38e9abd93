#include "src/base/mem.h"
#include "src/base/str.h"
#include "tests/mpi/mpi_check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static gr_err fail_with(gr_err code, const char *text)
{
    gr_err err = GR_OK;
    GR_FAIL(code, "%s", text);
done:
    return err;
}

static void test_ranks(void)
{
    GR_CHECK(gr_test_world->rank >= 0 && gr_test_world->rank < gr_test_world->size);
    GR_CHECK_INT(gr_test_world->local_size, gr_test_world->size); // ctest stays on one machine
    GR_CHECK_OK(gr_world_barrier(gr_test_world));
}

static void test_agree_on_success(void)
{
    gr_err_clear();
    GR_CHECK_OK(gr_world_agree(gr_test_world, GR_OK));
    GR_CHECK_STR(gr_err_message(), "");
}

/// Each rank in turn is the only one to fail.
static void test_agree_on_one_failing_rank(void)
{
    for (int failing = 0; failing < gr_test_world->size; failing++) {
        char host[256] = "", want[600];
        (void)gethostname(host, sizeof host - 1);
        snprintf(want, sizeof want, "%s%s%s",
                 gr_test_world->size > 1 ? "rank X on " : "shard 7",
                 gr_test_world->size > 1 ? host : "",
                 gr_test_world->size > 1 ? ": shard 7 is torn" : " is torn");
        if (gr_test_world->size > 1) {
            want[5] = (char)('0' + failing);
        }
        gr_err mine = GR_OK;
        gr_err_clear();
        if (gr_test_world->rank == failing) {
            mine = fail_with(GR_ERR_DATA, "shard 7 is torn");
        }
        GR_CHECK_ERR(gr_world_agree(gr_test_world, mine), GR_ERR_DATA, want);
        bool own_trail = strstr(gr_err_trail(), "fail_with") != NULL;
        GR_CHECK_INT(own_trail, gr_test_world->rank == failing);
    }
}

static void test_agree_takes_the_lowest(void)
{
    gr_err mine = gr_test_world->rank == 0 && gr_test_world->size > 2
                      ? GR_OK
                      : fail_with(gr_test_world->rank % 2 ? GR_ERR_IO : GR_ERR_RECIPE, "mine");
    int lowest = gr_test_world->size > 2 ? 1 : 0;
    gr_err want = lowest == 1 ? GR_ERR_IO : GR_ERR_RECIPE;
    GR_CHECK_ERR(gr_world_agree(gr_test_world, mine), want, "mine");
}

static void test_agree_on_a_long_message(void)
{
    char text[6000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    bool last = gr_test_world->rank == gr_test_world->size - 1;
    gr_err mine = last ? fail_with(GR_ERR_DATA, text) : GR_OK;
    GR_CHECK_ERR(gr_world_agree(gr_test_world, mine), GR_ERR_DATA, "xxxxxxxxxx");
}

static void test_broadcast(void)
{
    for (int root = 0; root < gr_test_world->size; root++) {
        int64_t data[3] = {0, 0, 0};
        if (gr_test_world->rank == root) {
            data[0] = 10 + root;
            data[2] = INT64_MIN;
        }
        GR_CHECK_OK(gr_world_broadcast(gr_test_world, data, sizeof data, root));
        GR_CHECK_INT(data[0], 10 + root);
        GR_CHECK_INT(data[1], 0);
        GR_CHECK(data[2] == INT64_MIN);
    }
    GR_CHECK_OK(gr_world_broadcast(gr_test_world, NULL, 0, 0));
}

static void test_broadcast_text(void)
{
    for (int root = 0; root < gr_test_world->size; root++) {
        bool mine = gr_test_world->rank == root;
        char *text = mine ? gr_str_format("from %d", root) : NULL, *none = NULL;
        char *empty = mine ? gr_str_format("%s", "") : NULL;
        char want[16];
        snprintf(want, sizeof want, "from %d", root);
        GR_CHECK_OK(gr_world_broadcast_text(gr_test_world, &text, root));
        GR_CHECK_OK(gr_world_broadcast_text(gr_test_world, &empty, root));
        GR_CHECK_OK(gr_world_broadcast_text(gr_test_world, &none, root));
        GR_CHECK_STR(text, want);
        GR_CHECK_STR(empty, "");
        GR_CHECK(none == NULL);
        GR_FREE(text);
        GR_FREE(empty);
    }
}

static void test_broadcast_from_nowhere(void)
{
    int data = 0;
    GR_CHECK_ERR(gr_world_broadcast(gr_test_world, &data, sizeof data, gr_test_world->size),
                 GR_ERR_UNAVAILABLE, "MPI_Bcast failed: MPI_ERR_ROOT");
}

static void test_gather(void)
{
    enum { EACH = 5, RANKS = 64 };
    unsigned char mine[EACH], all[EACH * RANKS];
    GR_ASSERT(gr_test_world->size <= RANKS);
    memset(mine, gr_test_world->rank + 1, sizeof mine);
    memset(all, 0, sizeof all);
    GR_CHECK_OK(gr_world_gather(gr_test_world, mine, sizeof mine, all));
    for (int i = 0; i < EACH * gr_test_world->size; i++) {
        GR_CHECK_INT(all[i], i / EACH + 1);
    }
    GR_CHECK_OK(gr_world_gather(gr_test_world, mine, 0, all));
}

static void test_max(void)
{
    int64_t most = 0;
    GR_CHECK_OK(gr_world_max(gr_test_world, -5 - gr_test_world->rank, &most));
    GR_CHECK_INT(most, -5);
    GR_CHECK_OK(gr_world_max(gr_test_world, (INT64_C(1) << 40) + gr_test_world->rank, &most));
    GR_CHECK_INT(most, (INT64_C(1) << 40) + gr_test_world->size - 1);
}

static const gr_test tests[] = {
    {"ranks", test_ranks},
    {"agree_on_success", test_agree_on_success},
    {"agree_on_one_failing_rank", test_agree_on_one_failing_rank},
    {"agree_takes_the_lowest", test_agree_takes_the_lowest},
    {"agree_on_a_long_message", test_agree_on_a_long_message},
    {"broadcast", test_broadcast},
    {"broadcast a text", test_broadcast_text},
    {"broadcast_from_nowhere", test_broadcast_from_nowhere},
    {"gather", test_gather},
    {"max", test_max},
};
GR_MPI_TEST_MAIN("world", tests)
