// The synthetic curriculum as a source: record i is a sample of the task whose turn it is.
#include "datasets/source_synth.h"

#include "datasets/synth_scene.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <string.h>

typedef struct synth_reader {
    gri_reader base;
} synth_reader;

void gri_synth_turn(const gr_synth_options *o, int64_t i, gr_synth_task *task, int64_t *k)
{
    int64_t weight = 0;
    for (int t = 0; t < GR_SYNTH_TASKS; t++) {
        weight += o->weight[t];
    }
    for (int t = 0;; t++) {
        GR_ASSERT(t < GR_SYNTH_TASKS);
        const int64_t before = gri_share(i, o->weight[t], weight);
        if (gri_share(i + 1, o->weight[t], weight) > before) {
            *task = (gr_synth_task)t;
            *k = o->first + before;
            return;
        }
        i -= before;
        weight -= o->weight[t];
    }
}

int64_t gri_share(int64_t i, int64_t part, int64_t whole)
{
    // i part / whole without overflow: i < 2^48, part <= whole < 2^24
    return part == 0 ? 0 : i / whole * part + i % whole * part / whole;
}

/// What is stored of the problem, as text.
static gr_err put_problem(const gr_synth_options *o, int64_t k, const gri_problem *p,
                          gr_json *j)
{
    gr_err err = GR_OK;
    gr_str told = {0};
    if (p->pictured && o->in_words) {
        GR_TRY(gri_scene_tell(p, &told));
        GR_TRY(gr_str_add(&told, "\n"));
    }
    GR_TRY(gr_str_add(&told, p->question));
    gr_json_map_begin(j, NULL);
    gri_conversation_put(j, p->pictured && !o->in_words ? 1 : 0, told.data, p->answer,
                         strlen(p->answer));
    gr_json_real(j, "chance", p->chance);
    // Names the sample, so that no two have the same content id.
    gr_json_string(j, "split", o->split == GR_SYNTH_TEST ? "test" : "train");
    gr_json_int(j, "number", k);
    gri_scene_put(j, p);
    gr_json_map_end(j);
    GR_TRY(gr_json_finish(j));
done:
    gr_str_fini(&told);
    return err;
}

static gr_err read_problem(const gr_synth_options *o, int64_t i, gri_record *out)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    gr_doc *doc = NULL;
    gr_image image = {0};
    gr_synth_task task;
    gri_problem problem;
    int64_t k = 0;
    static const char *const left_out[] = {NULL};
    gri_synth_turn(o, i, &task, &k);
    gri_synth_problem(o->seed, task, o->split, k, &problem);
    if (o->grid > 0) {
        gri_scene_align(&problem, (int)o->grid);
    }
    out->source = gr_str_format("%s/%s/%llu/%lld", gr_synth_task_names[task],
                                o->split == GR_SYNTH_TEST ? "test" : "train",
                                (unsigned long long)o->seed, (long long)k);
    GR_TRY(out->source ? GR_OK : GR_ERR_MEMORY);
    if (problem.pictured && !o->in_words) {
        GR_TRY(gri_synth_render(&problem, o->side, &image));
        GR_TRY(gri_record_pixels(out, &image, o->quality));
    }
    GR_TRY(put_problem(o, k, &problem, &j));
    GR_TRY(gr_doc_parse_json("synth", j.text.data, j.text.size, GR_ERR_DATA, &doc));
    GR_TRY(gri_record_finish(out, gr_doc_root(doc), left_out, gr_synth_task_names[task]));
done:
    gr_image_fini(&image);
    gr_doc_destroy(&doc);
    gr_json_fini(&j);
    return err;
}

static gr_err next_record(gri_reader *self, bool wanted, bool *there)
{
    (void)wanted;
    *there = ++self->place.number < self->options->synth->count;
    return GR_OK;
}

static gr_err read_record(gri_reader *self, gri_record *out)
{
    return read_problem(self->options->synth, self->place.number, out);
}

static void destroy_reader(gri_reader *self)
{
    synth_reader *r = (synth_reader *)self;
    GR_FREE(r);
}

gr_err gri_synth_open(const gri_source_file *file, const gr_import_options *options,
                      gri_reader **out)
{
    gr_err err = GR_OK;
    synth_reader *r = NULL;
    GR_ALLOC(r, 1);
    r->base = (gri_reader){.file = file,
                           .options = options,
                           .place = {"record", -1},
                           .next = next_record,
                           .read = read_record,
                           .destroy = destroy_reader};
    *out = &r->base;
done:
    return err;
}

void gri_synth_describe(const gr_synth_options *o, gr_json *j)
{
    gr_json_map_begin(j, "synth");
    gr_json_list_begin(j, "weights");
    for (int t = 0; t < GR_SYNTH_TASKS; t++) {
        gr_json_int(j, NULL, o->weight[t]);
    }
    gr_json_list_end(j);
    gr_json_int(j, "count", o->count);
    gr_json_int(j, "first", o->first);
    gr_json_int(j, "seed_high", (int64_t)(o->seed >> 32));
    gr_json_int(j, "seed_low", (int64_t)(o->seed & UINT32_MAX));
    gr_json_int(j, "split", o->split);
    gr_json_bool(j, "in_words", o->in_words);
    gr_json_int(j, "side", o->side);
    gr_json_int(j, "grid", o->grid);
    gr_json_real(j, "quality", o->quality);
    gr_json_map_end(j);
}
