/// What the loader makes of samples, and in which order: the same for any number of lanes, ranks and threads, and
/// from any step on.

#include "datasets/frame.h"
#include "datasets/order.h"
#include "tests/loader_support.h"

#include <fcntl.h>
#include <unistd.h>

static void check_pixels(const gr_batch *batch, int64_t image, int64_t n, int64_t i)
{
    unsigned char rgb[3];
    colour(n, i, rgb);
    for (int c = 0; c < 3; c++) {
        float want = (float)((rgb[c] / 255.0 - vision.image_mean[c]) / vision.image_std[c]);
        float first = pixel_value(batch, IMAGE, image, c, 0);
        float last = pixel_value(batch, IMAGE, image, c, IMAGE * IMAGE - 1);
        GR_CHECK_CLOSE(&first, &want, 1, 1e-6, 1e-6);
        GR_CHECK_CLOSE(&last, &want, 1, 1e-6, 1e-6);
    }
}

/// Checks one microbatch against its samples and counts them.
static void check_batch(const gr_batch *batch, int64_t seen[SAMPLES])
{
    int32_t context = gr_tokenizer_id(tokenizer, "<IMG_CONTEXT>");
    int64_t image = 0;
    GR_CHECK_INT(batch->cu_seqlens[0], 0);
    GR_CHECK_INT(batch->cu_seqlens[batch->sequences], batch->tokens);
    for (int64_t s = 0; s < batch->sequences; s++) {
        int64_t from = batch->cu_seqlens[s], n = recognise(batch, s);
        if (!GR_CHECK(n >= 0)) {
            continue;
        }
        seen[n]++;
        for (int64_t t = from; t < batch->cu_seqlens[s + 1]; t++) {
            GR_CHECK_INT(batch->positions[t], t - from);
        }
        for (int64_t i = 0; i < image_count(n); i++, image++) {
            check_pixels(batch, image, n, i);
        }
    }
    GR_CHECK_INT(batch->images, image);
    int64_t rows = 0;
    for (int64_t t = 0; t < batch->tokens; t++) {
        if (batch->ids[t] == context) {
            GR_CHECK_INT(batch->image_rows[rows++], t);
        }
    }
    GR_CHECK_INT(rows, image * IMAGE_TOKENS);
}

/// Microbatches hold what they should, within the limits.
static void test_content(void)
{
    gr_loader *loader = set_up() ? create(options_of(31, 1, false)) : NULL;
    const gr_lane_batch *lane = NULL;
    if (loader && GR_CHECK_OK(gr_loader_lane(loader, 0, 0, &lane))) {
        int64_t seen[SAMPLES] = {0}, tokens = 0, targets = 0, images = 0;
        GR_CHECK(lane->count > 5);
        for (int64_t b = 0; b < lane->count; b++) {
            const gr_batch *batch = &lane->batches[b];
            GR_CHECK(batch->tokens <= 60 && batch->images <= 3);
            check_batch(batch, seen);
            tokens += batch->tokens;
            images += batch->images;
            for (int64_t t = 0; t < batch->tokens; t++) {
                targets += batch->targets[t] != -100;
            }
        }
        for (int64_t n = 0; n < SAMPLES; n++) {
            GR_CHECK_INT(seen[n], n < 31 - SAMPLES ? 2 : 1);
        }
        GR_CHECK_INT(lane->samples, 31);
        GR_CHECK_INT(lane->tokens, tokens);
        GR_CHECK_INT(lane->targets, targets);
        GR_CHECK_INT(lane->images, images);
        GR_CHECK_INT(lane->dropped, 0);
    }
    gr_loader_destroy(&loader);
}

/// A step holds the same samples, however many lanes cut it.
static void test_lanes(void)
{
    enum { BATCH = 7 };
    int64_t want[BATCH] = {0}, count = 0;
    gr_loader *loader = set_up() ? create(options_of(BATCH, 1, true)) : NULL;
    if (!loader) {
        return;
    }
    list_step(loader, 2, 1, want, &count);
    GR_CHECK_INT(count, BATCH);
    gr_loader_destroy(&loader);
    for (int64_t lanes = 2; lanes <= BATCH; lanes++) {
        int64_t got[BATCH] = {0};
        count = 0;
        loader = create(options_of(BATCH, lanes, true));
        list_step(loader, 2, lanes, got, &count);
        GR_CHECK_INT(count, BATCH);
        GR_CHECK_BYTES(got, want, sizeof want);
        gr_loader_destroy(&loader);
    }
}

