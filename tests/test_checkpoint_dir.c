/// A folder that appears whole or not at all, and its manifest. What power losses and failing calls do to it: tests/crash.

#include "src/base/mem.h"
#include "stages/checkpoint.h"
#include "stages/checkpoint_dir.h"
#include "tests/dir_support.h"

#include <stdlib.h>
#include <unistd.h>

static const char *const needed[] = {"config.json", NULL};

/// Writes PATH with `text` in its two files.
static gr_err make(const char *path, const char *text)
{
    gr_err err = GR_OK;
    char *temporary = NULL;
    GR_TRY(gri_checkpoint_dir_begin(path, &temporary));
    write_text(temporary, "config.json", text);
    write_text(temporary, "gradus/state.json", text);
    GR_TRY(gri_checkpoint_dir_commit(temporary, path, NULL, 0));
done:
    GR_FREE(temporary);
    return err;
}

static void check_text(const char *path, const char *want)
{
    char *text = NULL;
    size_t size = 0;
    if (GR_CHECK_OK(gri_manifest_verify(path, needed)) &&
        GR_CHECK_OK(gr_file_read(in_dir(path, "gradus/state.json"), 0, &text, &size))) {
        GR_CHECK_STR(text, want);
    }
    GR_FREE(text);
}

static void check_names(const char *dir, const char *want)
{
    char **names = NULL;
    int64_t count = 0;
    char text[512] = "";
    if (GR_CHECK_OK(gr_dir_list(dir, &names, &count))) {
        for (int64_t i = 0; i < count; i++) {
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", names[i]);
        }
        GR_CHECK_STR(text, want);
    }
    gr_dir_list_free(&names, count);
}

static void test_replaces(void)
{
    const char *dir = fresh_dir("replaces");
    char path[1100];
    snprintf(path, sizeof path, "%s/update-00000001", dir);
    GR_CHECK_OK(make(path, "first"));
    check_text(path, "first");
    GR_CHECK_OK(make(path, "second"));
    check_text(path, "second");
    check_names(dir, "update-00000001 ");
    GR_CHECK_OK(gri_checkpoint_dir_remove(path));
    check_names(dir, "");
    write_text(dir, "update-00000001", "a file");
    GR_CHECK_ERR(make(path, "third"), GR_ERR_IO, "cannot rename");
}

/// What kills leave: .tmp goes, .old comes back where nothing has taken its place.
static void test_settles(void)
{
    const char *dir = fresh_dir("settles");
    char one[1100], two[1100], other[1100];
    GR_CHECK_OK(gri_checkpoint_dir_settle(in_dir(dir, "nowhere")));
    snprintf(one, sizeof one, "%s/update-00000001", dir);
    snprintf(two, sizeof two, "%s/update-00000002", dir);
    snprintf(other, sizeof other, "%s/update-00000003", dir);
    GR_CHECK_OK(make(one, "one"));
    GR_CHECK_OK(make(two, "two, before"));
    GR_CHECK_INT(rename(one, in_dir(dir, "update-00000001.old")), 0);
    GR_CHECK_INT(rename(two, in_dir(dir, "update-00000002.old")), 0);
    GR_CHECK_OK(gr_dir_make(in_dir(dir, "update-00000002")));
    GR_CHECK_OK(gr_dir_make(in_dir(dir, "update-00000009.tmp/gradus")));
    GR_CHECK_OK(gr_dir_make(in_dir(dir, "mine.tmp")));
    GR_CHECK_OK(make(other, "three")); // settles
    check_text(one, "one");
    check_names(dir, "mine.tmp update-00000001 update-00000002 update-00000003 ");
    // What must not be taken for "nothing there": a folder in which nothing can be looked at.
    write_text(dir, "file", "");
    GR_CHECK_ERR(gri_checkpoint_dir_settle(in_dir(dir, "file")), GR_ERR_MISSING, "cannot open");
}

/// Writes PATH's manifest anew with `from` replaced by `to`, which are as long.
static void edit_manifest(const char *path, const char *from, const char *to)
{
    char *text = NULL;
    size_t size = 0;
    if (GR_CHECK_OK(gr_file_read(in_dir(path, "gradus/manifest.json"), 0, &text, &size))) {
        char *at = strstr(text, from);
        if (GR_CHECK(at && strlen(from) == strlen(to))) {
            memcpy(at, to, strlen(to));
            GR_CHECK_OK(gr_file_write(in_dir(path, "gradus/manifest.json"), text, size));
        }
    }
    GR_FREE(text);
}

