/// Read it from the bottom: gri_step_digest_begin to _finish are one step.

#include "stages/step_digest.h"

#include "src/base/digest.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "stages/tensor_digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char gri_digests_name[] = "digests.jsonl";

enum { HEX_DIGITS = 16 };

/// What ranks add up, for each tensor.
typedef enum sum_kind {
    LANES,
    GRADIENTS,
    FIRST,
    SECOND,
    BEFORE, ///< weights, of parts whose master weights are shared out
    AFTER,
    SUMS
} sum_kind;

struct gr_step_digest {
    const gr_world *world;
    const gr_setup *setup;
    const gr_params *params;
    gr_updater *updater;
    int threads;
    int64_t only; ///< the one update that is recorded, whatever the recipe says; 0: as it says
    bool active;  ///< this step is recorded
    gri_step_place place;
    /// of this rank's copy of the weights, and of its master weights where they are shared out [tensors]
    uint64_t *before, *after, *own_before, *own_after;
    int64_t after_update; ///< the update behind which `after` was made; -1: none
    uint64_t *lane;       ///< of one lane's gradient [tensors]
    uint64_t *mine, *all; ///< [SUMS][tensors], and every rank's
    gr_str lanes;         ///< this rank's lanes as members of a list
    char *texts;          ///< every rank's, each ended by NUL in as many bytes
    int64_t text_capacity;
    gr_str line;
};

gr_err gri_step_digest_create(const gr_world *world, const gr_setup *setup, gr_updater *updater,
                              int threads, gr_step_digest **out)
{
    gr_err err = GR_OK;
    gr_step_digest *d = NULL;
    GR_ALLOC(d, 1);
    d->world = world;
    d->setup = setup;
    d->params = gr_model_get_params(setup->model);
    d->updater = updater;
    d->threads = threads;
    d->after_update = -1;
    GR_ALLOC(d->before, d->params->count);
    GR_ALLOC(d->after, d->params->count);
    GR_ALLOC(d->own_before, d->params->count);
    GR_ALLOC(d->own_after, d->params->count);
    GR_ALLOC(d->lane, d->params->count);
    GR_ALLOC(d->mine, SUMS * d->params->count);
    GR_ALLOC(d->all, SUMS * d->params->count * world->size);
    *out = d;
    d = NULL;
done:
    gri_step_digest_destroy(&d);
    return err;
}

void gri_step_digest_destroy(gr_step_digest **digest)
{
    gr_step_digest *d = *digest;
    if (d) {
        GR_FREE(d->before);
        GR_FREE(d->after);
        GR_FREE(d->own_before);
        GR_FREE(d->own_after);
        GR_FREE(d->lane);
        GR_FREE(d->mine);
        GR_FREE(d->all);
        gr_str_fini(&d->lanes);
        GR_FREE(d->texts);
        gr_str_fini(&d->line);
        GR_FREE(*digest);
    }
}

static uint64_t *sums_of(const gr_step_digest *d, sum_kind kind)
{
    return d->mine + kind * d->params->count;
}

static bool trains(const gr_step_digest *d, int part)
{
    return d->updater->trains & (1u << part);
}

/// One digest for tensors [first, end).
static uint64_t joined(const uint64_t *tensors, int64_t first, int64_t end)
{
    uint64_t sum = 0;
    for (int64_t i = first; i < end; i++) {
        sum += gr_digest_mixed(tensors[i], (uint64_t)i);
    }
    return sum;
}

/// Whether the part's master weights are shared out.
static bool is_apart(const gr_step_digest *d, int part)
{
    return d->updater->apart && trains(d, part);
}

/// What this rank has in common with the others of a part whose master weights are shared out: the bf16 copies that passes
/// read, and the values of what is no matrix.
static void digest_shared(const gr_step_digest *d, gr_part part, uint64_t *tensors)
{
    const float *weights = gr_model_weights(d->setup->model, part);
    const uint16_t *rounded = gr_model_rounded(d->setup->model, part);
#pragma omp parallel for num_threads(d->threads) schedule(dynamic)
    for (int64_t i = d->params->first[part]; i < d->params->first[part + 1]; i++) {
        const gr_param *p = &d->params->items[i];
        const void *data = p->product ? (const void *)(rounded + p->offset)
                                      : (const void *)(weights + p->offset);
        size_t size = p->product ? sizeof *rounded : sizeof *weights;
        tensors[i] = gr_digest_of(data, (size_t)p->count * size).low;
    }
}