/// Each epoch is a permutation of all samples, and another one; the order is gr_order's.
static void test_epochs(void)
{
    enum { BATCH = 6, TWO_EPOCHS = 12 };
    int64_t list[BATCH * TWO_EPOCHS], count = 0, same = 0;
    gr_loader *loader = set_up() ? create(options_of(BATCH, 4, true)) : NULL;
    if (!loader) {
        return;
    }
    GR_CHECK_INT(gr_loader_epoch_size(loader), SAMPLES);
    int64_t seen[3][SAMPLES] = {{0}};
    for (int64_t step = 0; step < TWO_EPOCHS; step++) {
        int64_t want[BATCH];
        for (int64_t k = 0; k < BATCH; k++) {
            int64_t g = step * BATCH + k;
            want[k] = gr_order(5, 6, g / SAMPLES, SAMPLES, g % SAMPLES);
            seen[g / SAMPLES < 3 ? g / SAMPLES : 2][want[k]] += g < 3 * (int64_t)SAMPLES;
            same += g >= SAMPLES && want[k] == gr_order(5, 6, 0, SAMPLES, g % SAMPLES);
        }
        list_step(loader, step, 4, list, &count);
        sort(want, BATCH);
        GR_CHECK_BYTES(list + step * BATCH, want, sizeof want);
    }
    for (int64_t k = 0; k < 3 * SAMPLES; k++) {
        GR_CHECK_INT(seen[k / SAMPLES][k % SAMPLES], 1);
    }
    GR_CHECK(same < SAMPLES);
    gr_loader_destroy(&loader);
}

/// A step larger than an epoch goes on into the next one.
static void test_large_batch(void)
{
    enum { BATCH = 2 * SAMPLES + 5 };
    int64_t list[BATCH], count = 0;
    gr_loader *loader = set_up() ? create(options_of(BATCH, 3, false)) : NULL;
    if (loader) {
        list_step(loader, 0, 3, list, &count);
        GR_CHECK_INT(count, BATCH);
        for (int64_t i = 0; i < count; i++) { // sorted: 0 to 4 three times, the others twice
            GR_CHECK_INT(list[i], i < 15 ? i / 3 : (i - 5) / 2);
        }
    }
    gr_loader_destroy(&loader);
}

/// Digests of all lanes of steps 0 .. 7, one after another, without reading ahead.
static void reference(gr_digest want[STEPS][LANES])
{
    gr_loader *loader = create(options_of(8, LANES, true));
    for (int64_t k = 0; loader && k < STEPS * LANES; k++) {
        want[k / LANES][k % LANES] = digest_lane(loader, k / LANES, k % LANES);
    }
    gr_loader_destroy(&loader);
}

/// Reading ahead changes nothing; neither do lanes that were not announced.
static void test_expect(void)
{
    gr_digest want[STEPS][LANES] = {0};
    gr_loader *loader = set_up() ? create(options_of(8, LANES, true)) : NULL;
    if (!loader) {
        return;
    }
    reference(want);
    GR_CHECK_OK(gr_loader_expect(loader, 0, STEPS, 1, 2));
    for (int64_t step = 0; step < STEPS; step++) {
        for (int64_t lane = 1; lane < LANES; lane++) {
            GR_CHECK(gr_digest_equal(digest_lane(loader, step, lane), want[step][lane]));
            if (step % 2) { // not in the plan
                GR_CHECK(gr_digest_equal(digest_lane(loader, step, 0), want[step][0]));
            }
        }
    }
    GR_CHECK(gr_loader_waited(loader) > 0);
    GR_CHECK(gr_digest_equal(digest_lane(loader, 3, 1), want[3][1])); // the plan is over
    gr_loader_destroy(&loader);
}

