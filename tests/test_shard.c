/// Writing and reading shards and data sets. Damage: test_shard_damage.c.

#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/shard_support.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_round_trip(void)
{
    char *dir = scratch_path("round");
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
    char *one = scratch_path("one"), *many = scratch_path("many"),
         *fewer = scratch_path("fewer");
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
    char *a = scratch_path("bytes_a"), *b = scratch_path("bytes_b");
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
    char *dir = scratch_path("empty");
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
    char *dir = scratch_path("only_text");
    bool same = true;
    GR_CHECK_OK(write_set(dir, 1, 0)); // sample 0 has no image: image_bytes is empty
    GR_CHECK_OK(read_set(dir, &same));
    GR_CHECK(same);
    GR_FREE(dir);
}

static void test_not_empty_folder(void)
{
    char *dir = scratch_path("round2");
    gr_dataset_writer *writer = NULL;
    GR_CHECK_OK(write_set(dir, 2, 0));
    GR_CHECK_ERR(gr_dataset_writer_create(dir, 0, &writer), GR_ERR_USAGE,
                 "is a data set already");
    GR_CHECK(writer == NULL);
    GR_FREE(dir);
}

/// Given up: shards are taken back. Killed: they stay, but without manifest they are no data set.
static void test_unfinished(void)
{
    char *dir = scratch_path("unfinished");
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
    char *dir = scratch_path("two");
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
    GR_CHECK_ERR(gr_dataset_writer_create(dir, 0, &second), GR_ERR_USAGE,
                 "is a data set already");
    char *work = gr_str_format("%s/.work", dir);
    GR_CHECK(!gr_dir_exists(work));
    GR_FREE(work);
    GR_FREE(dir);
}

/// Token counts: the texts alone, by each tokenizer; what the tables say about samples needs no bytes of theirs.
static void test_tokens(void)
{
    char *dir = scratch_path("tokens");
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
    char *dir = scratch_path("many_shards");
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
    char *dir = scratch_path("threads");
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
    char *dir = scratch_path("memory");
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
    {"many_shards", test_many_shards},
    {"threads", test_threads},
    {"memory_failures", test_memory_failures},
};
GR_TEST_MAIN("shard", tests)
