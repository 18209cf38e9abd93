/// Read it from the bottom: gr_parting_find asks one question after another, in the order of a step.

#include "stages/parting.h"

#include "src/base/decimal.h"
#include "src/base/mem.h"
#include "src/model/config.h"
#include "stages/sample_list.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HEX_DIGITS = 16 };

/// Both sides of a question.
typedef struct pair {
    const gr_node *a, *b;
} pair;

static const char *const phase_names[] = {"nothing",  "before the step", "data",  "forward",
                                          "backward", "reduction",       "update"};

const char *gr_parting_phase_name(gr_parting_phase phase)
{
    return phase_names[phase];
}

void gr_parting_fini(gr_parting *p)
{
    GR_FREE(p->stage);
    GR_FREE(p->what);
    GR_FREE(p->tensor);
    GR_FREE(p->values[0]);
    GR_FREE(p->values[1]);
    *p = (gr_parting){.lane = -1};
}

static bool found(const gr_parting *p)
{
    return p->phase != GR_PARTED_NOT;
}

/// Notes a difference; texts may be NULL.
static gr_err note(gr_parting *p, gr_parting_phase phase, const char *what, const char *first,
                   const char *second)
{
    gr_err err = GR_OK;
    p->phase = phase;
    GR_STRDUP(p->what, what);
    if (first) {
        GR_STRDUP(p->values[0], first);
    }
    if (second) {
        GR_STRDUP(p->values[1], second);
    }
done:
    return err;
}

static gr_err compare_texts(pair maps, const char *key, gr_parting_phase phase,
                            const char *what, gr_parting *out)
{
    gr_err err = GR_OK;
    const char *first = NULL, *second = NULL;
    GR_TRY(gr_node_get_string(maps.a, key, &first));
    GR_TRY(gr_node_get_string(maps.b, key, &second));
    if (strcmp(first, second) != 0) {
        GR_TRY(note(out, phase, what, first, second));
    }
done:
    return err;
}

static gr_err compare_numbers(pair maps, const char *key, gr_parting_phase phase,
                              const char *what, gr_parting *out)
{
    gr_err err = GR_OK;
    double first = 0, second = 0;
    char texts[2][GR_DECIMAL_TEXT];
    GR_TRY(gr_node_get_real(maps.a, key, -INFINITY, INFINITY, &first));
    GR_TRY(gr_node_get_real(maps.b, key, -INFINITY, INFINITY, &second));
    if (memcmp(&first, &second, sizeof first) != 0) {
        gr_decimal_text(first, texts[0]);
        gr_decimal_text(second, texts[1]);
        GR_TRY(note(out, phase, what, texts[0], texts[1]));
    }
done:
    return err;
}

static gr_err get_maps(pair of, const char *key, pair *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_get_map(of.a, key, &out->a));
    GR_TRY(gr_node_get_map(of.b, key, &out->b));
done:
    return err;
}

/// Names of the tensors of a part, by its run's first line.
static gr_err names_of(const gr_node *head, const char *part, const gr_node **out)
{
    gr_err err = GR_OK;
    const gr_node *parts = NULL;
    GR_TRY(gr_node_get_map(head, "tensors", &parts));
    GR_TRY(gr_node_get_list(parts, part, out));
done:
    return err;
}

/// One part's digests, one after another in a text of each run: counts the tensors that differ, keeps the first's name.
static gr_err compare_part(const gr_node *names, pair maps, const char *part, gr_parting *out)
{
    gr_err err = GR_OK;
    const char *first = NULL, *second = NULL;
    GR_TRY(gr_node_get_string(maps.a, part, &first));
    GR_TRY(gr_node_get_string(maps.b, part, &second));
    size_t size = (size_t)names->u.list.count * HEX_DIGITS;
    if (strlen(first) != size || strlen(second) != size) {
        GR_TRY(gr_node_error(strlen(first) != size ? maps.a : maps.b,
                             "%s: expected digests of %lld tensors", part,
                             (long long)names->u.list.count));
    }
    for (size_t i = 0; i < size; i += HEX_DIGITS) {
        if (strncmp(first + i, second + i, HEX_DIGITS) != 0 && out->tensors++ == 0) {
            const gr_node *name = &names->u.list.items[i / HEX_DIGITS];
            GR_TRY(gr_node_expect(name, GR_DOC_STRING));
            GR_STRDUP(out->tensor, name->u.string.data);
        }
    }
done:
    return err;
}