/// A new loader at any step, and a loader sent elsewhere, give what the sequence gave.
static void test_jump(void)
{
    static const int64_t jumps[] = {5, 2, 2, 7, 0, 6};
    gr_digest want[STEPS][LANES] = {0};
    gr_loader *loader = set_up() ? create(options_of(8, LANES, true)) : NULL;
    if (!loader) {
        return;
    }
    reference(want);
    for (size_t j = 0; j < sizeof jumps / sizeof jumps[0]; j++) {
        int64_t step = jumps[j];
        GR_CHECK_OK(gr_loader_expect(loader, step, STEPS, 0, LANES));
        for (int64_t lane = 0; lane < LANES - 1; lane++) {
            GR_CHECK(gr_digest_equal(digest_lane(loader, step, lane), want[step][lane]));
        }
    }
    gr_loader_destroy(&loader);
}

/// The lane in the caller's hands stays as it is while new plans are made.
static void test_held(void)
{
    gr_loader *loader = set_up() ? create(options_of(8, LANES, true)) : NULL;
    const gr_lane_batch *lane = NULL;
    if (!loader) {
        return;
    }
    GR_CHECK_OK(gr_loader_expect(loader, 0, 100, 0, LANES));
    for (int64_t k = 0; k < 20; k++) {
        if (GR_CHECK_OK(gr_loader_lane(loader, k, 0, &lane))) {
            gr_digest before = digest_view(lane);
            GR_CHECK_OK(gr_loader_expect(loader, k + 1, 100, 0, LANES));
            GR_CHECK(gr_digest_equal(before, digest_view(lane)));
        }
    }
    gr_loader_destroy(&loader);
}

/// A validation pass: every sample once, the last step cut short, lanes beyond the end empty.
static void test_limit(void)
{
    if (!set_up()) {
        return;
    }
    enum { BATCH = 7 };
    for (int announced = 0; announced < 2; announced++) {
        int64_t list[SAMPLES + BATCH], count = 0;
        gr_loader_options options = options_of(BATCH, LANES, false);
        options.epochs = 1;
        gr_loader *loader = set_up() ? create(options) : NULL;
        if (!loader) {
            return;
        }
        GR_CHECK_INT(gr_loader_steps(loader), 4);
        if (announced) {
            GR_CHECK_OK(gr_loader_expect(loader, 0, 4, 0, LANES));
        }
        for (int64_t step = 0; step < 4; step++) {
            list_step(loader, step, LANES, list, &count);
        }
        GR_CHECK_INT(count, SAMPLES);
        for (int64_t i = 0; i < count; i++) {
            GR_CHECK_INT(list[i], i);
        }
        const gr_lane_batch *lane = NULL;
        GR_CHECK_OK(gr_loader_lane(loader, 9, 1, &lane));
        GR_CHECK(lane && lane->count == 0 && lane->samples == 0 && lane->tokens == 0);
        gr_loader_destroy(&loader);
    }
}

/// Windows of several steps: over an epoch and a half every position is used once, the last window being shorter; a step has
/// about its share, and every lane a row.
static void test_windows(void)
{
    if (!set_up()) {
        return;
    }
    enum { BATCH = 5, WINDOW = 3 };
    int64_t list[2 * SAMPLES], count = 0, seen[SAMPLES] = {0};
    gr_loader_options options = options_of(BATCH, 2, true);
    options.window = WINDOW;
    options.epochs = 1.5;
    gr_loader *loader = set_up() ? create(options) : NULL;
    if (!loader) {
        return;
    }
    int64_t want = 35, steps = gr_loader_steps(loader); // 1.5 times 23, rounded
    GR_CHECK_INT(steps, 7);
    for (int64_t step = 0; step < steps; step++) {
        for (int64_t lane = 0; lane < 2; lane++) {
            int64_t before = count;
            list_lane(loader, step, lane, list, &count);
            GR_CHECK(count > before);
        }
        if (step % WINDOW == WINDOW - 1) {
            GR_CHECK_INT(count, (step + 1) * BATCH);
        }
    }
    GR_CHECK_INT(count, want);
    for (int64_t i = 0; i < count; i++) {
        seen[list[i]]++;
    }
    for (int64_t n = 0; n < SAMPLES; n++) {
        int64_t again = 0;
        for (int64_t k = 0; k < want - SAMPLES; k++) {
            again += gr_order(5, 6, 1, SAMPLES, k) == n;
        }
        GR_CHECK_INT(seen[n], 1 + again);
    }
    gr_loader_destroy(&loader);
}

