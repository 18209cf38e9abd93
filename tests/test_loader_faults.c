/// What the loader refuses, drops and gives back: bad options, samples and shards, memory.

#include "src/base/log.h"
#include "tests/loader_support.h"

#include <unistd.h>

static void test_bad_options(void)
{
    gr_loader *loader = NULL;
    if (!set_up()) {
        return;
    }
    gr_loader_options o = options_of(4, 5, true);
    GR_CHECK_ERR(gr_loader_create(&o, &loader), GR_ERR_RECIPE,
                 "a global batch of 4 in 5 lanes: each lane needs a sample");
    o = options_of(0, 0, true);
    GR_CHECK_ERR(gr_loader_create(&o, &loader), GR_ERR_RECIPE, "a global batch of 0");
    o = options_of(4, 2, true);
    o.sequence_length = 0;
    GR_CHECK_ERR(gr_loader_create(&o, &loader), GR_ERR_RECIPE, "sequence_length 0");
    o = options_of(4, 2, true);
    whole.from = 0.5;
    whole.to = 0.5;
    GR_CHECK_ERR(gr_loader_create(&o, &loader), GR_ERR_RECIPE, "the part from 0.5 to 0.5");
    whole.to = 0.500001;
    GR_CHECK_ERR(gr_loader_create(&o, &loader), GR_ERR_DATA, "no samples");
    o.source_count = 0;
    GR_CHECK_ERR(gr_loader_create(&o, &loader), GR_ERR_DATA, "no samples");
    GR_CHECK(loader == NULL);
}

/// Changes a byte of the first place in the shards of the data set "odd" that has this text.
static void damage(const char *text)
{
    bool hit = false;
    for (int k = 0; k < 9 && !hit; k++) {
        char *path = gr_str_format("%s/odd/shard-0000%d.h5", gr_test_dir(), k), *data = NULL;
        size_t size = 0;
        if (gr_file_exists(path) && GR_CHECK_OK(gr_file_read(path, 0, &data, &size))) {
            char *at = memmem(data, size, text, strlen(text));
            hit = at != NULL;
            if (hit) {
                *at = 'B';
                GR_CHECK_OK(gr_file_write(path, data, size));
            }
        }
        GR_FREE(data);
        GR_FREE(path);
    }
    GR_CHECK(hit);
}

/// Lane 0 of step 1 holds sample 4 and fails with this, read ahead or not; step 0 does not.
static void check_fails(gr_loader_options options, const char *message)
{
    for (int announced = 0; announced < 2; announced++) {
        const gr_lane_batch *lane = NULL;
        gr_loader *loader = create(options);
        if (!loader) {
            return;
        }
        if (announced) {
            GR_CHECK_OK(gr_loader_expect(loader, 0, 4, 0, 1));
        }
        GR_CHECK_OK(gr_loader_lane(loader, 0, 0, &lane));
        GR_CHECK_ERR(gr_loader_lane(loader, 1, 0, &lane), GR_ERR_DATA, message);
        GR_CHECK_ERR(gr_loader_lane(loader, 1, 0, &lane), GR_ERR_DATA, message);
        gr_loader_destroy(&loader);
    }
}

static void check_odd_sample(const char *text, const char *message)
{
    gr_loader_options options = options_of(4, 1, false);
    gr_dataset *odd = NULL;
    if (GR_CHECK_OK(make_set("odd", text, &odd))) {
        whole.dataset = odd;
        check_fails(options, message);
        gr_dataset_close(&odd);
    }
}