/// This rank's copy of all weights.
static void digest_weights(const gr_step_digest *d, uint64_t *tensors)
{
    memset(tensors, 0, (size_t)d->params->count * sizeof *tensors);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const float *weights = gr_model_weights(d->setup->model, (gr_part)p);
        if (!weights) {
            continue;
        }
        gr_updater_wait(d->updater, (gr_part)p, d->params->size[p]);
        if (is_apart(d, p)) {
            digest_shared(d, (gr_part)p, tensors);
        } else {
            gr_tensor_digests_add(d->params, (gr_part)p, (gr_range){0, d->params->size[p]},
                                  weights, d->threads, tensors);
        }
    }
}

/// The master weights that this rank owns, also added to what the ranks add up.
static void digest_masters(const gr_step_digest *d, uint64_t *tensors, uint64_t *sums)
{
    memset(tensors, 0, (size_t)d->params->count * sizeof *tensors);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const float *weights = gr_model_weights(d->setup->model, (gr_part)p);
        const gr_range part = d->updater->parts[p];
        for (gr_range own = {part.begin, part.begin};
             is_apart(d, p) && gr_owned_next(&d->updater->own, part, &own);) {
            gr_range range = {own.begin - part.begin, own.end - part.begin};
            gr_tensor_digests_add(d->params, (gr_part)p, range, weights + range.begin,
                                  d->threads, tensors);
        }
    }
    memcpy(sums, tensors, (size_t)d->params->count * sizeof *tensors);
}

/// The digests of a part's weights that are recorded: of its master weights.
static const uint64_t *recorded(const gr_step_digest *d, int part, bool done)
{
    if (is_apart(d, part)) {
        return sums_of(d, done ? AFTER : BEFORE);
    }
    return done ? d->after : d->before;
}

/// What this rank owns of a vector over what trains. packed: `values` holds the owned elements only.
static void digest_own(const gr_step_digest *d, const float *values, bool packed,
                       uint64_t *tensors)
{
    for (int p = 0; p < GR_PART_COUNT; p++) {
        gr_range part = d->updater->parts[p];
        for (gr_range own = {part.begin, part.begin};
             gr_owned_next(&d->updater->own, part, &own);) {
            gr_range range = {own.begin - part.begin, own.end - part.begin};
            int64_t at = packed ? gr_owned_place(&d->updater->own, own.begin) : own.begin;
            gr_tensor_digests_add(d->params, (gr_part)p, range, values + at, d->threads,
                                  tensors);
        }
    }
}

/// What a rank says of its copy.
typedef struct copy_state {
    uint64_t whole;
    int64_t changed; ///< first tensor that is not what the step before left; -1: none is known
} copy_state;

static void moment_name(const gr_step_digest *d, bool done, char *text, size_t size)
{
    snprintf(text, size, "stage %s, %s step %lld (%lld of the run):", d->place.stage,
             done ? "after" : "before", (long long)d->place.step, (long long)d->place.update);
}

static gr_err judge_changes(const gr_step_digest *d, const copy_state *all, const char *moment)
{
    gr_err err = GR_OK;
    for (int r = 0; r < d->world->size; r++) {
        if (all[r].changed >= 0) {
            GR_FAIL(
                GR_ERR_FAILED,
                "%s rank %d's copy of the weights is not what the step before left, first in %s: its machine has bad "
                "memory; run again without it, from the last checkpoint",
                moment, r, d->params->items[all[r].changed].name);
        }
    }
done:
    return err;
}

/// Rank `rank` has other digests of tensors than rank 0. `all`: every rank's [tensors].
static gr_err name_difference(const gr_step_digest *d, const uint64_t *all, int rank,
                              const char *moment)
{
    gr_err err = GR_OK;
    int64_t count = d->params->count, i = 0;
    while (i < count - 1 && all[i] == all[rank * count + i]) {
        i++;
    }
    GR_FAIL(
        GR_ERR_FAILED,
        "%s the copies of the weights on rank 0 and rank %d differ, first in %s: one of the two machines "
        "miscalculates or has bad memory; run again without it, from the last checkpoint",
        moment, rank, d->params->items[i].name);
done:
    return err;
}

