// The reader of data sets. Bytes that begin with 'S' are what the datasets of a shard hold, end to end in the order of its file (the
// rest is as it was); the manifest says their digests, so that they come past those. HDF5's headers stay sound: damaged ones
// are never shown to it (test_damage.c). Other bytes are a manifest: what is accepted is saved and loaded again as it was.
#include "datasets/frame.h"
#include "datasets/h5.h"
#include "datasets/manifest.h"
#include "datasets/shard_format.h"
#include "datasets/verify.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ROWS = 1000, SAMPLES = 3, PLACES = GRI_TABLE_COUNT + 2 };

static char dir[64], shard_path[96], manifest_path[96];
static char *sound; ///< the shard's bytes
static size_t sound_size;
static gri_manifest manifest;
static gri_region places[PLACES]; ///< of the datasets, by offset
static gri_region ids;

static void remove_dir(void)
{
    unlink(shard_path);
    unlink(manifest_path);
    rmdir(dir);
    free(sound);
}

static gr_err write_set(void)
{
    static const char *const texts[] = {"", "a", "{\"conversations\": []}"};
    static const unsigned char *const images[] = {(const void *)"RIFF1", (const void *)"WEBP"};
    static const size_t sizes[] = {5, 4};
    static const int32_t pixels[2][2] = {{4, 2}, {1, 9}};
    gr_err err = GR_OK;
    gr_dataset_writer *writer = NULL;
    GR_TRY(gr_dataset_writer_create(dir, 0, &writer));
    for (int64_t n = 0; n < SAMPLES; n++) {
        gr_sample sample = {.source = "source",
                            .task = "task",
                            .text = texts[n],
                            .text_size = strlen(texts[n]),
                            .images = n,
                            .image = (const unsigned char **)images,
                            .image_size = sizes,
                            .pixels = pixels};
        GR_TRY(gr_dataset_writer_add(writer, &sample));
    }
    GR_TRY(gr_dataset_writer_finish(writer));
done:
    gr_dataset_writer_destroy(&writer);
    return err;
}

