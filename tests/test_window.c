#include "datasets/room.h"
#include "datasets/shard_format.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const gri_window_rules usual = {
    .lanes = 4, .sequence_length = 4096, .max_images = 0, .seed = 3, .stream = 9};

/// Long-tailed lengths: most texts are short, a few as long as the row. Seven samples in ten have pictures of 64 tokens.
static gri_size draw(uint64_t key, int64_t i, int64_t longest)
{
    gri_size s = {0};
    uint64_t at = (uint64_t)i;
    if (gr_rng_uniform(key, 1, at) < 0.7) {
        s.images = gr_rng_uniform(key, 2, at) < 0.9
                       ? 1
                       : 2 + (int64_t)(gr_rng_uniform(key, 3, at) * 5);
    }
    int64_t text = 12 + (int64_t)exp(4.6 + 1.2 * gr_rng_normal(key, 4, at));
    s.tokens = s.images * 64 + text;
    s.tokens = s.tokens > longest ? longest : s.tokens;
    return s;
}

static void fill(gri_window *w, const gri_window_rules *rules, uint64_t key, int64_t number,
                 int64_t count, int64_t steps)
{
    GR_CHECK_OK(gri_window_begin(w, rules, number, count, steps));
    for (int64_t i = 0; i < count; i++) {
        w->sizes[i] = draw(key, number * count + i, rules->sequence_length);
        if (rules->max_images > 0 && w->sizes[i].images > rules->max_images) {
            w->sizes[i].images = rules->max_images;
        }
    }
    GR_CHECK_OK(gri_window_pack(w, rules));
}

/// Every sample in exactly one row, rows within their limits, in order, and with true sums.
static void check_sound(const gri_window *w, const gri_window_rules *rules)
{
    gr_err err = GR_OK;
    bool *seen = NULL;
    int64_t at = 0, cells = w->steps * rules->lanes;
    GR_ALLOC(seen, w->count);
    for (int64_t r = 0; r < w->row_count; r++) {
        const gri_row *row = &w->rows[r];
        gri_size sum = {0};
        GR_CHECK_INT(row->begin, at);
        GR_CHECK(row->end > row->begin && row->cell >= 0 && row->cell < cells);
        GR_CHECK(r >= w->cells[row->cell] && r < w->cells[row->cell + 1]);
        for (; at < row->end; at++) {
            int64_t n = w->order[at];
            GR_CHECK(n >= 0 && n < w->count && !seen[n]);
            GR_CHECK(at == row->begin || w->order[at - 1] < n);
            seen[n] = true;
            sum.tokens += w->sizes[n].tokens;
            sum.images += w->sizes[n].images;
        }
        GR_CHECK(gri_size_fits(rules, sum));
        GR_CHECK(sum.tokens == row->tokens && sum.images == row->images);
    }
    GR_CHECK_INT(at, w->count);
    GR_CHECK_INT(w->cells[0], 0);
    GR_CHECK_INT(w->cells[cells], w->row_count);
done:
    GR_FREE(seen);
    GR_CHECK_OK(err);
}

static int64_t cell_images(const gri_window *w, int64_t cell)
{
    int64_t images = 0;
    for (int64_t r = w->cells[cell]; r < w->cells[cell + 1]; r++) {
        images += w->rows[r].images;
    }
    return images;
}

/// Largest share by which a lane has more pictures than the mean of its step.
static double imbalance(const gri_window *w, int64_t lanes)
{
    double worst = 0;
    for (int64_t step = 0; step < w->steps; step++) {
        int64_t most = 0, sum = 0;
        for (int64_t l = 0; l < lanes; l++) {
            int64_t n = cell_images(w, step * lanes + l);
            most = n > most ? n : most;
            sum += n;
        }
        double over = sum ? (double)(most * lanes) / (double)sum - 1 : 0;
        worst = over > worst ? over : worst;
    }
    return worst;
}

