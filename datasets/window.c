#include "datasets/window.h"

#include "datasets/order.h"
#include "datasets/room.h"
#include "src/base/mem.h"
#include "src/base/rng.h"

#include <stdlib.h>
#include <string.h>

enum { SWAPS = 8 }; ///< at most so many a lane of a step

/// A sample while it looks for its row.
typedef struct item {
    gri_size size;
    int64_t sample; ///< in the window
    int64_t row;
} item;

typedef struct inside {
    item *items;    ///< [samples]
    int64_t *parts; ///< [samples]: what least_rows looks at
    int64_t item_capacity;
    gri_row *rows; ///< [row_capacity], before they are dealt
    int64_t row_capacity;
    gri_room room;                      ///< where each sample finds its row
    int64_t *lane_images, *lane_tokens; ///< [lanes], of the step at hand
    int64_t lane_capacity;
    int64_t cell_capacity;
    int64_t *at; ///< [row_capacity]
} inside;

bool gri_size_fits(const gri_window_rules *rules, gri_size size)
{
    return size.tokens <= rules->sequence_length &&
           (rules->max_images == 0 || size.images <= rules->max_images);
}

gr_err gri_window_begin(gri_window *window, const gri_window_rules *rules, int64_t number,
                        int64_t count, int64_t steps)
{
    gr_err err = GR_OK;
    if (!window->inside) {
        inside *fresh = NULL;
        GR_ALLOC(fresh, 1);
        window->inside = fresh;
    }
    inside *in = window->inside;
    if (rules->lanes > in->lane_capacity) {
        GR_RESIZE(in->lane_images, in->lane_capacity, rules->lanes);
        GR_RESIZE(in->lane_tokens, in->lane_capacity, rules->lanes);
        in->lane_capacity = rules->lanes;
    }
    if (count > in->item_capacity) {
        GR_RESIZE(window->sizes, in->item_capacity, count);
        GR_RESIZE(window->order, in->item_capacity, count);
        GR_RESIZE(in->items, in->item_capacity, count);
        GR_RESIZE(in->parts, in->item_capacity, count);
        in->item_capacity = count;
    }
    int64_t cells = steps * rules->lanes + 1;
    if (cells > in->cell_capacity) {
        GR_RESIZE(window->cells, in->cell_capacity, cells);
        in->cell_capacity = cells;
    }
    window->number = number;
    window->count = count;
    window->steps = steps;
    window->row_count = 0;
    for (int64_t i = 0; i < count; i++) {
        window->sizes[i] = (gri_size){0};
    }
done:
    return err;
}

void gri_window_fini(gri_window *window)
{
    inside *in = window->inside;
    if (in) {
        GR_FREE(in->items);
        GR_FREE(in->parts);
        gri_room_fini(&in->room);
        GR_FREE(in->rows);
        GR_FREE(in->lane_images);
        GR_FREE(in->lane_tokens);
        GR_FREE(in->at);
    }
    GR_FREE(window->inside);
    GR_FREE(window->sizes);
    GR_FREE(window->order);
    GR_FREE(window->rows);
    GR_FREE(window->cells);
    *window = (gri_window){0};
}

