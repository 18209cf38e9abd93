#include "datasets/h5.h"
#include "datasets/manifest.h"
#include "datasets/shard.h"
#include "datasets/verify.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/str.h"
#include "tests/check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_IMAGES = 3, MAX_BYTES = 200 };

/// A made-up sample: number n has n % 4 images of odd sizes (also 0); the writer does not look into them.
typedef struct made {
    gr_sample sample;
    char source[32], task[16], text[96];
    unsigned char bytes[MAX_IMAGES][MAX_BYTES];
    const unsigned char *image[MAX_IMAGES];
    size_t sizes[MAX_IMAGES];
    int32_t pixels[MAX_IMAGES][2];
} made;

static const gr_sample *make(made *m, int64_t n)
{
    *m = (made){0};
    snprintf(m->source, sizeof m->source, n % 5 ? "stamps/no. %lld" : "", (long long)n);
    snprintf(m->task, sizeof m->task, n % 3 ? "task %lld" : "", (long long)(n % 7));
    snprintf(m->text, sizeof m->text,
             "{\"conversations\": [{\"from\": \"gpt\", \"value\": \"bird %lld é\"}]}",
             (long long)n);
    m->sample = (gr_sample){.source = m->source,
                            .task = m->task,
                            .text = m->text,
                            .text_size = n == 9 ? 0 : strlen(m->text),
                            .images = n % 4,
                            .image = m->image,
                            .image_size = m->sizes,
                            .pixels = (const int32_t(*)[2])m->pixels};
    for (int64_t i = 0; i < n % 4; i++) {
        m->sizes[i] = (size_t)(n * 37 + i * 101) % MAX_BYTES;
        m->image[i] = m->bytes[i];
        m->pixels[i][0] = (int32_t)(n + 1);
        m->pixels[i][1] = (int32_t)(i + 7);
        for (size_t k = 0; k < m->sizes[i]; k++) {
            m->bytes[i][k] = (unsigned char)gr_rng_u64((uint64_t)n, (uint64_t)i, k);
        }
    }
    return &m->sample;
}

static char *in_dir(const char *name)
{
    char *path = gr_str_format("%s/%s", gr_test_dir(), name);
    GR_CHECK(path != NULL);
    return path;
}

static gr_err write_set(const char *dir, int64_t count, int64_t shard_bytes)
{
    gr_err err = GR_OK;
    gr_dataset_writer *writer = NULL;
    made m;
    GR_TRY(gr_dataset_writer_create(dir, shard_bytes, &writer));
    for (int64_t n = 0; n < count; n++) {
        GR_TRY(gr_dataset_writer_add(writer, make(&m, n)));
    }
    GR_TRY(gr_dataset_writer_finish(writer));
done:
    gr_dataset_writer_destroy(&writer);
    return err;
}

static bool same_sample(const gr_sample *got, const gr_sample *want)
{
    bool same = strcmp(got->source, want->source) == 0 && strcmp(got->task, want->task) == 0 &&
                got->text_size == want->text_size &&
                memcmp(got->text, want->text, want->text_size) == 0 &&
                got->images == want->images && gr_digest_equal(got->id, gr_sample_id(want));
    for (int64_t i = 0; same && i < want->images; i++) {
        same = got->image_size[i] == want->image_size[i] &&
               memcmp(got->image[i], want->image[i], want->image_size[i]) == 0 &&
               memcmp(got->pixels[i], want->pixels[i], sizeof want->pixels[i]) == 0;
    }
    return same;
}

/// Reads every sample; *same becomes false if one differs from what was written.
static gr_err read_set(const char *dir, bool *same)
{
    gr_err err = GR_OK;
    gr_dataset *d = NULL;
    gr_sample *sample = NULL;
    made m;
    GR_TRY(gr_dataset_open(dir, &d));
    for (int64_t n = 0; n < gr_dataset_count(d); n++) {
        GR_TRY(gr_dataset_read(d, n, &sample));
        *same = *same && same_sample(sample, make(&m, n));
        gr_sample_destroy(&sample);
    }
done:
    gr_sample_destroy(&sample);
    gr_dataset_close(&d);
    return err;
}

