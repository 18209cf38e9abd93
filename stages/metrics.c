#include "stages/metrics.h"

#include "src/base/doc.h"
#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#include <string.h>

const char gr_metrics_name[] = "metrics.jsonl";

/// Ends the line and appends it in one write; then it goes to TensorBoard's file.
static gr_err append_line(const char *run, gr_json *j, gr_events *events)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_json_map_end(j);
    GR_TRY(gr_json_finish(j));
    GR_TRY(gr_str_add(&j->text, "\n"));
    GR_TRY(gr_path_join(run, gr_metrics_name, &path));
    GR_TRY(gr_file_append(path, j->text.data, j->text.size));
    if (events) {
        GR_TRY(gr_events_add(events, j->text.data, j->text.size));
    }
done:
    GR_FREE(path);
    gr_json_fini(j);
    return err;
}

gr_err gr_metrics_add_start(const char *run, const char *precision, int threads,
                            const char *kernel)
{
    gr_json j = {0};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "update", 0);
    gr_json_int(&j, "step", 0);
    gr_json_string(&j, "precision", precision);
    gr_json_int(&j, "threads", threads);
    gr_json_string(&j, "kernel", kernel);
    return append_line(run, &j, NULL);
}

gr_err gr_metrics_add_step(const char *run, const gr_step_metrics *m, gr_events *events)
{
    gr_json j = {0};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "update", m->update);
    gr_json_string(&j, "stage", m->stage);
    gr_json_int(&j, "step", m->step);
    gr_json_real(&j, "loss", m->loss);
    gr_json_real(&j, "grad_norm", m->report.grad_norm);
    gr_json_map_begin(&j, "learning_rate");
    for (int p = 0; p < GR_PART_COUNT; p++) {
        gr_json_real(&j, gr_part_name((gr_part)p), m->report.learning_rate[p]);
    }
    gr_json_map_end(&j);
    gr_json_int(&j, "samples", m->samples);
    gr_json_int(&j, "tokens", m->tokens);
    gr_json_int(&j, "targets", m->targets);
    gr_json_int(&j, "images", m->images);
    gr_json_int(&j, "rows", m->rows);
    gr_json_real(&j, "fill", m->fill);
    gr_json_real(&j, "image_balance", m->image_balance);
    gr_json_int(&j, "dropped", m->dropped);
    if (m->sources > 0) {
        gr_json_list_begin(&j, "sources");
        for (int64_t i = 0; i < m->sources; i++) {
            gr_json_int(&j, NULL, m->of_sources[i]);
        }
        gr_json_list_end(&j);
    }
    if (m->skipped) {
        gr_json_bool(&j, "skipped", true);
    }
    gr_json_real(&j, "seconds", m->seconds);
    gr_json_real(&j, "data_wait", m->data_wait);
    gr_json_real(&j, "communication", m->communication);
    gr_json_real(&j, "saving", m->saving);
    gr_json_real(&j, "share_of_peak", m->share_of_peak);
    gr_json_int(&j, "sent", m->sent);
    gr_json_int(&j, "memory", m->memory);
    gr_json_real(&j, "time", gr_clock_epoch());
    return append_line(run, &j, events);
}

gr_err gr_metrics_add_validation(const char *run, const gr_validation_metrics *m,
                                 gr_events *events)
{
    gr_json j = {0};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "update", m->update);
    gr_json_string(&j, "stage", m->stage);
    gr_json_int(&j, "step", m->step);
    gr_json_real(&j, "validation_loss", m->loss);
    gr_json_int(&j, "validation_targets", m->targets);
    gr_json_real(&j, "seconds", m->seconds);
    gr_json_real(&j, "time", gr_clock_epoch());
    return append_line(run, &j, events);
}

gr_err gr_metrics_add_search(const char *run, const gr_search_metrics *m, gr_events *events)
{
    gr_json j = {0};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "update", m->update);
    gr_json_string(&j, "stage", m->stage);
    gr_json_int(&j, "step", m->step);
    gr_json_string(&j, "adalrs", gr_adalrs_names[m->found.act]);
    gr_json_real(&j, "velocity", m->found.velocity);
    gr_json_real(&j, "error", m->found.error);
    gr_json_real(&j, "tried_velocity", m->found.tried_velocity);
    gr_json_real(&j, "tried_error", m->found.tried_error);
    gr_json_real(&j, "scale", m->scale);
    return append_line(run, &j, events);
}

gr_err gr_metrics_add_end(const char *run, const char *stage, int64_t update, int64_t step,
                          const char *reason, gr_events *events)
{
    gr_json j = {0};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "update", update);
    gr_json_string(&j, "stage", stage);
    gr_json_int(&j, "step", step);
    gr_json_string(&j, "ended", reason);
    return append_line(run, &j, events);
}