/// Digests of all lanes of the steps from `step` on, each rank reading its own with so many threads.
static void run_ranks(int64_t ranks, int threads, int64_t step, gr_digest got[STEPS][8])
{
    gr_loader_options options = options_of(16, 8, true);
    options.window = 3;
    options.threads = threads;
    for (int64_t r = 0; r < ranks; r++) {
        int64_t first = r * 8 / ranks, end = (r + 1) * 8 / ranks;
        gr_loader *loader = create(options);
        GR_CHECK_OK(gr_loader_expect(loader, step, STEPS, first, end - first));
        for (int64_t s = step; s < STEPS; s++) {
            for (int64_t lane = first; lane < end; lane++) {
                got[s][lane] = digest_lane(loader, s, lane);
            }
        }
        gr_loader_destroy(&loader);
    }
}

/// Calls of read() and pread() of this process so far; -1 where the system does not say.
static int64_t count_reads(void)
{
    long long reads = -1;
    FILE *file = fopen("/proc/self/io", "r");
    if (file && fscanf(file, "rchar: %*d wchar: %*d syscr: %lld", &reads) != 1) {
        reads = -1;
    }
    if (file) {
        fclose(file);
    }
    return reads;
}

/// Where a sample lies is asked once, and its text is read once: to measure it takes 4 reads (pictures, text's place, text, sides), to
/// fill it in 3 (content id, sizes, bytes); where what was encoded has no place, as in a loader's first window, 5 (text and sides again).
static void test_reads(void)
{
    enum { FIRST = 9, KEPT = 7, OWN = 4 }; // OWN: those of /proc/self/io
    const gr_lane_batch *lane = NULL;
    if (!set_up()) {
        return;
    }
    gr_loader *loader = create(options_of(SAMPLES, 1, true)), *second = NULL;
    GR_CHECK(loader &&
             GR_CHECK_OK(gr_loader_lane(loader, 0, 0, &lane))); // gets to know the shards
    second = create(options_of(SAMPLES, 1, true));
    for (int64_t step = 0; second && step < 2; step++) {
        int64_t before = count_reads();
        if (GR_CHECK_OK(gr_loader_lane(second, step, 0, &lane))) {
            int64_t reads = count_reads() - before;
            GR_CHECK_INT(lane->samples, SAMPLES);
            GR_CHECK(before < 0 || reads <= SAMPLES * (step ? KEPT : FIRST) + OWN);
        }
    }
    gr_loader_destroy(&loader);
    gr_loader_destroy(&second);
}

/// The same order, rows and bits of pixels for any number of ranks and threads, and from any step on.
static void test_ranks(void)
{
    static const int64_t ranks[] = {2, 3, 4, 8};
    gr_digest want[STEPS][8], got[STEPS][8];
    if (!set_up()) {
        return;
    }
    run_ranks(1, 1, 0, want);
    for (size_t k = 0; k < sizeof ranks / sizeof ranks[0]; k++) {
        memset(got, 0, sizeof got);
        run_ranks(ranks[k], 1 + (int)k, 0, got);
        GR_CHECK_BYTES(got, want, sizeof want);
    }
    for (int64_t step = 1; step < STEPS; step++) {
        memset(got, 0, sizeof got);
        run_ranks(1 + step % 3, 2, step, got);
        GR_CHECK_BYTES(got[step], want[step], (size_t)(STEPS - step) * sizeof want[0]);
    }
}

/// Texts whose tokens a count tells, or does not: images in front, a placeholder that is ordinary text, nothing that fits.
static const struct {
    const char *text;
    int64_t images;
} counted_texts[] = {
    {"{'conversations': [{'from': 'human', 'value': 'bird?'}, {'from': 'gpt', 'value': 'duck'}]}",
     0},
    {"{'conversations': [{'from': 'human', 'value': '<image>\\nwhat duck?'}, {'from': 'gpt', 'value': 'a bird'}]}",
     1},
    {"{'conversations': [{'from': 'human', 'value': 'a<image>b<image>'}, {'from': 'gpt', 'value': 'bird bird'}]}",
     2},
    {"{'conversations': [{'from': 'human', 'value': 'what?'}, {'from': 'gpt', 'value': 'in front'}]}",
     1},
    {"{'conversations': [{'from': 'system', 'value': 'duck'}, {'from': 'human', 'value': 'what'}, {'from': 'gpt', 'value': 'say <image>'}]}",
     0},
    {"{'conversations': [{'from': 'human', 'value': 'a'}, {'from': 'gpt', 'value': 'b'}, {'from': 'human', 'value': 'user'}, {'from': 'gpt', 'value': 'duck user'}]}",
     0},
    {"{'conversations': [{'from': 'human', 'value': 'no answer'}]}", 0},
    {"{'conversations': [{'from': 'human', 'value': 'bird bird duck ducks 0123456789 0123456789 0123456789 0123456789 0123456789'}, {'from': 'gpt', 'value': 'b'}]}",
     0},
};
enum { COUNTED_TEXTS = sizeof counted_texts / sizeof counted_texts[0], COUNTED = 40 };