static double unused(const gri_window *w, const gri_window_rules *rules)
{
    int64_t tokens = 0;
    for (int64_t r = 0; r < w->row_count; r++) {
        tokens += w->rows[r].tokens;
    }
    return 1 - (double)tokens / (double)(w->row_count * rules->sequence_length);
}

static void test_sound(void)
{
    gri_window w = {0};
    static const int64_t counts[] = {1, 3, 4, 5, 64, 257, 1000};
    for (int64_t lanes = 1; lanes <= 9; lanes += 2) {
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            for (int64_t limit = 0; limit <= 6; limit += 6) {
                gri_window_rules rules = usual;
                rules.lanes = lanes;
                rules.max_images = limit;
                rules.sequence_length = 1024;
                fill(&w, &rules, 5, 2, counts[c], 1 + counts[c] / 64);
                check_sound(&w, &rules);
            }
        }
    }
    gri_window_fini(&w);
}

/// Under 3 % of the tokens unused and pictures over lanes within 5 %, in every step of every window; lanes of
/// a step have the same number of rows.
static void test_long_tail(void)
{
    enum { WINDOWS = 8, STEPS = 8, BATCH = 512 };
    gri_window w = {0};
    double most_unused = 0, most_apart = 0;
    for (int64_t number = 0; number < WINDOWS; number++) {
        fill(&w, &usual, 7, number, STEPS * BATCH, STEPS);
        check_sound(&w, &usual);
        double u = unused(&w, &usual), a = imbalance(&w, usual.lanes);
        most_unused = u > most_unused ? u : most_unused;
        most_apart = a > most_apart ? a : most_apart;
        for (int64_t step = 0; step < STEPS; step++) {
            const int64_t *cells = w.cells + step * usual.lanes;
            for (int64_t l = 1; l < usual.lanes; l++) {
                GR_CHECK_INT(cells[l + 1] - cells[l], cells[1] - cells[0]);
            }
        }
    }
    printf("unused at most %.2f %%, pictures of a lane at most %.2f %% over the mean ",
           100 * most_unused, 100 * most_apart);
    gri_window_fini(&w);
    GR_CHECK(most_unused < 0.03);
    GR_CHECK(most_apart < 0.05);
}

/// More lanes and fewer pictures each: a lane has at most one picture more than the mean, rounded up.
static void test_few_pictures(void)
{
    gri_window w = {0};
    gri_window_rules rules = usual;
    rules.lanes = 16;
    for (int64_t number = 0; number < 6; number++) {
        fill(&w, &rules, 11, number, 4 * 512, 4);
        check_sound(&w, &rules);
        for (int64_t step = 0; step < w.steps; step++) {
            int64_t most = 0, sum = 0;
            for (int64_t l = 0; l < rules.lanes; l++) {
                int64_t n = cell_images(&w, step * rules.lanes + l);
                most = n > most ? n : most;
                sum += n;
            }
            GR_CHECK(most <= (sum + rules.lanes - 1) / rules.lanes + 1);
        }
    }
    gri_window_fini(&w);
}

/// Samples that fill a row each, and one a lane that does not: nothing waits, nothing is left.
static void test_long_samples(void)
{
    gri_window w = {0};
    gri_window_rules rules = usual;
    rules.lanes = 3;
    GR_CHECK_OK(gri_window_begin(&w, &rules, 0, 40, 2));
    for (int64_t i = 0; i < 40; i++) {
        w.sizes[i] = i % 4 == 0 ? (gri_size){4096, 0} : (gri_size){100, 1};
    }
    GR_CHECK_OK(gri_window_pack(&w, &rules));
    check_sound(&w, &rules);
    GR_CHECK_INT(w.row_count, 12); // 10 full ones, the rest in what makes it a multiple of 3
    gri_window_fini(&w);
}

