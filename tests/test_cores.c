/// How the ranks of a node share its cores.

#include "mpi/cores.h"
#include "tests/check.h"

#include <string.h>

/// Cores first .. end - 1.
static gri_core_mask cores(int first, int end)
{
    gri_core_mask mask;
    memset(&mask, 0, sizeof mask);
    for (int i = first; i < end; i++) {
        mask.words[i / 64] |= UINT64_C(1) << i % 64;
    }
    return mask;
}

/// Bound by the launcher: each rank has its own cores, and all of them.
static void test_masks_of_their_own(void)
{
    const gri_core_mask masks[] = {cores(0, 4), cores(4, 8), cores(8, 10), cores(126, 130)};
    GR_CHECK_INT(gri_cores_share(masks, 4, 0), 4);
    GR_CHECK_INT(gri_cores_share(masks, 4, 1), 4);
    GR_CHECK_INT(gri_cores_share(masks, 4, 2), 2);
    GR_CHECK_INT(gri_cores_share(masks, 4, 3), 4);
}

static void test_one_mask_for_all(void)
{
    const gri_core_mask masks[] = {cores(0, 8), cores(0, 8), cores(0, 8)};
    GR_CHECK_INT(gri_cores_share(masks, 1, 0), 8);
    GR_CHECK_INT(gri_cores_share(masks, 2, 1), 4);
    GR_CHECK_INT(gri_cores_share(masks, 3, 2), 2);
    const gri_core_mask three[] = {cores(5, 8), cores(5, 8), cores(5, 8)};
    GR_CHECK_INT(gri_cores_share(three, 3, 0), 1); // three thirds
    const gri_core_mask two[] = {cores(0, 2), cores(0, 2), cores(0, 2)};
    GR_CHECK_INT(gri_cores_share(two, 3, 0), 1); // never none
}

/// Bound to sockets, two ranks on each; and masks that overlap in part.
static void test_sockets(void)
{
    const gri_core_mask masks[] = {cores(0, 16), cores(16, 32), cores(0, 16), cores(16, 32)};
    for (int i = 0; i < 4; i++) {
        GR_CHECK_INT(gri_cores_share(masks, 4, i), 8);
    }
    const gri_core_mask uneven[] = {cores(0, 6), cores(4, 8)}; // 4 and 5 are both's
    GR_CHECK_INT(gri_cores_share(uneven, 2, 0), 5);
    GR_CHECK_INT(gri_cores_share(uneven, 2, 1), 3);
}

static void test_own_mask(void)
{
    gri_core_mask mine;
    GR_CHECK(gr_cpu_mask(mine.words));
    GR_CHECK_INT(gri_cores_share(&mine, 1, 0), gr_cpu_get()->cores);
}

static const gr_test tests[] = {
    {"masks of their own", test_masks_of_their_own},
    {"one mask for all", test_one_mask_for_all},
    {"sockets", test_sockets},
    {"own mask", test_own_mask},
};
GR_TEST_MAIN("cores", tests)