/// All ranks have the same weights, and (changed < 0) what the step before left. Collective.
static gr_err check_copies(const gr_step_digest *d, const uint64_t *tensors, int64_t changed,
                           bool done)
{
    gr_err err = GR_OK;
    char moment[160];
    int other = 0;
    const copy_state state = {joined(tensors, 0, d->params->count), changed};
    copy_state *all = (copy_state *)(void *)d->all; // there is room: two numbers a rank
    GR_TRY(gr_world_gather(d->world, &state, sizeof state, all));
    moment_name(d, done, moment, sizeof moment);
    GR_TRY(gr_world_alike(d->world, judge_changes(d, all, moment)));
    for (int r = d->world->size - 1; r > 0; r--) {
        other = all[r].whole != all[0].whole ? r : other;
    }
    if (other > 0) {
        GR_TRY(gr_world_gather(d->world, tensors, (size_t)d->params->count * sizeof *tensors,
                               d->all));
        GR_TRY(gr_world_alike(d->world, name_difference(d, d->all, other, moment)));
    }
done:
    return err;
}

static int64_t first_change(const gr_step_digest *d)
{
    if (d->after_update < 0 || d->after_update != d->place.update - 1) {
        return -1;
    }
    for (int64_t i = 0; i < d->params->count; i++) {
        if (d->before[i] != d->after[i] || d->own_before[i] != d->own_after[i]) {
            return i;
        }
    }
    return -1;
}

void gri_step_digest_only(gr_step_digest *d, int64_t update)
{
    d->only = update;
}

/// Whether the step at d->place is recorded.
static bool is_recorded(const gr_step_digest *d, bool last)
{
    int64_t every = d->setup->recipe->digests_every;
    if (d->only > 0) {
        return d->place.update == d->only;
    }
    return every > 0 && (d->place.update % every == 0 || d->place.step == 1 || last);
}

gr_err gri_step_digest_begin(gr_step_digest *d, const gri_step_place *place, bool last)
{
    gr_err err = GR_OK;
    d->place = *place;
    d->active = is_recorded(d, last);
    if (!d->active) {
        goto done;
    }
    memset(d->mine, 0, (size_t)(SUMS * d->params->count) * sizeof *d->mine);
    gr_str_clear(&d->lanes);
    gr_str_clear(&d->line);
    digest_weights(d, d->before);
    digest_masters(d, d->own_before, sums_of(d, BEFORE));
    GR_TRY(check_copies(d, d->before, first_change(d), false));
done:
    return err;
}

/// The short digests of the samples.
static unsigned short_digest(const void *data, int64_t size)
{
    return (unsigned)gr_digest_of(data, (size_t)size).low;
}

static int64_t number_of_set(const gr_setup *setup, const gr_dataset *set)
{
    int64_t i = 0;
    while (i < setup->dataset_count - 1 && setup->datasets[i] != set) {
        i++;
    }
    return i;
}

/// A sample's tokens: its ids and what they are to predict.
static unsigned tokens_digest(const gr_batch *batch, int64_t at, int64_t count)
{
    size_t size = (size_t)count * sizeof *batch->ids;
    const uint64_t both[2] = {gr_digest_of(batch->ids + at, size).low,
                              gr_digest_of(batch->targets + at, size).low};
    return short_digest(both, sizeof both);
}

/// "SET:INDEX:TOKENS[:PIXELS]" of each sample, with blanks between. Samples follow each other in the microbatches.
static gr_err list_samples(const gr_step_digest *d, const gr_lane_batch *lane, gr_str *text)
{
    gr_err err = GR_OK;
    const gr_model_config *config = gr_model_get_config(d->setup->model);
    const int64_t side = config->vision.image_size;
    int64_t token = 0, image = 0;
    for (int64_t i = 0; i < lane->samples; i++) {
        const gr_used *u = &lane->used[i];
        const gr_batch *b = &lane->batches[u->batch];
        if (i > 0 && u->batch != lane->used[i - 1].batch) {
            token = image = 0;
        }
        GR_TRY(gr_str_addf(text, "%s%" PRId64 ":%" PRId64 ":%08x", i > 0 ? " " : "",
                           number_of_set(d->setup, u->dataset), u->index,
                           tokens_digest(b, token, u->tokens)));
        if (u->images > 0) {
            int64_t bytes = 3 * side * side;
            GR_TRY(
                gr_str_addf(text, ":%08x",
                            short_digest(b->pixels.bytes + image * bytes, u->images * bytes)));
        }
        token += u->tokens;
        image += u->images;
    }
done:
    return err;
}