/// Samples without size travel along and take no room.
static void test_unusable(void)
{
    gri_window w = {0};
    GR_CHECK_OK(gri_window_begin(&w, &usual, 0, 6, 1));
    w.sizes[1] = (gri_size){4096, 1};
    w.sizes[4] = (gri_size){4096, 2};
    GR_CHECK_OK(gri_window_pack(&w, &usual));
    check_sound(&w, &usual);
    GR_CHECK_INT(w.row_count, 3); // the two, and one for those without size
    gri_window_fini(&w);
    GR_CHECK_OK(gri_window_begin(&w, &usual, 0, 3, 0)); // samples, but no step
    GR_CHECK_OK(gri_window_pack(&w, &usual));
    GR_CHECK_INT(w.row_count, 0);
    gri_window_fini(&w);
    GR_CHECK_OK(gri_window_begin(&w, &usual, 0, 0, 0));
    GR_CHECK_OK(gri_window_pack(&w, &usual));
    GR_CHECK_INT(w.row_count, 0);
    gri_window_fini(&w);
}

/// The same sizes give the same rows, whatever the window's memory held before; another window another order.
static void test_function(void)
{
    gri_window a = {0}, b = {0};
    fill(&a, &usual, 5, 8, 300, 4);
    fill(&b, &usual, 6, 1, 777, 3);
    fill(&b, &usual, 5, 8, 300, 4);
    GR_CHECK_INT(a.row_count, b.row_count);
    GR_CHECK_BYTES(a.order, b.order, 300 * sizeof *a.order);
    GR_CHECK_BYTES(a.rows, b.rows, (size_t)a.row_count * sizeof *a.rows);
    gri_window_fini(&a);
    gri_window_fini(&b);
}

/// Whole numbers only, so that they are the same everywhere: some short, some a few to a row, some with pictures.
static gri_size draw_plain(int64_t kind, int64_t i, const gri_window_rules *rules)
{
    uint64_t a = gr_rng_u64((uint64_t)kind, 1, (uint64_t)i),
             b = gr_rng_u64((uint64_t)kind, 2, (uint64_t)i);
    int64_t length = rules->sequence_length, part = (int64_t)(a % 1000);
    gri_size s = {length * part / 20000, (int64_t)(b % 5)}; // kind 0: short
    if (kind == 1) {
        s = (gri_size){length * (200 + part * 3 / 10) / 1000, (int64_t)(b % 4)};
    } else if (kind == 2) {
        s = (gri_size){length * (part % 2 ? 60 : 45) / 100, (int64_t)(b % 2)};
    } else if (kind == 3) {
        s = (gri_size){length * part / 1000, 0};
    } else if (kind == 4) {
        s = (gri_size){length * (int64_t)(1 + b % 12) / 16 + part % 7, (int64_t)(1 + b % 12)};
    }
    s.tokens = s.tokens > length ? length : s.tokens;
    s.images =
        rules->max_images > 0 && s.images > rules->max_images ? rules->max_images : s.images;
    return s;
}

typedef struct simple_item {
    gri_size size;
    int64_t sample, row;
} simple_item;

static int by_size(const void *a, const void *b)
{
    const simple_item *x = a, *y = b;
    if (x->size.tokens != y->size.tokens) {
        return x->size.tokens < y->size.tokens ? 1 : -1;
    }
    if (x->size.images != y->size.images) {
        return x->size.images < y->size.images ? 1 : -1;
    }
    return (x->sample > y->sample) - (x->sample < y->sample);
}

/// The rule as it stands in window.h: looks at every row.
static int64_t simple_choose(const gri_row *rows, int64_t count, const gri_window_rules *rules,
                             gri_size size)
{
    int64_t best = -1;
    for (int64_t r = 0; r < count; r++) {
        gri_size sum = {rows[r].tokens + size.tokens, rows[r].images + size.images};
        if (!gri_size_fits(rules, sum)) {
            continue;
        }
        bool fewer = best < 0 || (size.images > 0 && rows[r].images < rows[best].images) ||
                     ((size.images == 0 || rows[r].images == rows[best].images) &&
                      rows[r].tokens < rows[best].tokens);
        best = fewer ? r : best;
    }
    return best;
}

