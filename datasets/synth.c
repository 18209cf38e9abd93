#include "datasets/synth.h"

#include <string.h>

bool gr_synth_task_parse(const char *text, size_t size, gr_synth_task *out)
{
    for (int t = 0; t < GR_SYNTH_TASKS; t++) {
        if (strlen(gr_synth_task_names[t]) == size &&
            memcmp(gr_synth_task_names[t], text, size) == 0) {
            *out = (gr_synth_task)t;
            return true;
        }
    }
    return false;
}

static gr_err check_weights(const gr_synth_options *o)
{
    gr_err err = GR_OK;
    int64_t sum = 0;
    for (int t = 0; t < GR_SYNTH_TASKS; t++) {
        if (o->weight[t] < 0 || o->weight[t] > GR_SYNTH_MOST_WEIGHT) {
            GR_FAIL(GR_ERR_USAGE, "synth: weight of task %s: expected 0 to %d, got %lld",
                    gr_synth_task_names[t], GR_SYNTH_MOST_WEIGHT, (long long)o->weight[t]);
        }
        sum += o->weight[t];
    }
    if (sum == 0) {
        GR_FAIL(GR_ERR_USAGE, "synth: no task has a weight: name at least one of %s",
                gr_synth_task_all);
    }
done:
    return err;
}

static gr_err check_options(const gr_synth_options *o)
{
    gr_err err = GR_OK;
    GR_TRY(check_weights(o));
    if (o->grid != 0 && (o->grid < GR_SYNTH_LEAST_GRID || o->grid > GR_SYNTH_MOST_GRID)) {
        GR_FAIL(GR_ERR_USAGE, "grid: expected 0 or %d to %d lines, got %lld",
                GR_SYNTH_LEAST_GRID, GR_SYNTH_MOST_GRID, (long long)o->grid);
    }
    if (o->side < GR_SYNTH_LEAST_SIDE || o->side > GR_SYNTH_MOST_SIDE) {
        GR_FAIL(GR_ERR_USAGE, "synth: side: expected %d to %d pixels, got %lld",
                GR_SYNTH_LEAST_SIDE, GR_SYNTH_MOST_SIDE, (long long)o->side);
    }
    if (o->count < 1 || o->first < 0 || o->first >= GR_SYNTH_MOST ||
        o->count > GR_SYNTH_MOST - o->first) {
        GR_FAIL(GR_ERR_USAGE,
                "synth: expected 1 or more samples below number %lld, got %lld from %lld on",
                (long long)GR_SYNTH_MOST, (long long)o->count, (long long)o->first);
    }
    if (!(o->quality <= 100)) {
        GR_FAIL(GR_ERR_USAGE, "synth: quality: expected at most 100, got %g", o->quality);
    }
done:
    return err;
}

gr_err gr_synth(const gr_synth_options *options, const gr_import_team *team,
                gr_import_result *out)
{
    gr_err err = GR_OK;
    const gr_import_options import = {.form = GR_IMPORT_SYNTH,
                                      .synth = options,
                                      .source = "synth",
                                      .out = options->out,
                                      .shard_bytes = options->shard_bytes,
                                      .quality = options->quality,
                                      .tokenizers = options->tokenizers,
                                      .tokenizer_count = options->tokenizer_count};
    GR_TRY(check_options(options));
    GR_TRY(gr_import(&import, team, out));
done:
    return err;
}