static void test_bad_samples(void)
{
    if (!set_up()) {
        return;
    }
    check_odd_sample("{", "/odd: sample 4 (\"s4\"): conversation");
    check_odd_sample("{}", "conversations");
    check_odd_sample("{\"conversations\": [{\"from\": \"cat\", \"value\": \"x\"}]}",
                     "from \"cat\", expected human, gpt or system");
    check_odd_sample("{\"conversations\": [{\"from\": \"gpt\", \"value\": \"x\"}]}",
                     "0 <image> placeholders and 1 image");
    char text[512], value[128];
    memset(value, '7', sizeof value);
    value[sizeof value - 1] = '\0';
    snprintf(text, sizeof text,
             "{\"conversations\": [{\"from\": \"human\", \"value\": \"%s\"}, {\"from\": "
             "\"gpt\", \"value\": \"x\"}]}",
             value);
    check_odd_sample(text,
                     "tokens, but sequence_length is 60: raise it or take the sample out");
}

/// Sample 4 has this text, or (NULL) a picture that is damaged; dropped, it counts nothing, is listed, and all else
/// is as it was.
static void check_drop(const char *text, const char *reason)
{
    for (int announced = 0; announced < 2; announced++) {
        gr_dataset *odd = NULL;
        gr_loader_options options = options_of(SAMPLES, 1, false);
        const gr_lane_batch *lane = NULL;
        if (!GR_CHECK_OK(make_set("odd", text, &odd))) {
            return;
        }
        whole.dataset = odd;
        if (!text) {
            damage("bird 4");
        }
        options.drop = true;
        options.epochs = 1;
        gr_loader *loader = create(options);
        if (announced && loader) {
            GR_CHECK_OK(gr_loader_expect(loader, 0, 1, 0, 1));
        }
        if (loader && GR_CHECK_OK(gr_loader_lane(loader, 0, 0, &lane))) {
            int64_t found = 0, targets = 0;
            for (int64_t b = 0; b < lane->count; b++) {
                for (int64_t s = 0; s < lane->batches[b].sequences; s++) {
                    found += recognise(&lane->batches[b], s) >= 0;
                }
                for (int64_t t = 0; t < lane->batches[b].tokens; t++) {
                    targets += lane->batches[b].targets[t] != -100;
                }
            }
            GR_CHECK_INT(found, SAMPLES - 1);
            GR_CHECK_INT(lane->samples, SAMPLES);
            GR_CHECK_INT(lane->targets, targets);
            GR_CHECK_INT(lane->dropped, 1);
            GR_CHECK(lane->drops[0].dataset == odd && lane->drops[0].index == 4);
            GR_CHECK(strstr(lane->drops[0].reason, reason) != NULL);
        }
        gr_loader_destroy(&loader);
        gr_dataset_close(&odd);
    }
}

static void test_drop(void)
{
    if (!set_up()) {
        return;
    }
    check_drop("{", "sample 4 (\"s4\"): conversation");
    check_drop("{\"conversations\": [{\"from\": \"cat\", \"value\": \"x\"}]}", "from \"cat\"");
    check_drop(NULL, "sample 4 (\"s4\", number 4 of the data set) is damaged");
    gr_loader_options options = options_of(SAMPLES, 1, false); // too many pictures in one
    const gr_lane_batch *lane = NULL;
    options.drop = true;
    options.max_images = 1;
    gr_loader *loader = create(options);
    if (loader && GR_CHECK_OK(gr_loader_lane(loader, 0, 0, &lane))) {
        GR_CHECK_INT(lane->dropped, 7);
        GR_CHECK_INT(lane->images, 8);
    }
    gr_loader_destroy(&loader);
}

/// A shard that cannot be read is no bad sample: the run stops even when samples may be dropped.
static void test_drop_no_shard(void)
{
    if (!set_up()) {
        return;
    }
    gr_dataset *odd = NULL;
    gr_loader_options options = options_of(1, 1, false);
    char *path = gr_str_format("%s/odd/shard-00000.h5", gr_test_dir());
    if (set_up() && GR_CHECK_OK(make_set("odd", NULL, &odd))) {
        whole.dataset = odd;
        options.drop = true;
        GR_CHECK_OK(gr_file_write(path, "no such format", 14));
        gr_loader *loader = create(options);
        const gr_lane_batch *lane = NULL;
        GR_CHECK_ERR(gr_loader_lane(loader, 0, 0, &lane), GR_ERR_DATA, "the file has 14 bytes");
        GR_CHECK_OK(gr_loader_expect(loader, 0, 3, 0, 1));
        GR_CHECK_ERR(gr_loader_lane(loader, 0, 0, &lane), GR_ERR_DATA, "the file has 14 bytes");
        gr_loader_destroy(&loader);
        gr_dataset_close(&odd);
    }
    GR_FREE(path);
}