/// {PART: DD...} of both runs under `key`: names the first tensor that differs. A part that trains in one run alone differs, too.
static gr_err compare_tensors(pair records, const gr_node *head, const char *key,
                              gr_parting_phase phase, const char *what, gr_parting *out)
{
    gr_err err = GR_OK;
    pair maps;
    GR_TRY(get_maps(records, key, &maps));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const char *part = gr_part_name((gr_part)p);
        const gr_node *names = NULL;
        bool first = gr_node_find(maps.a, part) != NULL;
        bool second = gr_node_find(maps.b, part) != NULL;
        if (first && second) {
            GR_TRY(names_of(head, part, &names));
            GR_TRY(compare_part(names, maps, part, out));
        } else if (first != second) {
            GR_TRY(note(out, phase, "which parts train", first ? part : "without",
                        second ? part : "without"));
            goto done;
        }
    }
    if (out->tensors > 0) {
        GR_TRY(note(out, phase, what, NULL, NULL));
    }
done:
    return err;
}

static gr_err compare_before(pair records, gr_parting *out)
{
    gr_err err = GR_OK;
    char what[64];
    pair maps;
    GR_TRY(get_maps(records, "before", &maps));
    for (int p = 0; p < GR_PART_COUNT && !found(out); p++) {
        const char *part = gr_part_name((gr_part)p);
        if (gr_node_find(maps.a, part) && gr_node_find(maps.b, part)) {
            snprintf(what, sizeof what, "weights of %s at the step's beginning", part);
            GR_TRY(compare_texts(maps, part, GR_PARTED_BEFORE, what, out));
        }
    }
done:
    return err;
}

/// A lane's data differ: in which of its samples, and in what of it.
static gr_err name_data(pair lanes, const gr_node *const heads[2], gr_parting *out)
{
    gr_err err = GR_OK;
    const char *texts[2] = {NULL, NULL};
    char names[2][512], what[600];
    gri_listed_sample s[2];
    bool there[2] = {true, true}, same = true;
    GR_TRY(gr_node_get_string(lanes.a, "samples", &texts[0]));
    GR_TRY(gr_node_get_string(lanes.b, "samples", &texts[1]));
    while (same && there[0] && there[1]) {
        for (int r = 0; r < 2; r++) {
            there[r] = gri_next_sample(&texts[r], &s[r]);
            snprintf(names[r], sizeof names[r], "none");
            if (there[r]) {
                GR_TRY(gri_name_sample(heads[r], &s[r], names[r], sizeof names[r]));
            }
        }
        same = strcmp(names[0], names[1]) == 0 && !gri_samples_differ(&s[0], &s[1]);
    }
    if (same) {
        GR_TRY(note(out, GR_PARTED_DATA, "how the samples are packed", NULL, NULL));
    } else if (strcmp(names[0], names[1]) != 0) {
        GR_TRY(note(out, GR_PARTED_DATA, "which samples the lane has", names[0], names[1]));
    } else {
        snprintf(what, sizeof what, "%s of %s", gri_samples_differ(&s[0], &s[1]), names[0]);
        GR_TRY(note(out, GR_PARTED_DATA, what, NULL, NULL));
    }
done:
    return err;
}

/// Lanes whose text under `key` differs: the first, and how many.
static gr_err compare_lanes(const gr_node *const lists[2], const char *key, gr_parting *out)
{
    gr_err err = GR_OK;
    out->lanes = 0;
    for (int64_t i = 0; i < lists[0]->u.list.count; i++) {
        const char *first = NULL, *second = NULL;
        GR_TRY(gr_node_get_string(&lists[0]->u.list.items[i], key, &first));
        GR_TRY(gr_node_get_string(&lists[1]->u.list.items[i], key, &second));
        if (strcmp(first, second) != 0 && out->lanes++ == 0) {
            out->lane = i;
        }
    }
done:
    return err;
}

static gr_err compare_losses(const gr_node *const lists[2], gr_parting *out)
{
    gr_err err = GR_OK;
    gr_parting other = {0};
    for (int64_t i = 0; i < lists[0]->u.list.count; i++) {
        pair lanes = {&lists[0]->u.list.items[i], &lists[1]->u.list.items[i]};
        gr_parting_fini(&other);
        GR_TRY(compare_numbers(lanes, "loss", GR_PARTED_FORWARD,
                               "sum of the lane's token losses", found(out) ? &other : out));
        if (found(out) && out->lanes == 0) {
            out->lane = i;
        }
        out->lanes += found(&other) || (found(out) && out->lane == i);
    }
done:
    gr_parting_fini(&other);
    return err;
}