/// Puts the items, longest first, into `count` rows both ways; false when one finds none. *same becomes false where
/// they differ.
static bool fill_both(simple_item *items, int64_t samples, const gri_window_rules *rules,
                      int64_t count, bool *same)
{
    gr_err err = GR_OK;
    gri_row *rows = NULL, *others = NULL;
    gri_room room = {0};
    bool all = true;
    GR_ALLOC(rows, count);
    GR_ALLOC(others, count);
    GR_TRY(gri_room_begin(&room, rules, others, count));
    for (int64_t i = 0; all && i < samples; i++) {
        gri_size size = items[i].size;
        int64_t r = items[i].row = simple_choose(rows, count, rules, size);
        *same = *same && gri_room_put(&room, size) == r;
        all = r >= 0;
        if (all) {
            rows[r].tokens += size.tokens;
            rows[r].images += size.images;
        }
    }
    *same = *same && memcmp(rows, others, (size_t)count * sizeof *rows) == 0;
done:
    gri_room_fini(&room);
    GR_FREE(rows);
    GR_FREE(others);
    GR_CHECK_OK(err);
    return all;
}

/// Row by row with the simple search, from one row a lane and step on: the same place for every sample in every try, the same
/// number of rows in the end, and with one lane (nothing is swapped) the same samples together.
static void check_simple(int64_t kind, const gri_window_rules *rules, int64_t samples,
                         int64_t steps)
{
    gr_err err = GR_OK;
    gri_window w = {0};
    simple_item *items = NULL;
    int64_t *rows_of = NULL, used = 0, count = rules->lanes * steps;
    bool same = true;
    GR_ALLOC(items, samples);
    GR_ALLOC(rows_of, samples);
    GR_TRY(gri_window_begin(&w, rules, 0, samples, steps));
    for (int64_t i = 0; i < samples; i++) {
        w.sizes[i] = draw_plain(kind, i, rules);
        items[i] = (simple_item){.size = w.sizes[i], .sample = i};
    }
    GR_TRY(gri_window_pack(&w, rules));
    check_sound(&w, rules);
    qsort(items, (size_t)samples, sizeof *items, by_size);
    while (!fill_both(items, samples, rules, count, &same)) {
        count += rules->lanes;
    }
    GR_CHECK(same);
    for (int64_t i = 0; i < samples; i++) {
        rows_of[items[i].sample] = items[i].row;
        used = items[i].row + 1 > used ? items[i].row + 1 : used;
    }
    GR_CHECK_INT(w.row_count, used);
    for (int64_t r = 0; rules->lanes == 1 && r < w.row_count; r++) {
        for (int64_t at = w.rows[r].begin + 1; at < w.rows[r].end; at++) {
            same = same && rows_of[w.order[at]] == rows_of[w.order[at - 1]];
        }
    }
    GR_CHECK(same);
done:
    gri_window_fini(&w);
    GR_FREE(items);
    GR_FREE(rows_of);
    GR_CHECK_OK(err);
}

enum { KINDS = 5 };

static void test_simple_search(void)
{
    for (int64_t kind = 0; kind < KINDS; kind++) {
        for (int64_t samples = 1; samples < 400; samples = samples * 2 + 1) {
            for (int64_t lanes = 1; lanes < 6; lanes += 2) {
                for (int64_t limit = 0; limit <= 12; limit += 6) {
                    gri_window_rules rules = usual;
                    rules.lanes = lanes;
                    rules.max_images = limit;
                    rules.sequence_length = 150 + limit;
                    check_simple(kind, &rules, samples, 1 + samples / 64);
                }
            }
        }
    }
    check_simple(0, &usual, 16384, 32);
}