/// Limits and models that sample 4 or 5 (step 1 of lane 0 holds 4 alone) does not fit.
static void test_no_fit(void)
{
    if (!set_up()) {
        return;
    }
    gr_loader_options options = options_of(2, 1, false);
    options.max_images = 1; // step 1 holds samples 2 (2 images) and 3
    check_fails(options, "set: sample 2 (\"s2\"): 2 images, but max_images is 1: raise it");
    options = options_of(1, 1, false);
    options.vision = NULL;
    check_fails(options, "sample 1 (\"s1\"): 1 image, but the model has no vision part");
}

static void test_damaged(void)
{
    gr_dataset *damaged = NULL;
    if (!set_up() || !GR_CHECK_OK(make_set("odd", NULL, &damaged))) {
        return;
    }
    gr_loader_options options = options_of(1, 1, false);
    damage("bird 1");
    whole.dataset = damaged;
    check_fails(options, "shard-00000.h5: sample 1 (\"s1\", number 1 of the data set) is "
                         "damaged: content id ");
    gr_dataset_close(&damaged);
}

/// The same of a text that is kept from measuring and not read again: so are those of later windows.
static void test_damaged_kept(void)
{
    enum { BATCH = 5, AT = 20 / BATCH };
    for (int announced = 0; set_up() && announced < 2; announced++) {
        gr_dataset *damaged = NULL;
        if (!GR_CHECK_OK(make_set("odd", NULL, &damaged))) {
            return;
        }
        gr_loader_options options = options_of(BATCH, 1, false);
        damage("bird 20");
        whole.dataset = damaged;
        gr_loader *loader = create(options);
        const gr_lane_batch *lane = NULL;
        if (announced) {
            GR_CHECK_OK(gr_loader_expect(loader, 0, AT + 1, 0, 1));
        }
        for (int64_t step = 0; step < AT; step++) {
            GR_CHECK_OK(gr_loader_lane(loader, step, 0, &lane));
        }
        GR_CHECK_ERR(gr_loader_lane(loader, AT, 0, &lane), GR_ERR_DATA,
                     "(\"s20\", number 20 of the data set) is damaged: content id ");
        gr_loader_destroy(&loader);
        gr_dataset_close(&damaged);
    }
}

/// Destroying does not wait for what was announced.
static void test_destroy(void)
{
    for (int k = 0; set_up() && k < 50; k++) {
        gr_loader *loader = create(options_of(10000, 1, true));
        if (loader) {
            double start = gr_clock();
            GR_CHECK_OK(gr_loader_expect(loader, 0, 1000000, 0, 1));
            gr_loader_destroy(&loader);
            GR_CHECK(gr_clock() - start <
                     5); // one step of 10000 samples takes longer than 50 of these
        }
    }
}

/// Lanes use the same memory again: nothing grows after the largest. (What is kept of a window has the size that the one
/// before it needed, so it is there from the second window on.)
static void test_memory_stays(void)
{
    gr_loader *loader = set_up() ? create(options_of(SAMPLES, LANES, false)) : NULL;
    int64_t used = 0;
    if (!loader) {
        return;
    }
    for (int64_t step = 0; step < 6; step++) {
        for (int64_t lane = 0; lane < LANES; lane++) {
            digest_lane(loader, step, lane);
        }
        GR_CHECK(step <= 1 || gr_mem_used() == used);
        used = gr_mem_used();
    }
    gr_loader_destroy(&loader);
}

