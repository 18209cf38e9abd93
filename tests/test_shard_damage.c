/// What is wrong in a data set on disk, by a flipped bit or a lie, is found when it is read. Writing and reading: test_shard.c.

#include "datasets/frame.h"
#include "datasets/h5.h"
#include "datasets/manifest.h"
#include "datasets/verify.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/shard_support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char *shard_path(const char *dir)
{
    return gr_str_format("%s/shard-00000.h5", dir);
}

static void flip(const char *path, int64_t at)
{
    char byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    GR_CHECK(pread(fd, &byte, 1, at) == 1);
    byte ^= 0x10;
    GR_CHECK(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

/// HDF5 believes a damaged size in its own headers and asks for that much memory; the address sanitizer must then answer
/// NULL, as malloc does, and not end the program.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/// Wherever a byte is wrong, reading either says so or gives what was written (bytes that nobody uses).
static void test_every_byte(void)
{
    char *dir = scratch_path("flip"), *path = shard_path(dir);
    struct stat status = {0};
    int64_t caught = 0, wrong = 0, other = 0;
    GR_CHECK_OK(write_set(dir, 10, 0));
    GR_CHECK(stat(path, &status) == 0);
    for (int64_t at = 0; at < status.st_size; at += 7) {
        bool same = true;
        flip(path, at);
        gr_err err = read_set(dir, &same);
        caught += err != GR_OK;
        other += err != GR_OK && err != GR_ERR_DATA;
        wrong += err == GR_OK && !same;
        flip(path, at);
    }
    GR_CHECK_INT(wrong, 0);
    GR_CHECK_INT(other, 0);
    GR_CHECK(caught > 400);
    bool same = true;
    GR_CHECK_OK(read_set(dir, &same));
    GR_FREE(path);
    GR_FREE(dir);
}

/// A flipped byte of a picture or a text is found by its content id, with the sample named; the others still read.
static void test_damaged_sample(void)
{
    char *dir = scratch_path("damaged"), *path = shard_path(dir);
    gr_dataset *d = NULL;
    gr_sample *sample = NULL;
    gri_h5 *h5 = NULL;
    int64_t offset = 0, size = 0;
    GR_CHECK_OK(write_set(dir, 8, 0));
    GR_CHECK_OK(gri_h5_open(path, &h5));
    GR_CHECK_OK(gri_h5_locate(h5, "image_bytes", &offset, &size));
    gri_h5_destroy(&h5);
    flip(path, offset + size - 1);
    if (GR_CHECK_OK(gr_dataset_open(dir, &d))) {
        GR_CHECK_ERR(gr_dataset_read(d, 7, &sample), GR_ERR_DATA,
                     "shard-00000.h5: sample 7 (\"stamps/no. 7\", number 7 of the data set) is "
                     "damaged: content id ");
        GR_CHECK_OK(gr_dataset_read(d, 6, &sample));
        gr_sample_destroy(&sample);
        gr_dataset_close(&d);
    }
    GR_FREE(path);
    GR_FREE(dir);
}

static void test_wrong_size(void)
{
    char *dir = scratch_path("truncated"), *path = shard_path(dir);
    gr_dataset *d = NULL;
    bool same = true;
    GR_CHECK_OK(write_set(dir, 8, 0));
    GR_CHECK(truncate(path, 1000) == 0);
    GR_CHECK_ERR(read_set(dir, &same), GR_ERR_DATA,
                 "the file has 1000 bytes, the manifest says ");
    GR_CHECK(unlink(path) == 0);
    GR_CHECK_ERR(gr_dataset_open(dir, &d), GR_ERR_MISSING, "the manifest names this shard");
    GR_FREE(path);
    GR_FREE(dir);
}

/// Loads the manifest of `dir`, lets `change` lie in it, saves it.
static void with_manifest(const char *dir, void (*change)(gri_manifest *))
{
    gri_manifest manifest = {0};
    if (GR_CHECK_OK(gri_manifest_load(dir, &manifest))) {
        change(&manifest);
        GR_CHECK_OK(gri_manifest_save(&manifest, dir));
    }
    gri_manifest_fini(&manifest);
}

static void count_total(gri_manifest *m)
{
    m->samples++;
}

static void count_shard(gri_manifest *m)
{
    m->samples++;
    m->shards[0].samples++;
}

static void count_images(gri_manifest *m)
{
    m->images--;
    m->shards[0].images--;
}

static void other_ids(gri_manifest *m)
{
    m->shards[0].digest.low ^= 1;
}

static void other_frame(gri_manifest *m)
{
    m->shards[0].frame.high ^= 1;
}

/// The frame would be another one.
static void other_place(gri_manifest *m)
{
    m->shards[0].text_bytes.offset--;
}

static void place_beyond(gri_manifest *m)
{
    m->shards[0].text_bytes.size = m->shards[0].bytes;
}

static void other_folder(gri_manifest *m)
{
    strcpy(m->shards[0].name, "../x.h5");
}

static void first_twice(gri_manifest *m)
{
    const gri_shard_entry first = m->shards[0];
    GR_CHECK_OK(gri_manifest_add(m, &first));
}

static void other_order(gri_manifest *m)
{
    const gri_shard_entry first = m->shards[0];
    GR_CHECK_OK(gri_manifest_add(m, &first));
    strcpy(m->shards[0].name, "shard-00001.h5");
}

static void check_lie(const char *name, void (*change)(gri_manifest *), const char *message)
{
    char *dir = scratch_path(name);
    bool same = true;
    GR_CHECK_OK(write_set(dir, 8, 0));
    with_manifest(dir, change);
    GR_CHECK_ERR(read_set(dir, &same), GR_ERR_DATA, message);
    GR_FREE(dir);
}

static void test_manifest_lies(void)
{
    check_lie("lie_total", count_total, "the shards sum up to 8, not 9");
    check_lie("lie_shard", count_shard, "dataset text_offsets has 9 rows, expected 10");
    check_lie("lie_images", count_images, "dataset image_offsets has 13 rows, expected 12");
    check_lie("lie_ids", other_ids, "digest of its content ids is ");
    check_lie("lie_frame", other_frame, "digest of its headers and index tables is ");
    check_lie("lie_place", other_place, "digest of its headers and index tables is ");
    check_lie("lie_beyond", place_beyond, "text_bytes");
    check_lie("lie_name", other_folder, "is no file name");
    check_lie("lie_twice", first_twice, "shard-00000.h5 is listed behind shard-0000");
    check_lie("lie_order", other_order, "shard-00000.h5 is listed behind shard-00001.h5");
}

static void other_whole(gri_manifest *m)
{
    m->digest.high ^= 1;
}

/// The parts of any number of processes cover each sample once, and the damage is in one of them.
static void test_verify(void)
{
    char *dir = scratch_path("verify"), *path = gr_str_format("%s/shard-00001.h5", dir);
    gr_dataset *d = NULL;
    gri_h5 *h5 = NULL;
    int64_t offset = 0, size = 0;
    GR_CHECK_OK(write_set(dir, 41, 900));
    GR_CHECK_OK(gri_h5_open(path, &h5));
    GR_CHECK_OK(gri_h5_locate(h5, "text_bytes", &offset, &size));
    gri_h5_destroy(&h5);
    flip(path, offset);
    with_manifest(dir, other_whole);
    GR_CHECK_OK(gr_dataset_open(dir, &d));
    const int64_t first = d ? gr_dataset_shard_first(d, 1) : 0;
    for (int ranks = 1; d && ranks <= 50; ranks += 7) {
        int64_t sound = 0, damaged = 0, faults = 0;
        for (int rank = 0; rank < ranks; rank++) {
            static gr_verify_report r;
            GR_CHECK_OK(gr_dataset_verify(d, rank, ranks, &r));
            sound += r.samples;
            damaged += r.damaged;
            faults += r.faults;
            for (int64_t i = 0; i < r.faults; i++) {
                GR_CHECK(r.list[i].count == 0 || r.list[i].first == first);
                GR_CHECK(strstr(r.list[i].reason,
                                r.list[i].count ? "is damaged" : "the manifest says"));
            }
        }
        GR_CHECK_INT(sound, 40);
        GR_CHECK_INT(damaged, 1);
        GR_CHECK_INT(faults, 2); // and the manifest of another data set
    }
    gr_dataset_close(&d);
    GR_FREE(path);
    GR_FREE(dir);
}

static void check_manifest_text(const char *text, const char *message)
{
    char *dir = scratch_path("manifest_text"), *path = NULL;
    gr_dataset *d = NULL;
    GR_CHECK_OK(gr_dir_make(dir));
    GR_CHECK_OK(gri_manifest_path(dir, &path));
    GR_CHECK_OK(gr_file_write(path, text, strlen(text)));
    GR_CHECK_ERR(gr_dataset_open(dir, &d), GR_ERR_DATA, message);
    GR_FREE(path);
    GR_FREE(dir);
}

static void test_bad_manifest(void)
{
    check_manifest_text("{", "manifest.json");
    check_manifest_text("[]", "map");
    check_manifest_text("{\"schema\": \"other\", \"version\": 3}",
                        "schema other version 3, this program reads gradus-dataset version 3");
    check_manifest_text("{\"schema\": \"gradus-dataset\", \"version\": 2}",
                        "make the data set again");
    check_manifest_text("{\"schema\": \"gradus-dataset\", \"version\": 3, \"digest\": \"12\"}",
                        "expected 32 hexadecimal digits, got \"12\"");
}

/// A data set whose only shard is this file with these attributes.
static void check_attributes(const char *name, const char *schema, int32_t version,
                             const char *message)
{
    char *dir = scratch_path(name), *path = shard_path(dir);
    gri_h5 *h5 = NULL;
    gri_manifest manifest = {0};
    struct stat status = {0};
    bool same = true;
    GR_CHECK_OK(gr_dir_make(dir));
    GR_CHECK_OK(gri_h5_create(path, &h5));
    if (schema) {
        GR_CHECK_OK(gri_h5_put_text(h5, "schema", schema));
        GR_CHECK_OK(gri_h5_put_int(h5, "version", version));
    }
    GR_CHECK_OK(gri_h5_finish(h5));
    gri_h5_destroy(&h5);
    GR_CHECK(stat(path, &status) == 0);
    char file[] = "shard-00000.h5";
    gri_shard_entry entry = {.name = file, .samples = 1, .bytes = status.st_size};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    GR_CHECK_OK(gri_shard_frame(fd, path, &entry, &entry.frame));
    close(fd);
    GR_CHECK_OK(gri_manifest_add(&manifest, &entry));
    GR_CHECK_OK(gri_manifest_save(&manifest, dir));
    GR_CHECK_ERR(read_set(dir, &same), GR_ERR_DATA, message);
    gri_manifest_fini(&manifest);
    GR_FREE(path);
    GR_FREE(dir);
}

static void test_wrong_schema(void)
{
    check_attributes("schema_other", "other", 2,
                     "schema \"other\" version 2, this program reads");
    check_attributes(
        "schema_old", "gradus-shard", 1,
        "schema \"gradus-shard\" version 1, this program reads \"gradus-shard\" version 2; "
        "make the data set again");
    check_attributes("schema_new", "gradus-shard", 3, "schema \"gradus-shard\" version 3");
    check_attributes("schema_none", NULL, 0, "reading attribute schema failed in HDF5: ");
    check_attributes("schema_only", "gradus-shard", 2, "opening dataset image_bytes failed");
}

static void test_not_hdf5(void)
{
    char *path = scratch_path("text.h5");
    gri_h5 *h5 = NULL;
    GR_CHECK_OK(gr_file_write(path, "no such format", 14));
    GR_CHECK_ERR(gri_h5_open(path, &h5), GR_ERR_DATA, "text.h5: opening failed in HDF5: ");
    GR_FREE(path);
}

static const gr_test tests[] = {
    {"every_byte", test_every_byte},
    {"damaged_sample", test_damaged_sample},
    {"wrong_size", test_wrong_size},
    {"manifest_lies", test_manifest_lies},
    {"verify", test_verify},
    {"bad_manifest", test_bad_manifest},
    {"wrong_schema", test_wrong_schema},
    {"not_hdf5", test_not_hdf5},
};
GR_TEST_MAIN("shard_damage", tests)