/// What follows from the rows, too: order and cells, as they were when every row was looked at.
static void test_same_as_ever(void)
{
    static const gr_digest want[KINDS] = {{0x4ad2a2fa0602e5b8, 0x3e4901dda0e62ace},
                                          {0x46a362ac65e27666, 0x38968d8117f10a8f},
                                          {0x14777ae6209b3b48, 0x342e865353c36bd9},
                                          {0xf04e19c49714bc42, 0x941c58e09a59bf19},
                                          {0xf6d86885afc2ee91, 0xec6f0993b8104b4a}};
    gri_window w = {0};
    for (int64_t kind = 0; kind < KINDS; kind++) {
        GR_CHECK_OK(gri_window_begin(&w, &usual, kind, 1500, 6));
        for (int64_t i = 0; i < w.count; i++) {
            w.sizes[i] = draw_plain(kind, i, &usual);
        }
        GR_CHECK_OK(gri_window_pack(&w, &usual));
        gr_digest digest = {0};
        for (int64_t i = 0; i < w.count; i++) {
            digest = gri_digest_link(digest, &w.order[i], sizeof w.order[i]);
        }
        for (int64_t c = 0; c <= w.steps * usual.lanes; c++) {
            digest = gri_digest_link(digest, &w.cells[c], sizeof w.cells[c]);
        }
        if (!GR_CHECK(gr_digest_equal(digest, want[kind]))) {
            printf("kind %lld: {0x%llx, 0x%llx}\n", (long long)kind,
                   (unsigned long long)digest.high, (unsigned long long)digest.low);
        }
    }
    gri_window_fini(&w);
}

/// Three rows hold these samples by the rule and four do not: why the number of rows is searched for one by one.
static void test_one_row_more(void)
{
    static simple_item items[] = {{.size = {25, 1}}, {.size = {16, 1}}, {.size = {14, 0}},
                                  {.size = {11, 0}}, {.size = {6, 1}},  {.size = {5, 1}},
                                  {.size = {3, 3}}};
    const gri_window_rules rules = {.lanes = 1, .sequence_length = 29, .max_images = 3};
    bool same = true;
    GR_CHECK(!fill_both(items, 7, &rules, 2, &same));
    GR_CHECK(fill_both(items, 7, &rules, 3, &same));
    GR_CHECK(!fill_both(items, 7, &rules, 4, &same));
    GR_CHECK(same);
}

/// Windows of many samples, for docs/measurements.md; the time is printed, not judged.
static void test_many(void)
{
    static const struct {
        int64_t kind, samples, steps;
    } cases[] = {{0, 65536, 128}, {1, 8192, 16}, {2, 8192, 16}};
    gri_window w = {0};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        GR_CHECK_OK(gri_window_begin(&w, &usual, 0, cases[c].samples, cases[c].steps));
        for (int64_t i = 0; i < w.count; i++) {
            w.sizes[i] = draw_plain(cases[c].kind, i, &usual);
        }
        clock_t before = clock();
        GR_CHECK_OK(gri_window_pack(&w, &usual));
        printf("%lld samples in %lld rows: %.3f s; ", (long long)w.count,
               (long long)w.row_count, (double)(clock() - before) / CLOCKS_PER_SEC);
        check_sound(&w, &usual);
    }
    gri_window_fini(&w);
}

static void test_memory_failures(void)
{
    gr_err err = GR_ERR_MEMORY;
    for (int64_t n = 1; err == GR_ERR_MEMORY && n < 100; n++) {
        gri_window w = {0};
        int64_t before = gr_mem_used();
        gr_mem_fail_at(n);
        err = gri_window_begin(&w, &usual, 0, 50, 2);
        for (int64_t i = 0; err == GR_OK && i < 50; i++) {
            w.sizes[i] = (gri_size){1000, 1};
        }
        err = err ? err : gri_window_pack(&w, &usual);
        gr_mem_fail_at(0);
        gri_window_fini(&w);
        GR_CHECK_INT(gr_mem_used(), before);
    }
    GR_CHECK_OK(err);
}

static const gr_test tests[] = {
    {"sound", test_sound},
    {"long_tail", test_long_tail},
    {"few_pictures", test_few_pictures},
    {"long_samples", test_long_samples},
    {"unusable", test_unusable},
    {"function", test_function},
    {"simple_search", test_simple_search},
    {"same_as_ever", test_same_as_ever},
    {"one_row_more", test_one_row_more},
    {"many", test_many},
    {"memory_failures", test_memory_failures},
};
GR_TEST_MAIN("window", tests)