/// A data set "counted" of COUNTED of these in turn, with token counts or without.
static gr_err make_counted(bool counts, gr_dataset **out)
{
    gr_err err = GR_OK;
    gr_dataset_writer *writer = NULL;
    char *dir = gr_str_format("%s/counted", gr_test_dir()), text[512];
    unsigned char *webp = NULL, rgb[5 * 3 * 3] = {9, 8, 7};
    size_t size = 0;
    const gr_image image = {5, 3, rgb};
    const int32_t pixels[2][2] = {{5, 3}, {5, 3}};
    const gr_tokenizer *counter = tokenizer;
    GR_TRY(gr_image_encode_webp(&image, -1, &webp, &size));
    GR_TRY(gr_dir_remove(dir));
    GR_TRY(gr_dataset_writer_create(dir, 0, &writer));
    if (counts) {
        GR_TRY(gr_dataset_writer_count_tokens(writer, &counter, 1));
    }
    for (int n = 0; n < COUNTED; n++) {
        const unsigned char *images[2] = {webp, webp};
        const size_t sizes[2] = {size, size};
        snprintf(text, sizeof text, "%s", counted_texts[n % COUNTED_TEXTS].text);
        for (char *c = text; *c; c++) {
            *c = *c == '\'' ? '"' : *c;
        }
        const gr_sample sample = {.source = "counted",
                                  .text = text,
                                  .text_size = strlen(text),
                                  .images = counted_texts[n % COUNTED_TEXTS].images,
                                  .image = images,
                                  .image_size = sizes,
                                  .pixels = pixels};
        GR_TRY(gr_dataset_writer_add(writer, &sample));
    }
    GR_TRY(gr_dataset_writer_finish(writer));
    GR_TRY(gr_dataset_open(dir, out));
done:
    gr_dataset_writer_destroy(&writer);
    GR_FREE(webp);
    GR_FREE(dir);
    return err;
}

enum { COUNTED_LANES = 4, COUNTED_STEPS = 2 };

/// What each lane holds, the lanes announced `at_once`: all (their texts are encoded) or each to a loader of its own
/// (counts are believed). The first error, if any.
static gr_err run_counted(const gr_dataset *data, int64_t at_once,
                          gr_digest out[COUNTED_STEPS][COUNTED_LANES])
{
    gr_err err = GR_OK;
    gr_loader_options options = options_of(COUNTED / COUNTED_STEPS, COUNTED_LANES, true);
    whole.dataset = data;
    options.window = COUNTED_STEPS;
    options.epochs = 1;
    options.drop = true;
    for (int64_t first = 0; err == GR_OK && first < COUNTED_LANES; first += at_once) {
        const gr_lane_batch *batch = NULL;
        gr_loader *loader = create(options);
        if (!loader) {
            return GR_ERR_FAILED;
        }
        GR_CHECK_OK(gr_loader_expect(loader, 0, COUNTED_STEPS, first, at_once));
        for (int64_t i = 0; err == GR_OK && i < COUNTED_STEPS * at_once; i++) {
            int64_t step = i / at_once, lane = first + i % at_once;
            err = gr_loader_lane(loader, step, lane, &batch);
            if (err == GR_OK) {
                out[step][lane] = digest_view(batch);
            }
        }
        gr_loader_destroy(&loader);
    }
    return err;
}

