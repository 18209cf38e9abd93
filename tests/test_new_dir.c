/// A new folder is complete or absent. tests/cli/test_interrupted.sh kills the commands that make one.

#include "src/base/mem.h"
#include "src/base/new_dir.h"
#include "tests/dir_support.h"

#include <limits.h>
#include <unistd.h>

static const char *out(void)
{
    static char path[1000];
    snprintf(path, sizeof path, "%s/out", gr_test_dir());
    return path;
}

static const char *unfinished(void)
{
    static char path[1000];
    snprintf(path, sizeof path, "%s.gradus-unfinished", out());
    return path;
}

/// One file in a new folder, which ends as `how` says.
static gr_err make(const char *path, gr_err how)
{
    gr_err err = GR_OK;
    gr_new_dir d = {0};
    GR_TRY(gr_new_dir_begin(path, &d));
    GR_TRY(gr_file_write(in_dir(d.work, "file"), "1", 1));
    if (how != GR_OK) {
        GR_FAIL(how, "as it should");
    }
done:
    return gr_new_dir_end(&d, err);
}

static void clean(void)
{
    GR_CHECK_OK(gr_dir_remove(out()));
    GR_CHECK_OK(gr_dir_remove(unfinished()));
}

static void test_made(void)
{
    GR_CHECK_OK(make(out(), GR_OK));
    GR_CHECK(gr_file_exists(in_dir(out(), "file")));
    GR_CHECK(!gr_dir_exists(unfinished()));
    GR_CHECK_ERR(make(out(), GR_OK), GR_ERR_USAGE, "out is not empty (it holds \"file\")");
    clean();
}

static void test_failed(void)
{
    GR_CHECK_ERR(make(out(), GR_ERR_DATA), GR_ERR_DATA, "as it should");
    GR_CHECK(!gr_dir_exists(out()) && !gr_dir_exists(unfinished()));
    GR_CHECK_OK(gr_dir_make(out()));
    GR_CHECK_ERR(make(out(), GR_ERR_DATA), GR_ERR_DATA, "as it should");
    GR_CHECK_OK(gr_dir_check_empty(out()));
    GR_CHECK(!gr_dir_exists(unfinished()));
    clean();
}

static void test_leftover(void)
{
    GR_CHECK_OK(gr_dir_make(in_dir(unfinished(), "deep")));
    write_text(unfinished(), "other", "x");
    GR_CHECK_OK(make(out(), GR_OK));
    GR_CHECK(!gr_file_exists(in_dir(out(), "other")));
    GR_CHECK(gr_file_exists(in_dir(out(), "file")));
    clean();
}

static void test_two(void)
{
    gr_new_dir first = {0};
    GR_CHECK_OK(gr_new_dir_begin(out(), &first));
    GR_CHECK_ERR(make(out(), GR_OK), GR_ERR_USAGE, "another process is writing it");
    GR_CHECK(gr_dir_exists(first.work));
    // Somebody else's folder of that name is not overwritten, and nothing is lost.
    GR_CHECK_OK(gr_dir_make(in_dir(out(), "theirs")));
    GR_CHECK_ERR(gr_new_dir_end(&first, GR_OK), GR_ERR_IO,
                 "is complete, but cannot be renamed");
    GR_CHECK(gr_dir_exists(unfinished()) && gr_dir_exists(in_dir(out(), "theirs")));
    clean();
}

static void test_in_place(void)
{
    char name[NAME_MAX - 3];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    char path[2000];
    snprintf(path, sizeof path, "%s/%s", gr_test_dir(), name);
    GR_CHECK_ERR(make(path, GR_ERR_DATA), GR_ERR_DATA, "as it should");
    GR_CHECK(gr_file_exists(in_dir(path, "file")));
    GR_CHECK_OK(gr_dir_remove(path));
    GR_CHECK_OK(make(path, GR_OK));
    GR_CHECK(gr_file_exists(in_dir(path, "file")));
}

static void test_no_folder(void)
{
    write_text(gr_test_dir(), "out", "x");
    GR_CHECK_ERR(make(out(), GR_OK), GR_ERR_IO, "out: is a file");
    GR_CHECK_ERR(make(in_dir(out(), "below"), GR_OK), GR_ERR_IO, "below");
    GR_CHECK_INT(unlink(out()), 0);
    GR_CHECK_INT(symlink("nowhere", out()), 0);
    GR_CHECK_ERR(make(out(), GR_OK), GR_ERR_IO, "out: is a file");
    GR_CHECK_INT(unlink(out()), 0);
}

static void test_every_request_failing(void)
{
    (void)out(); // the scratch folder's own memory
    const int64_t used = gr_mem_used();
    for (int there = 0; there < 2; there++) {
        gr_err err = GR_ERR_MEMORY;
        int failures = 0;
        for (int n = 1; err == GR_ERR_MEMORY && n < 60; n++) {
            if (there) {
                GR_CHECK_OK(gr_dir_make(out()));
            }
            gr_mem_fail_at(n);
            err = make(out(), GR_OK);
            gr_mem_fail_at(0);
            failures += err == GR_ERR_MEMORY;
            GR_CHECK_INT(gr_mem_used(), used);
            GR_CHECK(err == GR_OK || !gr_file_exists(in_dir(out(), "file")));
        }
        GR_CHECK_OK(err);
        GR_CHECK(failures > 5);
        clean();
    }
}

static const gr_test tests[] = {
    {"made", test_made},
    {"failed", test_failed},
    {"leftover", test_leftover},
    {"two at once", test_two},
    {"in place", test_in_place},
    {"no folder", test_no_folder},
    {"every request failing", test_every_request_failing},
};
GR_TEST_MAIN("new_dir", tests)