static gr_err get_lanes(pair records, const gr_node *lists[2], gr_parting *out)
{
    gr_err err = GR_OK;
    char counts[2][24];
    GR_TRY(gr_node_get_list(records.a, "lanes", &lists[0]));
    GR_TRY(gr_node_get_list(records.b, "lanes", &lists[1]));
    for (int r = 0; r < 2; r++) {
        snprintf(counts[r], sizeof counts[r], "%lld", (long long)lists[r]->u.list.count);
        for (int64_t i = 0; i < lists[r]->u.list.count; i++) {
            GR_TRY(gr_node_expect(&lists[r]->u.list.items[i], GR_DOC_MAP));
        }
    }
    if (strcmp(counts[0], counts[1]) != 0) {
        GR_TRY(note(out, GR_PARTED_DATA, "number of lanes", counts[0], counts[1]));
    }
done:
    return err;
}

static gr_err compare_what_lanes_did(pair records, const gr_node *const heads[2],
                                     gr_parting *out)
{
    gr_err err = GR_OK;
    const gr_node *lists[2] = {NULL, NULL};
    GR_TRY(get_lanes(records, lists, out));
    if (found(out)) {
        goto done;
    }
    GR_TRY(compare_lanes(lists, "data", out));
    if (out->lanes > 0) {
        pair lanes = {&lists[0]->u.list.items[out->lane], &lists[1]->u.list.items[out->lane]};
        GR_TRY(name_data(lanes, heads, out));
        goto done;
    }
    GR_TRY(compare_losses(lists, out));
    if (found(out)) {
        goto done;
    }
    if (gr_node_find(records.a, "lane_gradients") &&
        gr_node_find(records.b, "lane_gradients")) {
        GR_TRY(compare_tensors(records, heads[0], "lane_gradients", GR_PARTED_BACKWARD,
                               "the lane's gradient", out));
        GR_TRY(compare_lanes(lists, "gradient", out));
        if (out->lanes > 0 && !found(out)) {
            GR_TRY(note(out, GR_PARTED_BACKWARD, "the lane's gradient", NULL, NULL));
        }
    }
done:
    return err;
}

static gr_err compare_sum(pair records, const gr_node *head, gr_parting *out)
{
    gr_err err = GR_OK;
    bool lanes = gr_node_find(records.a, "lane_gradients") != NULL &&
                 gr_node_find(records.b, "lane_gradients") != NULL;
    GR_TRY(compare_tensors(records, head, "gradients", GR_PARTED_REDUCTION,
                           lanes
                               ? "the sum of the lanes' gradients"
                               : "the sum of the lanes' gradients, or these themselves, which "
                                 "are not recorded (digests.lanes)",
                           out));
done:
    return err;
}

static gr_err compare_rates(pair records, gr_parting *out)
{
    gr_err err = GR_OK;
    pair maps;
    char what[64];
    GR_TRY(get_maps(records, "learning_rate", &maps));
    for (int p = 0; p < GR_PART_COUNT && !found(out); p++) {
        snprintf(what, sizeof what, "learning rate of %s", gr_part_name((gr_part)p));
        GR_TRY(compare_numbers(maps, gr_part_name((gr_part)p), GR_PARTED_UPDATE, what, out));
    }
done:
    return err;
}

static gr_err compare_update(pair records, const gr_node *head, gr_parting *out)
{
    static const struct {
        const char *key, *what;
    } numbers[] = {{"targets", "number of target tokens"},
                   {"grad_norm", "norm of the gradient"},
                   {"scale", "factor of the gradient: targets and clipping"}},
      tensors[] = {{"first_moments", "AdamW's first moment"},
                   {"second_moments", "AdamW's second moment"},
                   {"weights", "weights after the update"}};
    gr_err err = GR_OK;
    for (int i = 0; i < 3 && !found(out); i++) {
        GR_TRY(
            compare_numbers(records, numbers[i].key, GR_PARTED_UPDATE, numbers[i].what, out));
    }
    if (!found(out)) {
        GR_TRY(compare_rates(records, out));
    }
    for (int i = 0; i < 3 && !found(out); i++) {
        GR_TRY(compare_tensors(records, head, tensors[i].key, GR_PARTED_UPDATE, tensors[i].what,
                               out));
    }
done:
    return err;
}