/// Adds 1 to the count of the first sample, and the manifest says that this is how it was written.
static void lie(void)
{
    char *dir = gr_str_format("%s/counted", gr_test_dir());
    char *path = gr_str_format("%s/shard-00000.h5", dir), name[GRI_TOKENS_NAME];
    gri_manifest manifest = {0};
    gri_h5 *h5 = NULL;
    int64_t at = 0;
    int32_t tokens = 0;
    GR_CHECK_OK(gri_manifest_load(dir, &manifest));
    gri_tokens_name(manifest.tokenizers[0], name);
    GR_CHECK_OK(gri_h5_open(path, &h5));
    GR_CHECK_OK(gri_h5_locate_table(h5, name, GRI_H5_I32, COUNTED, 0, &at));
    gri_h5_destroy(&h5);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    GR_CHECK(pread(fd, &tokens, sizeof tokens, at) == sizeof tokens);
    tokens++;
    GR_CHECK(pwrite(fd, &tokens, sizeof tokens, at) == sizeof tokens);
    GR_CHECK_OK(gri_shard_frame(fd, path, &manifest.shards[0], &manifest.shards[0].frame));
    close(fd);
    GR_CHECK_OK(gri_manifest_save(&manifest, dir));
    gri_manifest_fini(&manifest);
    GR_FREE(path);
    GR_FREE(dir);
}

/// A rank with few lanes believes the token counts of the data set for what goes to others: the same bits. A count that lies is an
/// error of its sample, even where bad samples are left out.
static void test_counts(void)
{
    gr_digest want[COUNTED_STEPS][COUNTED_LANES], got[COUNTED_STEPS][COUNTED_LANES];
    gr_dataset *data = NULL;
    if (!set_up()) {
        return;
    }
    for (int counts = 0; counts < 2; counts++) {
        if (!GR_CHECK_OK(make_counted(counts, &data))) {
            return;
        }
        for (int64_t at_once = COUNTED_LANES; at_once >= 1; at_once /= 2) {
            memset(got, 0, sizeof got);
            GR_CHECK_OK(run_counted(data, at_once, got));
            if (counts == 0 && at_once == COUNTED_LANES) {
                memcpy(want, got, sizeof want);
            }
            GR_CHECK_BYTES(got, want, sizeof want);
        }
        gr_dataset_close(&data);
    }
    lie();
    char *dir = gr_str_format("%s/counted", gr_test_dir());
    if (GR_CHECK_OK(gr_dataset_open(dir, &data))) {
        GR_CHECK_OK(run_counted(data, COUNTED_LANES, got));
        GR_CHECK_BYTES(got, want, sizeof want);
        GR_CHECK_ERR(run_counted(data, 1, got), GR_ERR_FAILED,
                     "/counted: sample 0 (\"counted\"): ");
        gr_dataset_close(&data);
    }
    GR_FREE(dir);
}

/// Weights share the positions out; each source goes through its samples in an order of its own.
static void test_mixture(void)
{
    if (!set_up()) {
        return;
    }
    enum { DRAWS = 60 };
    gr_loader_options options = options_of(1, 1, true);
    const gr_loader_source parts[2] = {{dataset, 0, 0.5, .weight = 3},
                                       {dataset, 0.5, 1, .weight = 1}};
    options.sources = parts;
    options.source_count = 2;
    gr_loader *loader = set_up() ? create(options) : NULL;
    int64_t seen[SAMPLES] = {0}, list[DRAWS], count = 0, low = 0;
    for (int64_t i = 0; loader && i < DRAWS; i++) {
        gr_digest id;
        list_step(loader, i, 1, list, &count);
        GR_CHECK_OK(gr_dataset_id(dataset, list[i], &id));
        low += gr_order_place(id) < 0.5;
        seen[list[i]]++;
        GR_CHECK(llabs(4 * low - 3 * (i + 1)) <= 4); // never more than a sample off
    }
    for (int64_t n = 0; loader && n < SAMPLES;
         n++) { // each source evenly: counts differ by one
        gr_digest id;
        GR_CHECK_OK(gr_dataset_id(dataset, n, &id));
        for (int64_t k = 0; k < n; k++) {
            gr_digest other;
            GR_CHECK_OK(gr_dataset_id(dataset, k, &other));
            if ((gr_order_place(id) < 0.5) == (gr_order_place(other) < 0.5)) {
                GR_CHECK(llabs(seen[n] - seen[k]) <= 1);
            }
        }
    }
    gr_loader_destroy(&loader);
}