static void test_round_trip(void)
{
    char *dir = in_dir("round");
    gr_dataset *d = NULL;
    bool same = true;
    GR_CHECK_OK(write_set(dir, 41, 900));
    GR_CHECK_OK(read_set(dir, &same));
    GR_CHECK(same);
    if (GR_CHECK_OK(gr_dataset_open(dir, &d))) {
        GR_CHECK_INT(gr_dataset_count(d), 41);
        GR_CHECK_INT(gr_dataset_images(d), 60);
        GR_CHECK(gr_dataset_shards(d) > 5);
        GR_CHECK(gr_dataset_bytes(d) > 5000);
        GR_CHECK_STR(gr_dataset_path(d), dir);
        made m;
        gr_digest id = {0};
        GR_CHECK_OK(gr_dataset_id(d, 40, &id));
        GR_CHECK(gr_digest_equal(id, gr_sample_id(make(&m, 40))));
        gr_dataset_close(&d);
    }
    GR_FREE(dir);
}

static gr_digest digest_of(const char *dir)
{
    gr_dataset *d = NULL;
    gr_digest digest = {0};
    if (GR_CHECK_OK(gr_dataset_open(dir, &d))) {
        digest = gr_dataset_digest(d);
        gr_dataset_close(&d);
    }
    return digest;
}

/// The data set's digest names its samples in their order, not how they are cut into shards.
static void test_digest(void)
{
    char *one = in_dir("one"), *many = in_dir("many"), *fewer = in_dir("fewer");
    GR_CHECK_OK(write_set(one, 20, 0));
    GR_CHECK_OK(write_set(many, 20, 1));
    GR_CHECK_OK(write_set(fewer, 19, 0));
    GR_CHECK(gr_digest_equal(digest_of(one), digest_of(many)));
    GR_CHECK(!gr_digest_equal(digest_of(one), digest_of(fewer)));
    GR_FREE(one);
    GR_FREE(many);
    GR_FREE(fewer);
}

/// Content ids see every part and where the parts end, and nothing of the source.
static void test_sample_id(void)
{
    made a, b;
    make(&a, 7);
    make(&b, 7);
    gr_digest id = gr_sample_id(&a.sample);
    b.sample.source = "elsewhere";
    b.sample.task = "another";
    GR_CHECK(gr_digest_equal(id, gr_sample_id(&b.sample)));
    b.bytes[1][3] ^= 1;
    GR_CHECK(!gr_digest_equal(id, gr_sample_id(&b.sample)));
    make(&b, 7);
    b.text[5] ^= 1;
    GR_CHECK(!gr_digest_equal(id, gr_sample_id(&b.sample)));
    make(&b, 7);
    b.sizes[0]--; // the byte goes to no other part: lengths count
    GR_CHECK(!gr_digest_equal(id, gr_sample_id(&b.sample)));
    make(&b, 7);
    b.sample.images = 2;
    GR_CHECK(!gr_digest_equal(id, gr_sample_id(&b.sample)));
}

/// The same samples give the same bytes: no time stamps, no garbage between datasets.
static void test_same_bytes(void)
{
    char *a = in_dir("bytes_a"), *b = in_dir("bytes_b");
    static const char *const names[] = {"shard-00000.h5", "manifest.json"};
    GR_CHECK_OK(write_set(a, 20, 0));
    sleep(1); // HDF5's time stamps count seconds
    GR_CHECK_OK(write_set(b, 20, 0));
    for (int i = 0; i < 2; i++) {
        char *in_a = gr_str_format("%s/%s", a, names[i]);
        char *in_b = gr_str_format("%s/%s", b, names[i]);
        gr_digest of_a = {0}, of_b = {1, 1};
        GR_CHECK_OK(gr_digest_of_file(in_a, &of_a));
        GR_CHECK_OK(gr_digest_of_file(in_b, &of_b));
        GR_CHECK(gr_digest_equal(of_a, of_b));
        GR_FREE(in_a);
        GR_FREE(in_b);
    }
    GR_FREE(a);
    GR_FREE(b);
}