/// The update that a line belongs to, and the step of its stage; a torn or foreign line belongs to none (-1).
static int64_t line_update(const char *line, size_t size, int64_t *step)
{
    gr_doc *doc = NULL;
    int64_t update = -1;
    if (gr_doc_parse_json("line", line, size, GR_ERR_DATA, &doc) == GR_OK &&
        gr_doc_root(doc)->type == GR_DOC_MAP &&
        (gr_node_get_int(gr_doc_root(doc), "update", 0, INT64_MAX, &update) != GR_OK ||
         gr_node_get_int(gr_doc_root(doc), "step", 0, INT64_MAX, step) != GR_OK)) {
        update = -1;
    }
    gr_err_clear();
    gr_doc_destroy(&doc);
    return update;
}

/// What is looked for in the lines.
typedef struct search {
    const char *stage; ///< NULL: of any
    const char *key;
    double *value;     ///< NULL: only the number is wanted
    const char *count; ///< "step" or "update"
    int64_t *number;   ///< of it
} search;

/// Takes the line's value and number if it is one of the stage with the key.
static void take_line(const search *s, const char *line, size_t size)
{
    gr_doc *doc = NULL;
    const char *name = NULL;
    double found = 0;
    int64_t at = 0;
    if (gr_doc_parse_json("line", line, size, GR_ERR_DATA, &doc) == GR_OK &&
        gr_doc_root(doc)->type == GR_DOC_MAP && gr_node_find(gr_doc_root(doc), s->key) &&
        gr_node_get_string(gr_doc_root(doc), "stage", &name) == GR_OK &&
        (!s->value ||
         gr_node_get_real(gr_doc_root(doc), s->key, -1e300, 1e300, &found) == GR_OK) &&
        gr_node_get_int(gr_doc_root(doc), s->count, 0, INT64_MAX, &at) == GR_OK &&
        (!s->stage || strcmp(name, s->stage) == 0)) {
        *(s->value ? s->value : &found) = found;
        *s->number = at;
    }
    gr_err_clear();
    gr_doc_destroy(&doc);
}

/// The newest line that has it.
static gr_err find_last(const char *run, const search *s)
{
    gr_err err = GR_OK;
    char *path = NULL, *text = NULL;
    size_t size = 0;
    GR_TRY(gr_path_join(run, gr_metrics_name, &path));
    if (!gr_file_exists(path)) {
        goto done;
    }
    GR_TRY(gr_file_read(path, 0, &text, &size));
    for (const char *line = text, *end; line < text + size; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + size - line));
        if (!end) {
            break;
        }
        if (memmem(line, (size_t)(end - line), s->key, strlen(s->key))) {
            take_line(s, line, (size_t)(end - line));
        }
    }
done:
    GR_FREE(text);
    GR_FREE(path);
    return err;
}

gr_err gr_metrics_last_validation(const char *run, const char *stage, double *loss,
                                  int64_t *step)
{
    return find_last(run, &(search){stage, "validation_loss", loss, "step", step});
}

gr_err gr_metrics_find_end(const char *run, const char *stage, int64_t *step)
{
    return find_last(run, &(search){stage, "ended", NULL, "step", step});
}

gr_err gr_metrics_last_update(const char *run, int64_t *update)
{
    return find_last(run, &(search){NULL, "learning_rate", NULL, "update", update});
}

gr_err gr_metrics_truncate(const char *run, int64_t update, bool border)
{
    return gr_lines_truncate(run, gr_metrics_name, update, border);
}

gr_err gr_lines_truncate(const char *run, const char *file, int64_t last, bool border)
{
    gr_err err = GR_OK;
    char *path = NULL;
    char *text = NULL;
    size_t size = 0;
    gr_str kept = {0};
    GR_TRY(gr_path_join(run, file, &path));
    if (!gr_file_exists(path)) {
        goto done;
    }
    GR_TRY(gr_file_read(path, 0, &text, &size));
    for (const char *line = text, *end; line < text + size; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + size - line));
        if (!end) {
            break; // a line that was being written when the run died
        }
        int64_t step = 0;
        int64_t update = line_update(line, (size_t)(end - line), &step);
        bool again = border && update == last && step == 0;
        if (update >= 0 && update <= last && !again) {
            GR_TRY(gr_str_add_bytes(&kept, line, (size_t)(end - line) + 1));
        }
    }
    GR_TRY(gr_file_write(path, kept.data ? kept.data : "", kept.size));
    gr_failpoint(GR_AT_RUN_CUT);
done:
    gr_str_fini(&kept);
    GR_FREE(text);
    GR_FREE(path);
    return err;
}