static void link_data(uint64_t *so_far, const void *data, int64_t count, size_t size)
{
    *so_far =
        gr_digest_mixed(count > 0 ? gr_digest_of(data, (size_t)count * size).low : 0, *so_far);
}

/// All that the model is given. The loader's pictures are bytes, and what each byte stands for.
static uint64_t data_digest(const gr_step_digest *d, const gr_lane_batch *lane)
{
    const gr_model_config *config = gr_model_get_config(d->setup->model);
    bool sees = config->parts & 1u << GR_PART_VISION;
    int64_t bytes = 3 * config->vision.image_size * config->vision.image_size;
    uint64_t sum = 0;
    for (int64_t i = 0; i < lane->count; i++) {
        const gr_batch *b = &lane->batches[i];
        int64_t rows = sees ? b->images * gr_image_tokens(&config->vision) : 0;
        link_data(&sum, b->ids, b->tokens, sizeof *b->ids);
        link_data(&sum, b->targets, b->tokens, sizeof *b->targets);
        link_data(&sum, b->positions, b->tokens, sizeof *b->positions);
        link_data(&sum, b->cu_seqlens, b->sequences + 1, sizeof *b->cu_seqlens);
        link_data(&sum, b->image_rows, rows, sizeof *b->image_rows);
        link_data(&sum, b->pixels.bytes, b->images * bytes, 1);
        link_data(&sum, b->pixels.table, b->images > 0 ? 3 : 0, sizeof *b->pixels.table);
    }
    return sum;
}

static void put_hex(gr_json *j, const char *key, uint64_t value)
{
    char text[HEX_DIGITS + 1];
    snprintf(text, sizeof text, "%016" PRIx64, value);
    gr_json_string(j, key, text);
}

/// The lane's gradient, by tensor, into the sums; *whole is one digest of all.
static void digest_lane(gr_step_digest *d, int64_t lane, const float *gradient, uint64_t *whole)
{
    memset(d->lane, 0, (size_t)d->params->count * sizeof *d->lane);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        gr_range part = d->updater->parts[p];
        if (trains(d, p)) {
            gr_tensor_digests_add(d->params, (gr_part)p, (gr_range){0, gr_range_count(part)},
                                  gradient + part.begin, d->threads, d->lane);
        }
    }
    *whole = joined(d->lane, 0, d->params->count);
    for (int64_t i = 0; i < d->params->count; i++) {
        sums_of(d, LANES)[i] += gr_digest_mixed(d->lane[i], (uint64_t)lane);
    }
}

bool gri_step_digest_active(const gr_step_digest *d)
{
    return d->active;
}

gr_err gri_step_digest_lane(gr_step_digest *d, int64_t lane, const gr_lane_batch *batch,
                            double loss, const float *gradient)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    gr_str samples = {0};
    uint64_t whole = 0;
    if (!d->active) {
        goto done;
    }
    GR_TRY(gr_str_add(&samples, ""));
    GR_TRY(list_samples(d, batch, &samples));
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "samples", samples.data);
    put_hex(&j, "data", data_digest(d, batch));
    gr_json_real(&j, "loss", loss);
    if (d->setup->recipe->digests_lanes) {
        digest_lane(d, lane, gradient, &whole);
        put_hex(&j, "gradient", whole);
    }
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_str_add(&d->lanes, d->lanes.size > 0 ? "," : ""));
    GR_TRY(gr_str_add(&d->lanes, j.text.data));
done:
    gr_json_fini(&j);
    gr_str_fini(&samples);
    return err;
}

void gri_step_digest_sum(gr_step_digest *d, const float *gradient)
{
    if (d->active) {
        digest_own(d, gradient, false, sums_of(d, GRADIENTS));
    }
}