/// A source that reached its limit is out; the others go on until theirs.
static void test_repeats(void)
{
    if (!set_up()) {
        return;
    }
    gr_loader_source parts[3] = {{dataset, 0, 0.3, .weight = 10, .max_repeats = 1},
                                 {dataset, 0.3, 0.6, .weight = 1, .max_repeats = 2},
                                 {dataset, 0.6, 1, .weight = 1, .max_repeats = 1.5}};
    gr_loader_options options = options_of(1, 1, true);
    options.sources = parts;
    options.source_count = 3;
    gr_loader *loader = set_up() ? create(options) : NULL;
    int64_t seen[SAMPLES] = {0}, sizes[3] = {0}, sums[3] = {0}, list[2 * SAMPLES], count = 0;
    int64_t steps = loader ? gr_loader_steps(loader) : 0;
    GR_CHECK(steps < 2 * SAMPLES);
    for (int64_t i = 0; i < steps && i < 2 * SAMPLES; i++) {
        list_step(loader, i, 1, list, &count);
        seen[list[i]]++;
    }
    for (int64_t n = 0; n < SAMPLES && loader; n++) {
        gr_digest id;
        GR_CHECK_OK(gr_dataset_id(dataset, n, &id));
        double place = gr_order_place(id);
        int part = place < 0.3 ? 0 : place < 0.6 ? 1 : 2;
        sizes[part]++;
        sums[part] += seen[n];
    }
    GR_CHECK_INT(sums[0], sizes[0]);
    GR_CHECK_INT(sums[1], 2 * sizes[1]);
    GR_CHECK_INT(sums[2], 3 * sizes[2] / 2);
    GR_CHECK_INT(steps, sums[0] + sums[1] + sums[2]);
    gr_loader_destroy(&loader);
    options.steps = steps;
    loader = create(options);
    gr_loader_destroy(&loader);
    options.steps = steps + 1;
    GR_CHECK_ERR(gr_loader_create(&options, &loader), GR_ERR_RECIPE,
                 "samples, but max_repeats allows");
    options.steps = 0;
    parts[1].weight = 0;
    GR_CHECK_ERR(gr_loader_create(&options, &loader), GR_ERR_RECIPE,
                 "has no weight, but other");
    parts[1] = (gr_loader_source){dataset, 0.5, 0.500001, .weight = 1};
    GR_CHECK_ERR(gr_loader_create(&options, &loader), GR_ERR_DATA,
                 "has weight 1, but no sample");
    parts[0].weight = parts[1].weight = parts[2].weight =
        0; // limits alone: weights are the sizes
    loader = create(options);
    GR_CHECK(loader && gr_loader_steps(loader) > SAMPLES / 2);
    gr_loader_destroy(&loader);
}

/// Parts [0, f) are nested, parts [0, f) and [f, 1) complete each other, and sources are joined in order.
static void test_subsets(void)
{
    if (!set_up()) {
        return;
    }
    gr_loader_options options = options_of(1, 1, false);
    gr_loader_source part = {.dataset = dataset, .to = 0.3};
    options.sources = &part;
    gr_loader *third = create(options);
    part.to = 0.7;
    gr_loader *more = create(options);
    part = (gr_loader_source){.dataset = dataset, .from = 0.7, .to = 1};
    gr_loader *rest = create(options);
    const gr_loader_source both[2] = {{.dataset = dataset, .from = 0.7, .to = 1},
                                      {.dataset = dataset, .to = 0.7}};
    options.sources = both;
    options.source_count = 2;
    gr_loader *joined = create(options);
    int64_t small[SAMPLES] = {0}, large[SAMPLES] = {0}, all[SAMPLES] = {0};
    int64_t smalls = 0, larges = 0, alls = 0, inside = 0;
    for (int64_t i = 0; third && i < gr_loader_epoch_size(third); i++) {
        list_step(third, i, 1, small, &smalls);
    }
    for (int64_t i = 0; more && i < gr_loader_epoch_size(more); i++) {
        list_step(more, i, 1, large, &larges);
        inside += inside < smalls && large[i] == small[inside]; // both in file order
    }
    for (int64_t i = 0; joined && i < gr_loader_epoch_size(joined); i++) {
        list_step(joined, i, 1, all, &alls);
    }
    GR_CHECK(smalls > 0 && smalls < larges && larges < SAMPLES);
    GR_CHECK_INT(inside, smalls);
    GR_CHECK_INT(alls, SAMPLES);
    GR_CHECK(rest && gr_loader_epoch_size(rest) == SAMPLES - larges);
    GR_CHECK_BYTES(all + SAMPLES - larges, large, (size_t)larges * sizeof large[0]);
    gr_loader_destroy(&third);
    gr_loader_destroy(&more);
    gr_loader_destroy(&rest);
    gr_loader_destroy(&joined);
}