static int sign(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/// Most tokens first, then most pictures, then by position.
static int by_size(const void *a, const void *b)
{
    const item *x = a, *y = b;
    int order = sign(y->size.tokens, x->size.tokens);
    order = order ? order : sign(y->size.images, x->size.images);
    return order ? order : sign(x->sample, y->sample);
}

static int by_position(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return sign(x->sample, y->sample);
}

static int by_row(const void *a, const void *b)
{
    const item *x = a, *y = b;
    int order = sign(x->row, y->row);
    return order ? order : sign(x->sample, y->sample);
}

/// Most pictures first, then most tokens, then the first row made.
static int by_load(const void *a, const void *b)
{
    const gri_row *x = a, *y = b;
    int order = sign(y->images, x->images);
    order = order ? order : sign(y->tokens, x->tokens);
    return order ? order : sign(x->begin, y->begin);
}

static int by_cell(const void *a, const void *b)
{
    const gri_row *x = a, *y = b;
    int order = sign(x->cell, y->cell);
    return order ? order : sign(x->begin, y->begin);
}

/// Whether all samples go into `count` rows.
static gr_err fill_rows(const gri_window *w, const gri_window_rules *rules, int64_t count,
                        bool *all)
{
    gr_err err = GR_OK;
    inside *in = w->inside;
    *all = true;
    GR_TRY(gri_room_begin(&in->room, rules, in->rows, count));
    for (int64_t i = 0; *all && i < w->count; i++) {
        in->items[i].row = gri_room_put(&in->room, in->items[i].size);
        *all = in->items[i].row >= 0;
    }
done:
    return err;
}

static gr_err reserve_rows(gri_window *w, int64_t count)
{
    gr_err err = GR_OK;
    inside *in = w->inside;
    if (count > in->row_capacity) {
        GR_RESIZE(in->rows, in->row_capacity, count);
        GR_RESIZE(in->at, in->row_capacity, count);
        GR_RESIZE(w->rows, in->row_capacity, count);
        in->row_capacity = count;
    }
done:
    return err;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/// No packing takes fewer rows, for parts of these sizes, largest first, and rows of size `limit`.
///
/// Let s be a size of at most limit / 2. Parts above limit - s lie in a row each, with none of size s or more; of the other
/// parts down to size s, limit / s at most share a row.
static int64_t least_rows(const int64_t *sizes, int64_t count, int64_t limit)
{
    int64_t sum = 0, alone = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += sizes[i];
        alone += sizes[i] > limit / 2;
    }
    int64_t least = divide_up(sum, limit);
    least = alone > least ? alone : least;
    for (int64_t i = alone; i < count && sizes[i] > 0; i++) {
        while (alone > 0 && sizes[alone - 1] <= limit - sizes[i]) {
            alone--;
        }
        int64_t rows = alone + divide_up(i + 1 - alone, limit / sizes[i]);
        least = rows > least ? rows : least;
    }
    return least;
}

static int by_number_down(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return sign(*y, *x);
}

/// What least_rows says of both tokens and pictures; samples without size need a row, too.
static int64_t rows_needed(const gri_window *w, const gri_window_rules *rules)
{
    const inside *in = w->inside;
    for (int64_t i = 0; i < w->count; i++) {
        in->parts[i] = in->items[i].size.tokens;
    }
    int64_t least = least_rows(in->parts, w->count, rules->sequence_length);
    if (rules->max_images > 0) {
        for (int64_t i = 0; i < w->count; i++) {
            in->parts[i] = in->items[i].size.images;
        }
        qsort(in->parts, (size_t)w->count, sizeof *in->parts, by_number_down);
        int64_t images = least_rows(in->parts, w->count, rules->max_images);
        least = images > least ? images : least;
    }
    return least > 0 ? least : 1;
}

/// Fewest rows, a multiple of the lanes, that hold all samples. Every count from the least possible on is tried: where some
/// rows suffice, one more may not (it can change the place of every sample, test_window one_row_more), so halving may miss
/// the first.
static gr_err make_rows(gri_window *w, const gri_window_rules *rules, int64_t *count)
{
    gr_err err = GR_OK;
    int64_t lanes = rules->lanes;
    int64_t rows = divide_up(rows_needed(w, rules), lanes) * lanes;
    rows = rows < w->steps * lanes ? w->steps * lanes : rows;
    for (bool all = false; !all; rows += lanes) {
        GR_TRY(reserve_rows(w, rows));
        GR_TRY(fill_rows(w, rules, rows, &all));
        *count = rows;
    }
done:
    return err;
}

/// Brings the samples of a row together: items[begin .. end).
static void gather_rows(gri_window *w, int64_t rows)
{
    inside *in = w->inside;
    qsort(in->items, (size_t)w->count, sizeof *in->items, by_row);
    int64_t i = 0;
    for (int64_t r = 0; r < rows; r++) {
        in->rows[r].begin = i;
        while (i < w->count && in->items[i].row == r) {
            i++;
        }
        in->rows[r].end = i;
    }
}

/// The lane with least pictures, then least tokens, of those without a row of this group.
static int64_t choose_lane(const inside *in, const bool *taken, int64_t lanes)
{
    int64_t best = -1;
    for (int64_t l = 0; l < lanes; l++) {
        if (!taken[l] && (best < 0 || in->lane_images[l] < in->lane_images[best] ||
                          (in->lane_images[l] == in->lane_images[best] &&
                           in->lane_tokens[l] < in->lane_tokens[best]))) {
            best = l;
        }
    }
    return best;
}

/// Two samples that may change places.
typedef struct swap {
    gri_row *from_row, *to_row;
    item *from, *to;
    int64_t left, tokens; ///< difference in pictures afterwards; between the two in tokens
} swap;

/// Looks for a better swap between two rows, whose lanes differ by `apart` pictures.
static void try_rows(const inside *in, const gri_window_rules *rules, gri_row *from,
                     gri_row *to, int64_t apart, swap *best)
{
    for (int64_t i = from->begin; i < from->end; i++) {
        for (int64_t k = to->begin; k < to->end; k++) {
            gri_size a = in->items[i].size, b = in->items[k].size;
            int64_t more = a.images - b.images, left = llabs(apart - 2 * more);
            int64_t tokens = llabs(a.tokens - b.tokens);
            if (more <= 0 || left > best->left ||
                (left == best->left && tokens >= best->tokens)) {
                continue;
            }
            const gri_size rest = {from->tokens - a.tokens + b.tokens, from->images - more};
            const gri_size sum = {to->tokens - b.tokens + a.tokens, to->images + more};
            if (gri_size_fits(rules, rest) && gri_size_fits(rules, sum)) {
                *best = (swap){from, to, &in->items[i], &in->items[k], left, tokens};
            }
        }
    }
}

/// Makes the lanes with most and with least pictures of a step more alike by one swap; false when none helps.
static bool level_once(gri_window *w, const gri_window_rules *rules, gri_row **rows,
                       int64_t count)
{
    inside *in = w->inside;
    int64_t most = 0, least = 0;
    for (int64_t l = 1; l < rules->lanes; l++) {
        most = in->lane_images[l] > in->lane_images[most] ? l : most;
        least = in->lane_images[l] < in->lane_images[least] ? l : least;
    }
    int64_t apart = in->lane_images[most] - in->lane_images[least];
    swap best = {.left = apart - 1, .tokens = INT64_MAX};
    for (int64_t i = 0; apart > 1 && i < count; i++) {
        for (int64_t k = 0; rows[i]->cell % rules->lanes == most && k < count; k++) {
            if (rows[k]->cell % rules->lanes == least) {
                try_rows(in, rules, rows[i], rows[k], apart, &best);
            }
        }
    }
    if (!best.from) {
        return false;
    }
    gri_size a = best.from->size, b = best.to->size;
    best.from_row->tokens += b.tokens - a.tokens;
    best.from_row->images += b.images - a.images;
    best.to_row->tokens += a.tokens - b.tokens;
    best.to_row->images += a.images - b.images;
    in->lane_images[most] += b.images - a.images;
    in->lane_images[least] += a.images - b.images;
    item between = *best.from;
    *best.from = *best.to;
    *best.to = between;
    return true;
}

/// Deals the groups of one step to its lanes, fullest group first. `groups` are in the order of their load.
static gr_err deal_step(gri_window *w, const gri_window_rules *rules, int64_t step,
                        const int64_t *groups, int64_t count)
{
    gr_err err = GR_OK;
    inside *in = w->inside;
    int64_t lanes = rules->lanes;
    bool *taken = NULL;
    gri_row **rows = NULL;
    GR_ALLOC(taken, lanes);
    GR_ALLOC(rows, count * lanes);
    memset(in->lane_images, 0, (size_t)lanes * sizeof *in->lane_images);
    memset(in->lane_tokens, 0, (size_t)lanes * sizeof *in->lane_tokens);
    for (int64_t g = 0; g < count; g++) {
        memset(taken, 0, (size_t)lanes * sizeof *taken);
        for (int64_t k = 0; k < lanes; k++) {
            gri_row *row = &in->rows[groups[g] * lanes + k];
            int64_t lane = choose_lane(in, taken, lanes);
            taken[lane] = true;
            in->lane_images[lane] += row->images;
            in->lane_tokens[lane] += row->tokens;
            row->cell = step * lanes + lane;
            rows[g * lanes + k] = row;
        }
    }
    for (int64_t tries = SWAPS * lanes;
         tries > 0 && level_once(w, rules, rows, count * lanes);) {
        tries--;
    }
done:
    GR_FREE(rows);
    GR_FREE(taken);
    return err;
}

/// Groups go to steps by a keyed permutation, so that no step always has the fullest.
static gr_err deal_groups(gri_window *w, const gri_window_rules *rules, int64_t groups)
{
    gr_err err = GR_OK;
    inside *in = w->inside;
    uint64_t stream = gr_rng_u64(rules->stream, 0x57494e444f57, 0); // "WINDOW"
    for (int64_t step = 0; step < w->steps; step++) {
        int64_t begin = step * groups / w->steps, end = (step + 1) * groups / w->steps,
                count = 0;
        for (int64_t g = 0; g < groups; g++) {
            int64_t place = gr_order(rules->seed, stream, w->number, groups, g);
            if (place >= begin && place < end) {
                in->at[count++] = g;
            }
        }
        GR_TRY(deal_step(w, rules, step, in->at, count));
    }
done:
    return err;
}

static void list_cells(gri_window *w, const gri_window_rules *rules, int64_t rows)
{
    inside *in = w->inside;
    w->row_count = 0;
    qsort(in->rows, (size_t)rows, sizeof *in->rows, by_cell);
    int64_t r = 0;
    for (int64_t c = 0; c < w->steps * rules->lanes; c++) {
        w->cells[c] = w->row_count;
        for (; r < rows && in->rows[r].cell == c; r++) {
            if (in->rows[r].begin < in->rows[r].end) {
                w->rows[w->row_count++] = in->rows[r];
            }
        }
    }
    w->cells[w->steps * rules->lanes] = w->row_count;
}

/// Writes the samples row by row into w->order, each row by position.
static void order_samples(gri_window *w)
{
    inside *in = w->inside;
    int64_t at = 0;
    for (int64_t r = 0; r < w->row_count; r++) {
        gri_row *row = &w->rows[r];
        int64_t count = row->end - row->begin;
        qsort(in->items + row->begin, (size_t)count, sizeof *in->items, by_position);
        for (int64_t i = 0; i < count; i++) {
            w->order[at + i] = in->items[row->begin + i].sample;
        }
        row->begin = at;
        row->end = at += count;
    }
}

gr_err gri_window_pack(gri_window *window, const gri_window_rules *rules)
{
    gr_err err = GR_OK;
    inside *in = window->inside;
    int64_t rows = 0;
    window->digest = gr_digest_of(window->sizes, (size_t)window->count * sizeof *window->sizes);
    window->digest.high ^= (uint64_t)window->number;
    if (window->count == 0) {
        memset(window->cells, 0,
               (size_t)(window->steps * rules->lanes + 1) * sizeof *window->cells);
        goto done;
    }
    for (int64_t i = 0; i < window->count; i++) {
        GR_ASSERT(gri_size_fits(rules, window->sizes[i]));
        in->items[i] = (item){.size = window->sizes[i], .sample = i};
    }
    qsort(in->items, (size_t)window->count, sizeof *in->items, by_size);
    GR_TRY(make_rows(window, rules, &rows));
    gather_rows(window, rows);
    qsort(in->rows, (size_t)rows, sizeof *in->rows, by_load);
    GR_TRY(deal_groups(window, rules, rows / rules->lanes));
    list_cells(window, rules, rows);
    order_samples(window);
done:
    return err;
}