/// Adds up what the ranks have, into d->mine, which is then the same on all. Collective.
static gr_err add_ranks(gr_step_digest *d)
{
    gr_err err = GR_OK;
    const int64_t n = SUMS * d->params->count;
    GR_TRY(gr_world_gather(d->world, d->mine, (size_t)n * sizeof *d->mine, d->all));
    memset(d->mine, 0, (size_t)n * sizeof *d->mine);
    for (int r = 0; r < d->world->size; r++) {
        for (int64_t i = 0; i < n; i++) {
            d->mine[i] += d->all[r * n + i];
        }
    }
done:
    return err;
}

/// Room for `size` bytes of each rank.
static gr_err reserve_texts(gr_step_digest *d, int64_t size)
{
    gr_err err = GR_OK;
    if (size * d->world->size > d->text_capacity) {
        GR_RESIZE(d->texts, d->text_capacity, size * d->world->size);
        d->text_capacity = size * d->world->size;
    }
done:
    return err;
}

/// The ranks' lists of lanes, one after another, as the list of all. Collective.
static gr_err gather_lanes(gr_step_digest *d, gr_str *line)
{
    gr_err err = GR_OK;
    int64_t size = 0;
    GR_TRY(gr_world_max(d->world, (int64_t)d->lanes.size + 1, &size));
    err = reserve_texts(d, size);
    while (err == GR_OK && (int64_t)d->lanes.size < size) { // NULs up to the longest
        err = gr_str_add_bytes(&d->lanes, "", 1);
    }
    GR_TRY(gr_world_agree(d->world, err));
    GR_TRY(gr_world_gather(d->world, d->lanes.data, (size_t)size, d->texts));
    for (int r = 0; d->world->rank == 0 && err == GR_OK && r < d->world->size; r++) {
        err = r > 0 ? gr_str_add(line, ",") : GR_OK;
        err = err ? err : gr_str_add(line, d->texts + r * size);
    }
    GR_TRY(gr_world_agree(d->world, err));
done:
    return err;
}

/// {PART: DD...} of what trains.
static void put_part(gr_json *j, const gr_step_digest *d, int part, const uint64_t *tensors)
{
    gr_str text = {0};
    for (int64_t i = d->params->first[part]; i < d->params->first[part + 1]; i++) {
        gr_err err = gr_str_addf(&text, "%016" PRIx64, tensors[i]);
        j->err = j->err ? j->err : err;
    }
    if (text.data) {
        gr_json_string(j, gr_part_name((gr_part)part), text.data);
    }
    gr_str_fini(&text);
}

static void put_tensors(gr_json *j, const gr_step_digest *d, const char *key,
                        const uint64_t *tensors)
{
    gr_json_map_begin(j, key);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (trains(d, p)) {
            put_part(j, d, p, tensors);
        }
    }
    gr_json_map_end(j);
}

static void put_before(gr_json *j, const gr_step_digest *d)
{
    gr_json_map_begin(j, "before");
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (gr_model_weights(d->setup->model, (gr_part)p)) {
            put_hex(
                j, gr_part_name((gr_part)p),
                joined(recorded(d, p, false), d->params->first[p], d->params->first[p + 1]));
        }
    }
    gr_json_map_end(j);
}

static void put_update(gr_json *j, const gr_step_digest *d, int64_t targets,
                       const gr_update_report *report)
{
    if (d->setup->recipe->digests_lanes) {
        put_tensors(j, d, "lane_gradients", sums_of(d, LANES));
    }
    gr_json_int(j, "targets", targets);
    put_tensors(j, d, "gradients", sums_of(d, GRADIENTS));
    gr_json_real(j, "grad_norm", report->grad_norm);
    gr_json_real(j, "scale", report->scale);
    gr_json_map_begin(j, "learning_rate");
    for (int p = 0; p < GR_PART_COUNT; p++) {
        gr_json_real(j, gr_part_name((gr_part)p), report->learning_rate[p]);
    }
    gr_json_map_end(j);
    put_tensors(j, d, "first_moments", sums_of(d, FIRST));
    put_tensors(j, d, "second_moments", sums_of(d, SECOND));
    gr_json_map_begin(j, "weights");
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (trains(d, p)) {
            put_part(j, d, p, recorded(d, p, true));
        }
    }
    gr_json_map_end(j);
}

