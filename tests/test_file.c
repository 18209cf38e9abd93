#include "tests/check.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/// "SCRATCH/name"; good until the fourth call after.
static const char *in_dir(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", gr_test_dir(), name);
    return path;
}

static void check_content(const char *path, const char *want, size_t want_size)
{
    char *data = NULL;
    size_t size = 0;
    GR_CHECK_OK(gr_file_read(path, 0, &data, &size));
    if (GR_CHECK_INT((int64_t)size, (int64_t)want_size)) {
        GR_CHECK_BYTES(data, want, want_size);
        GR_CHECK_INT(data[size], 0);
    }
    GR_FREE(data);
}

static void test_paths(void)
{
    static const struct {
        const char *dir, *name, *want;
    } joins[] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"},
        {NULL, "b", "b"},  {"a", "/b", "/b"},  {"/", "b", "/b"},
    };
    static const struct {
        const char *path, *dir, *base;
    } splits[] = {
        {"a/b/c.h5", "a/b", "c.h5"},
        {"c.h5", ".", "c.h5"},
        {"/c", "/", "c"},
        {"a/", "a", ""},
    };
    for (size_t i = 0; i < sizeof joins / sizeof joins[0]; i++) {
        char *path = NULL;
        GR_CHECK_OK(gr_path_join(joins[i].dir, joins[i].name, &path));
        GR_CHECK_STR(path, joins[i].want);
        GR_FREE(path);
    }
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        char *dir = NULL;
        GR_CHECK_OK(gr_path_dir(splits[i].path, &dir));
        GR_CHECK_STR(dir, splits[i].dir);
        GR_CHECK_STR(gr_path_base(splits[i].path), splits[i].base);
        GR_FREE(dir);
    }
}

/// A link that leads nowhere is there: opening it is the error. A file that is written replaces files only, and a link stays.
static void test_links_and_devices(void)
{
    char *data = NULL;
    size_t size = 0;
    (void)unlink(in_dir("link"));
    GR_CHECK_INT(symlink("nowhere", in_dir("link")), 0);
    GR_CHECK(gr_file_exists(in_dir("link")) && !gr_dir_exists(in_dir("link")));
    GR_CHECK_ERR(gr_file_read(in_dir("link"), 0, &data, &size), GR_ERR_MISSING, "cannot open");
    GR_CHECK_INT(unlink(in_dir("link")), 0);
    GR_CHECK_OK(gr_file_write(in_dir("led"), "old", 3));
    GR_CHECK_INT(symlink("led", in_dir("link")), 0);
    GR_CHECK_OK(gr_file_write(in_dir("link"), "new", 3));
    check_content(in_dir("led"), "new", 3);
    (void)unlink(in_dir("pipe"));
    GR_CHECK_INT(mkfifo(in_dir("pipe"), 0600), 0);
    GR_CHECK_ERR(gr_file_write(in_dir("pipe"), "x", 1), GR_ERR_IO, "is a pipe or a device");
    GR_CHECK_INT(unlink(in_dir("pipe")), 0);
    GR_CHECK_INT(unlink(in_dir("link")), 0);
    GR_CHECK_INT(unlink(in_dir("led")), 0);
}

static void test_write_and_read(void)
{
    const char *path = in_dir("data");
    char *data = NULL;
    size_t size = 0;
    GR_CHECK(!gr_file_exists(path));
    GR_CHECK_OK(gr_file_write(path, "one\0two", 7));
    GR_CHECK(gr_file_exists(path) && !gr_dir_exists(path));
    check_content(path, "one\0two", 7);
    GR_CHECK_OK(gr_file_write(path, "", 0));
    check_content(path, "", 0);
    GR_CHECK_OK(gr_file_append(path, "a", 1));
    GR_CHECK_OK(gr_file_append(path, "bc", 2));
    check_content(path, "abc", 3);
    GR_CHECK_OK(gr_file_read(path, 3, &data, &size));
    GR_FREE(data);
    GR_CHECK_ERR(gr_file_read(path, 2, &data, &size), GR_ERR_DATA, "larger than 2 bytes");
    GR_CHECK_OK(gr_file_read("/proc/self/stat", 0, &data, &size)); // says size 0
    GR_CHECK(size > 10);
    GR_FREE(data);
    GR_CHECK_ERR(gr_file_read("/proc/self/stat", 5, &data, &size), GR_ERR_DATA, "5 bytes");
}