static void test_refuses_manifests(void)
{
    static const struct {
        const char *from, *to, *part;
    } edits[] = {
        {"XXH3-128", "XXH3-064", "the digests are \"XXH3-064\", expected \"XXH3-128\""},
        {"\"config.json\"", "\"confiG.json\"", "does not list config.json"},
        {"gradus/state.json", "../dus/state.json", "is no name of a checkpoint's file"},
        {"gradus/state.json", "gradus/../te.json", "is no name of a checkpoint's file"},
        {"gradus/state.json", "/radus/state.json", "is no name of a checkpoint's file"},
        {"\"bytes\": 4", "\"bytes\": 5", "it should have 5 bytes and has 4"},
        {"\"cuts\": []", "\"cuts\": {}", "cuts"},
        {"\"block\": 16384", "\"block\": 16385", "16384"},
        {"\"files\"", "\"fileS\"", "files"},
    };
    const char *dir = fresh_dir("manifests");
    char path[1100];
    snprintf(path, sizeof path, "%s/update-00000001", dir);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        GR_CHECK_OK(make(path, "text"));
        check_text(path, "text");
        edit_manifest(path, edits[i].from, edits[i].to);
        GR_CHECK_ERR(gri_manifest_verify(path, needed), GR_ERR_DATA, edits[i].part);
    }
}

/// The names that count, in the order of their numbers; a folder that is none is an error.
static void test_lists(void)
{
    static const char *const names[] = {"update-00000007",
                                        "update-00000010",
                                        "update-000000100000",
                                        "update-00000003",
                                        "update-00000010.tmp",
                                        "update-0000001x",
                                        "update-1",
                                        "other"};
    const char *run = fresh_dir("lists");
    char **paths = NULL;
    int64_t count = -1;
    GR_CHECK_OK(gr_checkpoint_list(run, INT64_MAX, &paths, &count));
    GR_CHECK_INT(count, 0);
    gr_dir_list_free(&paths, count);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "checkpoints/%s", names[i]);
        GR_CHECK_OK(gr_dir_make(in_dir(run, name)));
    }
    GR_CHECK_OK(gr_checkpoint_list(run, 10, &paths, &count));
    if (GR_CHECK_INT(count, 3)) {
        GR_CHECK_STR(gr_path_base(paths[0]), "update-00000010");
        GR_CHECK_STR(gr_path_base(paths[1]), "update-00000007");
        GR_CHECK_STR(gr_path_base(paths[2]), "update-00000003");
    }
    gr_dir_list_free(&paths, count);
    GR_CHECK_OK(gr_dir_remove(in_dir(run, "checkpoints")));
    write_text(run, "checkpoints", "");
    GR_CHECK(gr_checkpoint_list(run, 10, &paths, &count) != GR_OK);
    // A ring of links cannot be followed: not "nothing there".
    GR_CHECK_INT(unlink(in_dir(run, "checkpoints")), 0);
    GR_CHECK_INT(symlink("checkpoints", in_dir(run, "checkpoints")), 0);
    GR_CHECK(gr_checkpoint_list(run, 10, &paths, &count) != GR_OK);
    GR_CHECK(gr_checkpoint_settle(run) != GR_OK);
}

static void test_every_request_failing(void)
{
    const char *dir = fresh_dir("memory");
    char path[1100];
    snprintf(path, sizeof path, "%s/update-00000001", dir);
    GR_CHECK_OK(make(path, "first"));
    int64_t n = 1;
    for (gr_err err = GR_ERR_MEMORY; err != GR_OK && n < 500; n++) {
        char *temporary = NULL;
        gr_mem_fail_at(n);
        err = gri_checkpoint_dir_begin(path, &temporary);
        gr_mem_fail_at(0);
        if (err == GR_OK) {
            write_text(temporary, "config.json", "second");
            write_text(temporary, "gradus/state.json", "second");
            gr_mem_fail_at(n);
            err = gri_checkpoint_dir_commit(temporary, path, NULL, 0);
            gr_mem_fail_at(0);
        }
        GR_CHECK(err == GR_OK || err == GR_ERR_MEMORY);
        if (err != GR_OK) {
            check_text(path, "first");
        }
        GR_FREE(temporary);
    }
    GR_CHECK(n > 20);
    GR_CHECK_OK(gri_checkpoint_dir_settle(dir));
    check_text(path, "second");
    check_names(dir, "update-00000001 ");
}

static const gr_test tests[] = {
    {"replaces", test_replaces},
    {"settles", test_settles},
    {"refuses manifests", test_refuses_manifests},
    {"lists", test_lists},
    {"every request failing once", test_every_request_failing},
};
GR_TEST_MAIN("checkpoint_dir", tests)