/// The line, whose list of lanes is `lanes`. Rank 0 only.
static gr_err write_line(gr_step_digest *d, const char *lanes, int64_t targets,
                         const gr_update_report *report)
{
    gr_err err = GR_OK;
    gr_json head = {0}, tail = {0};
    gr_json_map_begin(&head, NULL);
    gr_json_int(&head, "update", d->place.update);
    gr_json_string(&head, "stage", d->place.stage);
    gr_json_int(&head, "step", d->place.step);
    put_before(&head, d);
    gr_json_map_end(&head);
    gr_json_map_begin(&tail, NULL);
    put_update(&tail, d, targets, report);
    gr_json_map_end(&tail);
    GR_TRY(gr_json_finish(&head));
    GR_TRY(gr_json_finish(&tail));
    GR_TRY(gr_str_add_bytes(&d->line, head.text.data, head.text.size - 1)); // without its brace
    GR_TRY(gr_str_addf(&d->line, ",\"lanes\":[%s],", lanes));
    GR_TRY(gr_str_addf(&d->line, "%s\n", tail.text.data + 1));
done:
    gr_json_fini(&head);
    gr_json_fini(&tail);
    return err;
}

gr_err gri_step_digest_finish(gr_step_digest *d, int64_t targets,
                              const gr_update_report *report, const gr_str **line)
{
    gr_err err = GR_OK;
    gr_str lanes = {0};
    *line = NULL;
    if (!d->active) {
        goto done;
    }
    digest_weights(d, d->after);
    digest_masters(d, d->own_after, sums_of(d, AFTER));
    d->after_update = d->place.update;
    digest_own(d, d->updater->first, true, sums_of(d, FIRST));
    digest_own(d, d->updater->second, true, sums_of(d, SECOND));
    GR_TRY(check_copies(d, d->after, -1, true));
    GR_TRY(add_ranks(d));
    GR_TRY(gather_lanes(d, &lanes));
    if (d->world->rank == 0) {
        err = write_line(d, lanes.data, targets, report);
        *line = &d->line;
    }
    GR_TRY(gr_world_agree(d->world, err));
done:
    gr_str_fini(&lanes);
    return err;
}

gr_err gri_step_digest_skip(gr_step_digest *d, const char *reason, const gr_str **line)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    *line = NULL;
    if (d->after_update == d->place.update - 1) { // all is as the step before left it
        d->after_update = d->place.update;
    }
    if (d->world->rank > 0 || d->setup->recipe->digests_every == 0) {
        goto done;
    }
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "update", d->place.update);
    gr_json_string(&j, "stage", d->place.stage);
    gr_json_int(&j, "step", d->place.step);
    gr_json_string(&j, "skipped", reason);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    gr_str_clear(&d->line);
    GR_TRY(gr_str_addf(&d->line, "%s\n", j.text.data));
    *line = &d->line;
done:
    gr_json_fini(&j);
    return err;
}

void gri_step_digest_replaced(gr_step_digest *d)
{
    d->after_update = -1;
}

gr_err gri_step_digest_append(const char *run, const gr_str *line)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(run, gri_digests_name, &path));
    GR_TRY(gr_file_append(path, line->data, line->size));
done:
    GR_FREE(path);
    return err;
}

gr_err gri_step_digest_head(const gr_setup *setup, const gr_identity *identity, gr_str *line)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    const gr_params *params = gr_model_get_params(setup->model);
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "update", 0);
    gr_json_int(&j, "step", 0);
    gr_json_int(&j, "schema", GRI_DIGESTS_SCHEMA);
    gr_json_map_begin(&j, "identity");
    gr_identity_write(identity, &j);
    gr_json_map_end(&j);
    gr_json_list_begin(&j, "sets");
    for (int64_t i = 0; i < setup->dataset_count; i++) {
        gr_json_string(&j, NULL, gr_dataset_path(setup->datasets[i]));
    }
    gr_json_list_end(&j);
    gr_json_map_begin(&j, "tensors");
    for (int p = 0; p < GR_PART_COUNT; p++) {
        gr_json_list_begin(&j, gr_part_name((gr_part)p));
        for (int64_t i = params->first[p]; i < params->first[p + 1]; i++) {
            gr_json_string(&j, NULL, params->items[i].name);
        }
        gr_json_list_end(&j);
    }
    gr_json_map_end(&j);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_str_add(line, j.text.data));
    GR_TRY(gr_str_add(line, "\n"));
done:
    gr_json_fini(&j);
    return err;
}