static void test_errors_of_files(void)
{
    char *data = NULL;
    size_t size = 0;
    gr_file_map map = {0};
    GR_CHECK_ERR(gr_file_read(in_dir("none"), 0, &data, &size), GR_ERR_MISSING, "none: cannot");
    GR_CHECK_ERR(gr_file_read(gr_test_dir(), 0, &data, &size), GR_ERR_IO, "is a folder");
    GR_CHECK_ERR(gr_file_map_open(in_dir("none"), &map), GR_ERR_MISSING, "No such file");
    GR_CHECK_ERR(gr_file_map_open(gr_test_dir(), &map), GR_ERR_IO, "is a folder");
    GR_CHECK(mkfifo(in_dir("pipe"), 0666) == 0);
    GR_CHECK_ERR(gr_file_read(in_dir("pipe"), 0, &data, &size), GR_ERR_IO, "is a pipe or");
    GR_CHECK_ERR(gr_file_map_open("/dev/zero", &map), GR_ERR_IO, "expected a regular file");
    GR_CHECK(symlink("ring", in_dir("ring")) == 0);
    GR_CHECK_ERR(gr_file_read(in_dir("ring"), 0, &data, &size), GR_ERR_MISSING,
                 "symbolic links");
    GR_CHECK_ERR(gr_file_write(in_dir("no/dir"), "x", 1), GR_ERR_IO, "cannot create");
    GR_CHECK_ERR(gr_file_append(in_dir("no/dir"), "x", 1), GR_ERR_IO, "cannot open");
    GR_CHECK_ERR(gr_file_append("/dev/full", "x", 1), GR_ERR_IO, "No space left");
    GR_CHECK_ERR(gr_file_copy(in_dir("none"), in_dir("copy")), GR_ERR_MISSING, "none");
    GR_CHECK(data == NULL && map.data == NULL);
}

static void test_failed_write_keeps_the_old_file(void)
{
    const char *path = in_dir("folder");
    char **names = NULL;
    int64_t count = 0;
    GR_CHECK_OK(gr_dir_make(in_dir("folder/full"))); // a folder is in the way of the rename
    GR_CHECK_OK(gr_file_write(in_dir("folder/full/x"), "x", 1));
    GR_CHECK_ERR(gr_file_write(in_dir("folder/full"), "y", 1), GR_ERR_IO, "in place");
    GR_CHECK_OK(gr_dir_list(path, &names, &count)); // and nothing was left aside
    GR_CHECK_INT(count, 1);
    gr_dir_list_free(&names, count);
    GR_CHECK_OK(gr_dir_remove(path));
}

static void test_copy(void)
{
    size_t size = (1 << 20) + 77; // more than one piece
    gr_str s = {0};
    for (size_t i = 0; i < size / 7; i++) {
        GR_CHECK_OK(gr_str_addf(&s, "%07zu", i));
    }
    GR_CHECK_OK(gr_file_write(in_dir("big"), s.data, s.size));
    GR_CHECK_OK(gr_file_write(in_dir("copy"), "longer than nothing", 19));
    GR_CHECK_OK(gr_file_copy(in_dir("big"), in_dir("copy")));
    check_content(in_dir("copy"), s.data, s.size);
    GR_CHECK_ERR(gr_file_copy(in_dir("big"), in_dir("big")), GR_ERR_IO, "same file");
    check_content(in_dir("big"), s.data, s.size);
    gr_str_fini(&s);
}

static void test_positioned(void)
{
    const char *path = in_dir("positioned");
    char back[8] = "";
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    GR_CHECK(fd >= 0);
    GR_CHECK_OK(gr_file_pwrite(fd, path, "5678", 4, 4));
    GR_CHECK_OK(gr_file_pwrite(fd, path, "1234", 4, 0));
    GR_CHECK_OK(gr_file_pread(fd, path, back, 6, 2));
    GR_CHECK_BYTES(back, "345678", 6);
    GR_CHECK_OK(gr_file_pread(fd, path, back, 0, 100));
    GR_CHECK_ERR(gr_file_pread(fd, path, back, 3, 6), GR_ERR_IO,
                 "ends after 2 of the 3 bytes expected at offset 6");
    close(fd);
    GR_CHECK_ERR(gr_file_pread(-1, path, back, 1, 0), GR_ERR_IO, "cannot read");
    GR_CHECK_ERR(gr_file_pwrite(-1, path, back, 1, 0), GR_ERR_IO, "cannot write");
}