/// Bytes of the process in memory now.
static int64_t resident(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file) {
        (void)!fscanf(file, "%*d %lld", &pages);
        fclose(file);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

#if defined(__SANITIZE_ADDRESS__)
/// Freed memory that the sanitizer keeps back (256 MiB unless told) is resident, and no growth of ours.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=8";
}
#endif

/// 100,000 samples through the threads (fewer where sanitizers watch): what is in use does not grow after the first
/// tenth.
static void test_memory_flat(void)
{
    if (!set_up()) {
        return;
    }
#if defined(__SANITIZE_ADDRESS__) || defined(GRADUS_TSAN)
    enum {
        COUNT = 5000,
        BATCH_SAMPLES = 50,
        GROWTH = 32 << 20
    }; // freed memory is kept back for a while
#else
    enum { COUNT = 100000, BATCH_SAMPLES = 50, GROWTH = 2 << 20 };
#endif
    gr_loader_options options = options_of(BATCH_SAMPLES, 2, true);
    options.window = 4;
    options.threads = 3;
    gr_loader *loader = set_up() ? create(options) : NULL;
    int64_t used = 0, pages = 0, samples = 0;
    if (!loader) {
        return;
    }
    GR_CHECK_OK(gr_loader_expect(loader, 0, COUNT / BATCH_SAMPLES, 0, 2));
    for (int64_t step = 0; step < COUNT / BATCH_SAMPLES; step++) {
        const gr_lane_batch *lane = NULL;
        for (int64_t l = 0; l < 2 && GR_CHECK_OK(gr_loader_lane(loader, step, l, &lane)); l++) {
            samples += lane->samples;
        }
        if (step == COUNT / BATCH_SAMPLES / 10) {
            used = gr_mem_peak();
            pages = resident();
        }
    }
    GR_CHECK_INT(samples, COUNT);
    GR_CHECK(gr_mem_peak() - used < 1 << 18); // a larger lane may still come
    GR_CHECK(resident() - pages < GROWTH);
    printf("%lld samples, %lld KiB more resident than after a tenth ", (long long)samples,
           (long long)(resident() - pages) / 1024);
    gr_loader_destroy(&loader);
}

/// Two windows: what the second keeps has a place.
static gr_err load_some(bool announced)
{
    gr_err err = GR_OK;
    gr_loader *loader = NULL;
    const gr_lane_batch *lane = NULL;
    gr_loader_options options = options_of(6, 2, true);
    GR_TRY(gr_loader_create(&options, &loader));
    if (announced) {
        GR_TRY(gr_loader_expect(loader, 0, 2, 0, 2));
    }
    for (int64_t k = 0; k < 4; k++) {
        GR_TRY(gr_loader_lane(loader, k / 2, k % 2, &lane));
    }
done:
    gr_loader_destroy(&loader);
    return err;
}

static void test_memory_failures(void)
{
    for (int announced = 0; set_up() && announced < 2; announced++) {
        gr_err err = GR_ERR_MEMORY;
        GR_CHECK_OK(load_some(announced)); // what the data set keeps is there already
        for (int64_t n = 1; err == GR_ERR_MEMORY && n < 5000; n++) {
            int64_t before = gr_mem_used();
            gr_mem_fail_at(n);
            err = load_some(announced);
            gr_mem_fail_at(0);
            GR_CHECK_INT(gr_mem_used(), before);
        }
        GR_CHECK_OK(err);
    }
}

static const gr_test tests[] = {
    {"bad_options", test_bad_options},
    {"bad_samples", test_bad_samples},
    {"no_fit", test_no_fit},
    {"damaged", test_damaged},
    {"damaged_kept", test_damaged_kept},
    {"drop", test_drop},
    {"drop_no_shard", test_drop_no_shard},
    {"destroy", test_destroy},
    {"memory_stays", test_memory_stays},
    {"memory_flat", test_memory_flat},
    {"memory_failures", test_memory_failures},
    {"tear_down", test_tear_down},
};
GR_TEST_MAIN("loader: faults and memory", tests)