/// What sample n becomes when each of its pictures has this many tiles.
static void check_tiled(const gr_batch *batch, int64_t sequence, int64_t n, int64_t tiles,
                        int64_t image)
{
    char value[64];
    answer(n, value);
    gr_chat_sample want = {0};
    const int64_t each[2] = {tiles, tiles};
    const gr_chat_turn turns[2] = {{.text = "what?", .size = 5},
                                   {.assistant = true, .text = value, .size = strlen(value)}};
    gr_chat_options chat = {.image_tokens = IMAGE_TOKENS};
    GR_CHECK_OK(gr_chat_encode(tokenizer, &chat, turns, 2, image_count(n), each, &want));
    int64_t from = batch->cu_seqlens[sequence], to = batch->cu_seqlens[sequence + 1];
    if (GR_CHECK_INT(to - from, want.ids.count)) {
        GR_CHECK_BYTES(batch->ids + from, want.ids.data, (size_t)want.ids.count * 4);
        GR_CHECK_BYTES(batch->targets + from, want.targets.data, (size_t)want.ids.count * 4);
    }
    const int32_t *rows = batch->image_rows + image * IMAGE_TOKENS;
    for (int64_t r = 0; r < want.image_rows.count; r++) {
        GR_CHECK_INT(rows[r], from + want.image_rows.data[r]);
    }
    for (int64_t i = 0; i < image_count(n) * tiles; i++) {
        check_pixels(batch, image + i, n, i / tiles);
    }
    gr_chat_sample_fini(&want);
}

/// Pictures of 5 x 3 pixels become 2 x 1 tiles and a view of the whole; text, rows and pixels agree, and max_images counts
/// tiles.
static void test_tiles(void)
{
    if (!set_up()) {
        return;
    }
    gr_vision_config tiled = vision;
    tiled.pictures = (gr_picture_rules){.most = 4, .thumbnail = true};
    gr_loader_options options = options_of(SAMPLES, 1, false);
    options.vision = &tiled;
    options.max_images = 6;
    options.sequence_length = 100;
    gr_loader *loader = set_up() ? create(options) : NULL;
    const gr_lane_batch *lane = NULL;
    int64_t seen = 0, images = 0;
    tiles_each = 3;
    if (loader && GR_CHECK_OK(gr_loader_lane(loader, 0, 0, &lane))) {
        for (int64_t b = 0; b < lane->count; b++) {
            const gr_batch *batch = &lane->batches[b];
            int64_t image = 0;
            for (int64_t s = 0; s < batch->sequences; s++, seen++) {
                int64_t n = recognise(batch, s);
                if (GR_CHECK(n >= 0)) {
                    check_tiled(batch, s, n, 3, image);
                    image += 3 * image_count(n);
                }
            }
            GR_CHECK_INT(batch->images, image);
            GR_CHECK(image <= 6);
            images += image;
        }
        GR_CHECK_INT(seen, SAMPLES);
        GR_CHECK_INT(lane->images, images);
    }
    tiles_each = 1;
    gr_loader_destroy(&loader);
    options.max_images = 5;
    loader = create(options);
    if (loader) {
        GR_CHECK_ERR(gr_loader_lane(loader, 0, 0, &lane), GR_ERR_DATA,
                     "6 tiles of images, but max_images is 5");
    }
    gr_loader_destroy(&loader);
}

static const gr_test tests[] = {
    {"content", test_content},
    {"reads", test_reads},
    {"counts", test_counts},
    {"tiles", test_tiles},
    {"lanes", test_lanes},
    {"epochs", test_epochs},
    {"large_batch", test_large_batch},
    {"expect", test_expect},
    {"jump", test_jump},
    {"held", test_held},
    {"limit", test_limit},
    {"windows", test_windows},
    {"ranks", test_ranks},
    {"mixture", test_mixture},
    {"repeats", test_repeats},
    {"subsets", test_subsets},
    {"tear_down", test_tear_down},
};
GR_TEST_MAIN("loader", tests)