static void test_map(void)
{
    gr_file_map map = {0};
    gr_file_map_close(&map);
    GR_CHECK_OK(gr_file_write(in_dir("map"), "mapped", 6));
    GR_CHECK_OK(gr_file_map_open(in_dir("map"), &map));
    GR_CHECK_INT((int64_t)map.size, 6);
    GR_CHECK_BYTES(map.data, "mapped", 6);
    gr_file_map_close(&map);
    GR_CHECK(map.data == NULL && map.size == 0);
    GR_CHECK_OK(gr_file_write(in_dir("map"), "", 0));
    GR_CHECK_OK(gr_file_map_open(in_dir("map"), &map));
    GR_CHECK(map.data == NULL && map.size == 0);
    gr_file_map_close(&map);
}

/// Given-back pages hold the same bytes when they are looked at again, whatever the edges.
static void read_a_map_that_was_cut(void)
{
    gr_file_map before = {0}, map = {0}, after = {0};
    gr_file_map_guard(74);
    GR_CHECK_OK(gr_file_map_open(in_dir("whole"), &before));
    GR_CHECK_OK(gr_file_map_open(in_dir("cut"), &map));
    GR_CHECK_OK(gr_file_map_open(in_dir("whole"), &after));
    gr_file_map_close(&before);
    GR_CHECK_INT(truncate(in_dir("cut"), 0), 0);
    const volatile unsigned char *data = map.data;
    _exit(data[map.size - 1] ? 1 : 2);
}

static void test_map_that_was_cut(void)
{
    char text[4096];
    GR_CHECK_OK(gr_file_write(in_dir("whole"), "mapped", 6));
    GR_CHECK_OK(gr_file_write(in_dir("cut"), "mapped", 6));
    int status = gr_test_child(read_a_map_that_was_cut, text, sizeof text);
    GR_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 74);
    GR_CHECK(strstr(text, "/cut: cannot be read any more: it was cut while it was in use") !=
             NULL);
}

static void test_map_drop(void)
{
    enum { SIZE = 3 * 4096 + 100 };
    static char bytes[SIZE];
    gr_file_map map = {0};
    for (int i = 0; i < SIZE; i++) {
        bytes[i] = (char)(i * 7 % 251);
    }
    GR_CHECK_OK(gr_file_write(in_dir("drop"), bytes, SIZE));
    GR_CHECK_OK(gr_file_map_open(in_dir("drop"), &map));
    GR_CHECK_BYTES(map.data, bytes, SIZE);
    gr_file_map_drop(&map, map.data, SIZE);
    gr_file_map_drop(&map, map.data + 10, 5000);
    gr_file_map_drop(&map, map.data + SIZE, 0);
    GR_CHECK_BYTES(map.data, bytes, SIZE);
    gr_file_map_close(&map);
}

static void test_folders(void)
{
    char **names = NULL;
    int64_t count = 0;
    GR_CHECK_OK(gr_dir_make(in_dir("x//y/z/")));
    GR_CHECK_OK(gr_dir_make(in_dir("x/y/z")));
    GR_CHECK(gr_dir_exists(in_dir("x/y/z")) && !gr_file_exists(in_dir("x/y/z")));
    GR_CHECK_OK(gr_file_write(in_dir("x/b"), "", 0));
    GR_CHECK_OK(gr_file_write(in_dir("x/B"), "", 0));
    GR_CHECK_OK(gr_file_write(in_dir("x/.hidden"), "", 0));
    GR_CHECK_OK(gr_dir_sync(in_dir("x")));
    GR_CHECK_OK(gr_dir_sync_all(in_dir("x")));
    GR_CHECK_OK(gr_dir_list(in_dir("x"), &names, &count));
    if (GR_CHECK_INT(count, 4)) {
        GR_CHECK_STR(names[0], ".hidden");
        GR_CHECK_STR(names[1], "B");
        GR_CHECK_STR(names[2], "b");
        GR_CHECK_STR(names[3], "y");
    }
    gr_dir_list_free(&names, count);
    GR_CHECK_OK(gr_dir_list(in_dir("x/y/z"), &names, &count));
    GR_CHECK(count == 0 && names == NULL);
    gr_dir_list_free(&names, count);
    GR_CHECK_ERR(gr_dir_make(in_dir("x/b")), GR_ERR_IO, "cannot make the folder");
    GR_CHECK_ERR(gr_dir_make(in_dir("x/b/c")), GR_ERR_IO, "x/b");
    GR_CHECK_ERR(gr_dir_list(in_dir("none"), &names, &count), GR_ERR_MISSING, "none");
    GR_CHECK_ERR(gr_dir_sync(in_dir("none")), GR_ERR_MISSING, "none");
    GR_CHECK_ERR(gr_dir_sync_all(in_dir("none")), GR_ERR_MISSING, "none");
    GR_CHECK_ERR(gr_dir_remove(in_dir("x/b")), GR_ERR_IO, "is no folder");
}