static void test_empty(void)
{
    char *dir = in_dir("empty");
    gr_dataset *d = NULL;
    GR_CHECK_OK(write_set(dir, 0, 0));
    if (GR_CHECK_OK(gr_dataset_open(dir, &d))) {
        GR_CHECK_INT(gr_dataset_count(d), 0);
        GR_CHECK_INT(gr_dataset_shards(d), 0);
        gr_dataset_close(&d);
    }
    GR_FREE(dir);
}

static void test_only_text(void)
{
    char *dir = in_dir("only_text");
    bool same = true;
    GR_CHECK_OK(write_set(dir, 1, 0)); // sample 0 has no image: image_bytes is empty
    GR_CHECK_OK(read_set(dir, &same));
    GR_CHECK(same);
    GR_FREE(dir);
}

static void test_not_empty_folder(void)
{
    char *dir = in_dir("round2");
    gr_dataset_writer *writer = NULL;
    GR_CHECK_OK(write_set(dir, 2, 0));
    GR_CHECK_ERR(gr_dataset_writer_create(dir, 0, &writer), GR_ERR_USAGE, "is not empty");
    GR_CHECK(writer == NULL);
    GR_FREE(dir);
}

/// Given up: shards are taken back. Killed: they stay, but without manifest they are no data set.
static void test_unfinished(void)
{
    char *dir = in_dir("unfinished");
    gr_dataset_writer *writer = NULL;
    gr_dataset *d = NULL;
    made m;
    GR_CHECK_OK(gr_dataset_writer_create(dir, 1, &writer));
    for (int64_t n = 1; n < 6; n++) {
        GR_CHECK_OK(gr_dataset_writer_add(writer, make(&m, n)));
    }
    GR_CHECK_ERR(gr_dataset_open(dir, &d), GR_ERR_MISSING, "has no manifest.json");
    gr_dataset_writer_destroy(&writer);
    GR_CHECK(!gr_dir_exists(dir));
    pid_t child = fork();
    if (child == 0) {
        bool ok = gr_dataset_writer_create(dir, 1, &writer) == GR_OK;
        for (int64_t n = 1; ok && n < 6; n++) {
            ok = gr_dataset_writer_add(writer, make(&m, n)) == GR_OK;
        }
        _exit(ok ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    GR_CHECK_INT(status, 0);
    GR_CHECK(gr_dir_exists(dir));
    GR_CHECK_ERR(gr_dataset_open(dir, &d), GR_ERR_MISSING, "has no manifest.json");
    GR_FREE(dir);
}

/// One writer at a time, also in one process; a lock outlives nobody.
static void test_two_writers(void)
{
    char *dir = in_dir("two");
    gr_dataset_writer *first = NULL, *second = NULL;
    made m;
    GR_CHECK_OK(gr_dataset_writer_create(dir, 0, &first));
    GR_CHECK_ERR(gr_dataset_writer_create(dir, 0, &second), GR_ERR_USAGE,
                 "another process is writing a data set there");
    GR_CHECK_OK(gr_dataset_writer_add(first, make(&m, 0)));
    GR_CHECK_OK(gr_dataset_writer_finish(first));
    GR_CHECK_ERR(gr_dataset_writer_create(dir, 0, &second), GR_ERR_USAGE,
                 "another process is writing a data set there"); // until it is closed
    gr_dataset_writer_destroy(&first);
    GR_CHECK_ERR(gr_dataset_writer_create(dir, 0, &second), GR_ERR_USAGE, "is not empty");
    char *work = gr_str_format("%s/.work", dir);
    GR_CHECK(!gr_dir_exists(work));
    GR_FREE(work);
    GR_FREE(dir);
}

/// Token counts: the texts alone, by each tokenizer; what the tables say about samples needs no bytes of theirs.
static void test_tokens(void)
{
    char *dir = in_dir("tokens");
    static const char *const texts[] = {"bird and bird", "birds"};
    const size_t sizes[] = {13, 5};
    gr_tokenizer *small = NULL, *large = NULL;
    gr_dataset_writer *writer = NULL;
    gr_dataset *d = NULL;
    made m;
    GR_CHECK_OK(gr_tokenizer_train(texts, sizes, 2, 268, &small));
    GR_CHECK_OK(gr_tokenizer_train(texts, sizes, 2, 270, &large));
    const gr_tokenizer *both[] = {small, large};
    GR_CHECK_OK(gr_dataset_writer_create(dir, 1, &writer));
    GR_CHECK_OK(gr_dataset_writer_count_tokens(writer, both, 2));
    make(&m, 1);
    static const char talk[] =
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"<image>\\nbi<image>\"},"
        "{\"from\": \"gpt\", \"value\": \"birds\"}]}";
    m.sample.text = talk;
    m.sample.text_size = sizeof talk - 1;
    GR_CHECK_OK(gr_dataset_writer_add(writer, &m.sample));
    GR_CHECK_OK(gr_dataset_writer_add(writer, make(&m, 2)));
    GR_CHECK_OK(gr_dataset_writer_finish(writer));
    gr_dataset_writer_destroy(&writer);
    if (GR_CHECK_OK(gr_dataset_open(dir, &d))) {
        gr_digest of_small = {0}, of_large = {0};
        int64_t n = 0;
        gr_sample *about = NULL;
        GR_CHECK_OK(gr_tokenizer_digest(small, &of_small));
        GR_CHECK_OK(gr_tokenizer_digest(large, &of_large));
        GR_CHECK(gr_digest_equal(gr_dataset_tokenizers(d, &n)[1], of_large));
        GR_CHECK_INT(n, 2);
        GR_CHECK_OK(gr_dataset_tokens(d, 0, of_small, &n));
        GR_CHECK_INT(n, 8); // "\n", b, i; b, i, r, d, s: no merge yet
        GR_CHECK_OK(gr_dataset_tokens(d, 0, of_large, &n));
        GR_CHECK(n < 8);
        GR_CHECK_OK(gr_dataset_tokens(d, 1, of_small, &n));
        GR_CHECK_INT(n, 9); // "bird 2 é" in UTF-8
        GR_CHECK_OK(gr_dataset_tokens(d, 1, (gr_digest){1, 2}, &n));
        GR_CHECK_INT(n, -1);
        if (GR_CHECK_OK(gr_dataset_about(d, 1, &about))) {
            make(&m, 2);
            GR_CHECK(gr_digest_equal(about->id, gr_sample_id(&m.sample)));
            GR_CHECK(!about->text && !about->image);
            GR_CHECK_STR(about->task, m.task);
            GR_CHECK_STR(about->source, m.source);
            GR_CHECK_INT((int64_t)about->text_size, (int64_t)m.sample.text_size);
            GR_CHECK_INT(about->images, 2);
            GR_CHECK_INT((int64_t)about->image_size[1], (int64_t)m.sizes[1]);
            GR_CHECK_INT(about->pixels[1][1], 8);
            gr_sample_destroy(&about);
        }
        gr_dataset_close(&d);
    }
    gr_tokenizer_destroy(&small);
    gr_tokenizer_destroy(&large);
    GR_FREE(dir);
}

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
    char *dir = in_dir("flip"), *path = shard_path(dir);
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
    char *dir = in_dir("damaged"), *path = shard_path(dir);
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
    char *dir = in_dir("truncated"), *path = shard_path(dir);
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

static int count_open(void)
{
    char **names = NULL;
    int64_t count = 0;
    GR_CHECK_OK(gr_dir_list("/proc/self/fd", &names, &count));
    gr_dir_list_free(&names, count);
    return (int)count;
}

/// Opening opens no shard, and a few descriptors serve any number of them.
static void test_many_shards(void)
{
    enum { SETS = 3 * GR_DATASET_OPEN_SHARDS };
    char *dir = in_dir("many_shards");
    gr_dataset *d = NULL;
    made m;
    GR_CHECK_OK(write_set(dir, SETS, 1)); // a shard a sample
    int before = count_open();
    if (GR_CHECK_OK(gr_dataset_open(dir, &d))) {
        GR_CHECK_INT(gr_dataset_shards(d), SETS);
        GR_CHECK_INT(count_open(), before);
        for (int64_t k = 0; k < 4 * SETS; k++) {
            gr_sample *sample = NULL;
            int64_t n = k * 101 % SETS;
            GR_CHECK_OK(gr_dataset_read(d, n, &sample));
            GR_CHECK(same_sample(sample, make(&m, n)));
            gr_sample_destroy(&sample);
        }
        GR_CHECK_INT(count_open(), before + GR_DATASET_OPEN_SHARDS);
        gr_dataset_close(&d);
        GR_CHECK_INT(count_open(), before);
    }
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

static void check_lie(const char *name, void (*change)(gri_manifest *), const char *message)
{
    char *dir = in_dir(name);
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
}

static void other_whole(gri_manifest *m)
{
    m->digest.high ^= 1;
}

/// The parts of any number of processes cover each sample once, and the damage is in one of them.
static void test_verify(void)
{
    char *dir = in_dir("verify"), *path = gr_str_format("%s/shard-00001.h5", dir);
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
    char *dir = in_dir("manifest_text"), *path = NULL;
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
    char *dir = in_dir(name), *path = shard_path(dir);
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
    char *path = in_dir("text.h5");
    gri_h5 *h5 = NULL;
    GR_CHECK_OK(gr_file_write(path, "no such format", 14));
    GR_CHECK_ERR(gri_h5_open(path, &h5), GR_ERR_DATA, "text.h5: opening failed in HDF5: ");
    GR_FREE(path);
}

typedef struct reader {
    const gr_dataset *dataset;
    int64_t start, bad;
} reader;

static void *read_all(void *argument)
{
    reader *r = argument;
    made m;
    int64_t count = gr_dataset_count(r->dataset);
    for (int64_t k = 0; k < 2 * count; k++) {
        int64_t n = (r->start + k * 7) % count;
        gr_sample *sample = NULL;
        if (gr_dataset_read(r->dataset, n, &sample) != GR_OK ||
            !same_sample(sample, make(&m, n))) {
            r->bad++;
        }
        gr_sample_destroy(&sample);
    }
    return NULL;
}

static void test_threads(void)
{
    enum { THREADS = 4 };
    char *dir = in_dir("threads");
    gr_dataset *d = NULL;
    pthread_t threads[THREADS];
    reader readers[THREADS];
    GR_CHECK_OK(write_set(dir, 60, 500));
    if (GR_CHECK_OK(gr_dataset_open(dir, &d))) {
        for (int i = 0; i < THREADS; i++) {
            readers[i] = (reader){d, i * 13, 0};
            GR_CHECK(pthread_create(&threads[i], NULL, read_all, &readers[i]) == 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            GR_CHECK_INT(readers[i].bad, 0);
        }
        gr_dataset_close(&d);
    }
    GR_FREE(dir);
}

/// Every request for memory fails once: the error comes out and nothing leaks.
static void test_memory_failures(void)
{
    char *dir = in_dir("memory");
    gr_err err = GR_ERR_MEMORY;
    int64_t n = 0;
    while (err == GR_ERR_MEMORY && n < 1000) {
        bool same = true;
        int64_t before = gr_mem_used();
        gr_mem_fail_at(++n);
        err = write_set(dir, 3, 400);
        if (err == GR_OK) {
            err = read_set(dir, &same);
        }
        gr_mem_fail_at(0);
        GR_CHECK(same);
        GR_CHECK_INT(gr_mem_used(), before);
        GR_CHECK_OK(gr_dir_remove(dir));
    }
    GR_CHECK_OK(err);
    GR_CHECK(n > 50);
    GR_FREE(dir);
}

static const gr_test tests[] = {
    {"round_trip", test_round_trip},
    {"digest", test_digest},
    {"sample_id", test_sample_id},
    {"same_bytes", test_same_bytes},
    {"empty", test_empty},
    {"only_text", test_only_text},
    {"not_empty_folder", test_not_empty_folder},
    {"unfinished", test_unfinished},
    {"two_writers", test_two_writers},
    {"tokens", test_tokens},
    {"every_byte", test_every_byte},
    {"damaged_sample", test_damaged_sample},
    {"wrong_size", test_wrong_size},
    {"many_shards", test_many_shards},
    {"manifest_lies", test_manifest_lies},
    {"verify", test_verify},
    {"bad_manifest", test_bad_manifest},
    {"wrong_schema", test_wrong_schema},
    {"not_hdf5", test_not_hdf5},
    {"threads", test_threads},
    {"memory_failures", test_memory_failures},
};
GR_TEST_MAIN("shard", tests)