static int by_offset(const void *a, const void *b)
{
    const gri_region *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static gr_err find_places(void)
{
    gr_err err = GR_OK;
    gri_h5 *h5 = NULL;
    GR_TRY(gri_h5_open(shard_path, &h5));
    for (gri_table k = 0; k < GRI_TABLE_COUNT; k++) {
        gri_table_info info = gri_table_get(k, SAMPLES, 3);
        if (info.rows < 0) {
            GR_TRY(gri_h5_locate(h5, info.name, &places[k].offset, &places[k].size));
        } else {
            GR_TRY(gri_h5_locate_table(h5, info.name, info.type, info.rows, info.columns,
                                       &places[k].offset));
            places[k].size = info.rows * (int64_t)info.row_size;
        }
    }
    ids = places[GRI_CONTENT_ID];
    places[GRI_TABLE_COUNT] = manifest.shards[0].image_bytes;
    places[GRI_TABLE_COUNT + 1] = manifest.shards[0].text_bytes;
    qsort(places, PLACES, sizeof places[0], by_offset);
done:
    gri_h5_destroy(&h5);
    return err;
}

static void keep_sound(void)
{
    char *data = NULL;
    GR_ASSERT(gr_file_read(shard_path, 0, &data, &sound_size) == GR_OK);
    sound = malloc(sound_size);
    GR_ASSERT(sound);
    memcpy(sound, data, sound_size);
    GR_FREE(data);
}

static void make_dir(void)
{
    if (dir[0] == '\0') {
        snprintf(dir, sizeof dir, "%s/gradus-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        GR_ASSERT(mkdtemp(dir));
        snprintf(shard_path, sizeof shard_path, "%s/shard-00000.h5", dir);
        snprintf(manifest_path, sizeof manifest_path, "%s/manifest.json", dir);
        atexit(remove_dir);
        GR_ASSERT(write_set() == GR_OK && gri_manifest_load(dir, &manifest) == GR_OK);
        keep_sound();
        GR_ASSERT(find_places() == GR_OK);
    }
}

// Without waiting for a disk.
static void put(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "w");
    GR_ASSERT(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

// The shard with these contents, and a manifest that says so.
static void put_contents(const uint8_t *data, size_t size)
{
    gri_shard_entry *entry = &manifest.shards[0];
    char *bytes = malloc(sound_size);
    GR_ASSERT(bytes);
    memcpy(bytes, sound, sound_size);
    for (int i = 0; i < PLACES; i++) {
        size_t n = size < (size_t)places[i].size ? size : (size_t)places[i].size;
        memcpy(bytes + places[i].offset, data, n);
        data += n;
        size -= n;
    }
    put(shard_path, bytes, sound_size);
    entry->digest = (gr_digest){0};
    for (int64_t n = 0; n < SAMPLES; n++) {
        gr_digest id;
        memcpy(&id, bytes + ids.offset + n * (int64_t)sizeof id, sizeof id);
        entry->digest = gri_digest_link_id(entry->digest, id);
    }
    free(bytes);
    int fd = open(shard_path, O_RDONLY | O_CLOEXEC);
    GR_ASSERT(gri_shard_frame(fd, shard_path, entry, &entry->frame) == GR_OK);
    close(fd);
    GR_ASSERT(gri_manifest_save(&manifest, dir) == GR_OK);
}

static void check_sample(const gr_sample *sample, bool whole)
{
    volatile size_t sum = strlen(sample->source) + strlen(sample->task);
    for (int64_t i = 0; i < sample->images; i++) {
        sum = sum + (size_t)sample->pixels[i][0];
        if (whole && sample->image_size[i] > 0) {
            sum = sum + sample->image[i][0] + sample->image[i][sample->image_size[i] - 1];
        }
    }
    if (whole) {
        GR_ASSERT(sample->text[sample->text_size] == '\0');
        GR_ASSERT(gr_digest_equal(gr_sample_id(sample), sample->id));
    }
}

static void read_all(void)
{
    static gr_verify_report report;
    gr_dataset *d = NULL;
    gr_sample *sample = NULL;
    if (gr_dataset_open(dir, &d) != GR_OK) {
        return;
    }
    for (int64_t n = 0; n < gr_dataset_count(d) && n < MOST_ROWS; n++) {
        if (gr_dataset_about(d, n, &sample) == GR_OK) {
            check_sample(sample, false);
        }
        gr_sample_destroy(&sample);
        if (gr_dataset_read(d, n, &sample) == GR_OK) {
            check_sample(sample, true);
        }
        gr_sample_destroy(&sample);
    }
    if (gr_dataset_count(d) <= MOST_ROWS) {
        GR_ASSERT(gr_dataset_verify(d, 0, 1, &report) == GR_OK);
        GR_ASSERT(report.samples + report.damaged == gr_dataset_count(d));
    }
    gr_dataset_close(&d);
}

static void read_manifest(const uint8_t *data, size_t size)
{
    gri_manifest first = {0}, second = {0};
    put(manifest_path, data, size);
    gr_err err = gri_manifest_load(dir, &first);
    GR_ASSERT(err == GR_OK || err == GR_ERR_DATA);
    if (err == GR_OK) {
        GR_ASSERT(gri_manifest_save(&first, dir) == GR_OK);
        GR_ASSERT(gri_manifest_load(dir, &second) == GR_OK);
        GR_ASSERT(first.samples == second.samples && first.images == second.images &&
                  first.bytes == second.bytes && first.count == second.count &&
                  gr_digest_equal(first.digest, second.digest));
        for (int64_t i = 0; i < first.count; i++) {
            GR_ASSERT(strcmp(first.shards[i].name, second.shards[i].name) == 0);
            GR_ASSERT(gr_digest_equal(first.shards[i].frame, second.shards[i].frame));
        }
        read_all(); // of a shard that is not there, or is another
    }
    gri_manifest_fini(&first);
    gri_manifest_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_dir();
    int64_t used = gr_mem_used();
    if (size > 0 && data[0] == 'S') {
        put_contents(data + 1, size - 1);
        read_all();
    } else {
        read_manifest(data, size);
    }
    gr_err_clear();
    GR_ASSERT(gr_mem_used() == used);
    return 0;
}