static gr_err note_place(const gr_node *record, gr_parting *out)
{
    gr_err err = GR_OK;
    const char *stage = NULL;
    GR_TRY(gr_node_get_int(record, "update", 0, INT64_MAX, &out->update));
    GR_TRY(gr_node_get_int(record, "step", 0, INT64_MAX, &out->step));
    GR_TRY(gr_node_get_string(record, "stage", &stage));
    GR_STRDUP(out->stage, stage);
done:
    return err;
}

/// Whether the step made an update. Two that made none are alike: nothing came of what they computed.
static gr_err compare_skipped(pair records, gr_parting *out, bool *skipped)
{
    gr_err err = GR_OK;
    const char *reasons[2] = {NULL, NULL};
    char texts[2][600];
    GR_TRY(gr_node_opt_string(records.a, "skipped", &reasons[0]));
    GR_TRY(gr_node_opt_string(records.b, "skipped", &reasons[1]));
    for (int r = 0; r < 2; r++) {
        snprintf(texts[r], sizeof texts[r], "%s%s", reasons[r] ? "left out: " : "made",
                 reasons[r] ? reasons[r] : "");
    }
    *skipped = reasons[0] || reasons[1];
    if (*skipped && !(reasons[0] && reasons[1])) {
        GR_TRY(note(out, GR_PARTED_UPDATE, "whether an update was made of the step", texts[0],
                    texts[1]));
    }
done:
    return err;
}

gr_err gr_parting_find(const gr_node *const records[2], const gr_node *const heads[2],
                       gr_parting *out)
{
    gr_err err = GR_OK;
    pair both = {records[0], records[1]};
    bool skipped = false;
    *out = (gr_parting){.lane = -1};
    GR_TRY(note_place(both.a, out));
    GR_TRY(compare_texts(both, "stage", GR_PARTED_DATA, "stage", out));
    if (!found(out)) {
        GR_TRY(compare_skipped(both, out, &skipped));
    }
    if (skipped) {
        goto done;
    }
    if (!found(out)) {
        GR_TRY(compare_before(both, out));
    }
    if (!found(out)) {
        GR_TRY(compare_what_lanes_did(both, heads, out));
    }
    if (!found(out)) {
        GR_TRY(compare_sum(both, heads[0], out));
    }
    if (!found(out)) {
        GR_TRY(compare_update(both, heads[0], out));
    }
done:
    return err;
}

void gr_parting_print(const gr_parting *p, const char *first, const char *second)
{
    const char *in = p->phase == GR_PARTED_BEFORE ? "" : "in ";
    printf("parted at step %lld of the run, stage %s, step %lld\nbegan %s%s: %s\n",
           (long long)p->update, p->stage, (long long)p->step, in,
           gr_parting_phase_name(p->phase), p->what);
    if (p->lane >= 0) {
        printf("lane %lld", (long long)p->lane);
        printf(p->lanes > 1 ? " (the first of %lld)\n" : "\n", (long long)p->lanes);
    }
    if (p->tensor) {
        printf("tensor %s", p->tensor);
        printf(p->tensors > 1 ? " (the first of %lld)\n" : "\n", (long long)p->tensors);
    }
    for (int r = 0; r < 2; r++) {
        if (p->values[r]) {
            printf("%s %s\n", r == 0 ? first : second, p->values[r]);
        }
    }
}

void gr_parting_put(const gr_parting *p, gr_json *j)
{
    gr_json_int(j, "update", p->update);
    gr_json_string(j, "stage", p->stage);
    gr_json_int(j, "step", p->step);
    gr_json_string(j, "phase", gr_parting_phase_name(p->phase));
    gr_json_string(j, "what", p->what);
    if (p->lane >= 0) {
        gr_json_int(j, "lane", p->lane);
        gr_json_int(j, "lanes", p->lanes);
    }
    if (p->tensor) {
        gr_json_string(j, "tensor", p->tensor);
        gr_json_int(j, "tensors", p->tensors);
    }
    if (p->values[0] && p->values[1]) {
        gr_json_string(j, "first", p->values[0]);
        gr_json_string(j, "second", p->values[1]);
    }
}
