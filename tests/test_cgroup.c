#include "src/base/cgroup.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/check.h"

#include <stdio.h>
#include <string.h>

static void put(const char *path, const char *text)
{
    char full[4096], *folder = NULL;
    snprintf(full, sizeof full, "%s/%s", gr_test_dir(), path);
    GR_CHECK_OK(gr_path_dir(full, &folder));
    GR_CHECK_OK(gr_dir_make(folder));
    GR_CHECK_OK(gr_file_write(full, text, strlen(text)));
    GR_FREE(folder);
}

static gr_cgroup read_at(const char *self, const char *mount)
{
    gr_cgroup got = {0};
    char a[4096], b[4096];
    snprintf(a, sizeof a, "%s/%s", gr_test_dir(), self);
    snprintf(b, sizeof b, "%s/%s", gr_test_dir(), mount);
    GR_CHECK_OK(gr_cgroup_read(a, b, &got));
    return got;
}

static void check(gr_cgroup got, int64_t memory, double cpus)
{
    GR_CHECK_INT(got.memory, memory);
    GR_CHECK_CLOSE_F64(&got.cpus, &cpus, 1, 1e-12, 0);
}

static void test_version_2(void)
{
    put("v2.self", "0::/a.slice/job_7/step\n");
    put("v2/a.slice/job_7/step/memory.max", "max\n");
    put("v2/a.slice/job_7/memory.max", "3000000000\n");
    put("v2/a.slice/memory.max", "9000000000\n");
    put("v2/a.slice/job_7/step/cpu.max", "150000 100000\n");
    put("v2/a.slice/cpu.max", "max 100000\n");
    put("v2/other/memory.max", "5\n");
    check(read_at("v2.self", "v2"), 3000000000, 1.5);
    put("v2/a.slice/memory.max", "1000000000\n"); // the tightest counts, however far out
    check(read_at("v2.self", "v2"), 1000000000, 1.5);
    put("v2/memory.max", "700\n");
    check(read_at("v2.self", "v2"), 700, 1.5);
}

static void test_version_1(void)
{
    put("v1.self", "9:name=systemd:/x\n5:memory:/docker/ab\n3:cpu,cpuacct:/docker/ab\n");
    put("v1/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("v1/memory/docker/ab/memory.limit_in_bytes", "2147483648\n");
    put("v1/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "50000\n");
    put("v1/cpu,cpuacct/docker/ab/cpu.cfs_period_us", "100000\n");
    check(read_at("v1.self", "v1"), 2147483648, 0.5);
    put("v1/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "-1\n");
    put("v1/memory/docker/ab/memory.limit_in_bytes", "-1\n");
    check(read_at("v1.self", "v1"), INT64_C(9223372036854771712), 0);
}

static void test_no_limit(void)
{
    check(read_at("missing.self", "v2"), INT64_MAX, 0);
    put("odd.self", "\n:\n0:\n0::\nnonsense\n0::/nowhere/to/be/seen\n");
    check(read_at("odd.self", "missing"), INT64_MAX, 0);
    put("bad.self", "0::/\n");
    put("bad/memory.max", "");
    put("bad/cpu.max", "much 0\n");
    check(read_at("bad.self", "bad"), INT64_MAX, 0);
    gr_cgroup mine = {0};
    GR_CHECK_OK(gr_cgroup_read(NULL, NULL, &mine));
    GR_CHECK(mine.memory > 0 && mine.cpus >= 0);
}

static const gr_test tests[] = {
    {"version 2", test_version_2},
    {"version 1", test_version_1},
    {"no limit", test_no_limit},
};

GR_TEST_MAIN("cgroup", tests)