static void test_remove_follows_no_links(void)
{
    GR_CHECK_OK(gr_dir_make(in_dir("kept")));
    GR_CHECK_OK(gr_file_write(in_dir("kept/file"), "", 0));
    GR_CHECK_OK(gr_dir_make(in_dir("gone/deep")));
    GR_CHECK_INT(symlink(in_dir("kept"), in_dir("gone/deep/link")), 0);
    GR_CHECK_INT(symlink(in_dir("kept"), in_dir("link")), 0);
    GR_CHECK_OK(gr_dir_remove(in_dir("gone")));
    GR_CHECK(!gr_dir_exists(in_dir("gone")));
    GR_CHECK(gr_file_exists(in_dir("kept/file")));
    GR_CHECK_OK(gr_dir_remove(in_dir("gone")));
    GR_CHECK_ERR(gr_dir_remove(in_dir("link")), GR_ERR_IO, "is no folder");
    GR_CHECK(gr_file_exists(in_dir("kept/file")));
}

static void test_remove_asides(void)
{
    static const char *const kept[] = {"b.tmp", "b.tmp.", "b.tmp.1x", ".tmp.7", "tmp.7", "b.7"};
    char **names = NULL, path[64];
    int64_t count = 0;
    GR_CHECK_OK(gr_dir_make(in_dir("asides/c.tmp.9"))); // not one of ours
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "asides/%s", kept[i]);
        GR_CHECK_OK(gr_file_write(in_dir(path), "", 0));
    }
    GR_CHECK_OK(gr_file_append(in_dir("asides/b.tmp.12"), "1", 1));
    GR_CHECK_OK(gr_file_append(in_dir("asides/d.json.tmp.3"), "1", 1));
    GR_CHECK_OK(gr_dir_remove_asides(in_dir("asides")));
    GR_CHECK_OK(gr_dir_list(in_dir("asides"), &names, &count));
    GR_CHECK_INT(count, 7);
    GR_CHECK(!gr_file_exists(in_dir("asides/b.tmp.12")));
    GR_CHECK(!gr_file_exists(in_dir("asides/d.json.tmp.3")));
    gr_dir_list_free(&names, count);
    GR_CHECK_ERR(gr_dir_remove_asides(in_dir("none")), GR_ERR_MISSING, "none");
}

/// Everything here that takes memory.
static gr_err use_all(void)
{
    gr_err err = GR_OK;
    char *data = NULL, **names = NULL;
    size_t size = 0;
    int64_t count = 0;
    GR_TRY(gr_dir_make(in_dir("sweep/a")));
    GR_TRY(gr_file_write(in_dir("sweep/b"), "1234", 4));
    GR_TRY(gr_file_copy(in_dir("sweep/b"), in_dir("sweep/c")));
    GR_TRY(gr_file_read(in_dir("sweep/c"), 0, &data, &size));
    GR_TRY(gr_dir_remove_asides(in_dir("sweep")));
    GR_TRY(gr_dir_list(in_dir("sweep"), &names, &count));
done:
    GR_FREE(data);
    gr_dir_list_free(&names, count);
    return err;
}

static void test_every_request_failing(void)
{
    int64_t before = gr_mem_used(), requests = gr_mem_requests();
    GR_CHECK_OK(use_all());
    int64_t count = gr_mem_requests() - requests;
    GR_CHECK(count >= 8);
    for (int64_t n = 1; n <= count; n++) {
        gr_mem_fail_at(n);
        GR_CHECK_ERR(use_all(), GR_ERR_MEMORY, "out of memory");
        GR_CHECK_INT(gr_mem_used(), before);
    }
    gr_mem_fail_at(0);
}

static const gr_test tests[] = {
    {"paths", test_paths},
    {"write, append, read", test_write_and_read},
    {"links, pipes", test_links_and_devices},
    {"errors of files", test_errors_of_files},
    {"a failed write keeps the old", test_failed_write_keeps_the_old_file},
    {"copy", test_copy},
    {"positioned reads and writes", test_positioned},
    {"map", test_map},
    {"map_drop", test_map_drop},
    {"a map that was cut", test_map_that_was_cut},
    {"folders", test_folders},
    {"remove follows no links", test_remove_follows_no_links},
    {"remove asides", test_remove_asides},
    {"every request failing once", test_every_request_failing},
};

GR_TEST_MAIN("file", tests)
