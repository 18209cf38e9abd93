#include "stages/events.h"

#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/formats/tensorboard.h"
#include "src/model/config.h"
#include "stages/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double gib = 1 << 30;
static const size_t piece = (size_t)1 << 20; // bytes that are written at once

struct gr_events {
    char *path;
    char *stage;       ///< of the last line; NULL: none yet
    gr_str validation; ///< the tag of its held-out loss
    int number;        ///< which of the run's stages it is, 1 is the first
    gr_str text;       ///< records to be written
};

void gr_events_destroy(gr_events **events)
{
    gr_events *e = *events;
    if (e) {
        GR_FREE(e->path);
        GR_FREE(e->stage);
        gr_str_fini(&e->validation);
        gr_str_fini(&e->text);
        GR_FREE(*events);
    }
}

enum { SCALARS = 16 };
typedef struct scalars {
    gr_scalar items[SCALARS];
    int64_t count;
} scalars;

static void add(scalars *s, const char *tag, double value)
{
    GR_ASSERT(s->count < SCALARS);
    s->items[s->count++] = (gr_scalar){tag, (float)value};
}

/// What the map has under `key`, if it has it.
static gr_err copy(scalars *s, const char *tag, const gr_node *map, const char *key)
{
    gr_err err = GR_OK;
    double value = 0.0;
    if (gr_node_find(map, key)) {
        GR_TRY(gr_node_get_real(map, key, -1e300, 1e300, &value));
        add(s, tag, value);
    }
done:
    return err;
}

/// The quotient of two numbers, where both are there.
static gr_err divide(scalars *s, const char *tag, const gr_node *map, const char *key,
                     double divisor)
{
    gr_err err = GR_OK;
    double value = 0.0;
    if (gr_node_find(map, key) && divisor > 0) {
        GR_TRY(gr_node_get_real(map, key, -1e300, 1e300, &value));
        add(s, tag, value / divisor);
    }
done:
    return err;
}

static gr_err take_rates(scalars *s, const gr_node *line)
{
    static const char *const tags[GR_PART_COUNT] = {
        [GR_PART_VISION] = "learning_rate/vision",
        [GR_PART_CONNECTOR] = "learning_rate/connector",
        [GR_PART_LANGUAGE] = "learning_rate/language"};
    gr_err err = GR_OK;
    const gr_node *rates = gr_node_find(line, "learning_rate");
    for (int p = 0; rates && p < GR_PART_COUNT; p++) {
        GR_TRY(copy(s, tags[p], rates, gr_part_name((gr_part)p)));
    }
done:
    return err;
}

static gr_err take_step(scalars *s, const gr_node *line)
{
    gr_err err = GR_OK;
    double seconds = 0.0;
    GR_TRY(gr_node_opt_real(line, "seconds", 0, 1e300, &seconds));
    GR_TRY(copy(s, "loss/training", line, "loss"));
    GR_TRY(copy(s, "gradient_norm", line, "grad_norm"));
    GR_TRY(take_rates(s, line));
    GR_TRY(divide(s, "speed/samples_per_second", line, "samples", seconds));
    GR_TRY(divide(s, "speed/tokens_per_second", line, "tokens", seconds));
    GR_TRY(copy(s, "speed/share_of_peak", line, "share_of_peak"));
    GR_TRY(copy(s, "seconds/step", line, "seconds"));
    GR_TRY(copy(s, "seconds/data_wait", line, "data_wait"));
    GR_TRY(copy(s, "seconds/communication", line, "communication"));
    GR_TRY(copy(s, "seconds/saving", line, "saving"));
    GR_TRY(divide(s, "memory_gib", line, "memory", gib));
done:
    return err;
}

/// Lines of a stage follow each other.
static gr_err enter_stage(gr_events *e, const char *stage)
{
    gr_err err = GR_OK;
    if (e->stage && strcmp(e->stage, stage) == 0) {
        goto done;
    }
    GR_FREE(e->stage);
    GR_STRDUP(e->stage, stage);
    e->number++;
    gr_str_clear(&e->validation);
    GR_TRY(gr_str_addf(&e->validation, "loss/validation/%s", stage));
done:
    return err;
}

static gr_err add_line(gr_events *e, const gr_node *line)
{
    gr_err err = GR_OK;
    const char *stage = NULL;
    scalars s = {0};
    int64_t update = 0;
    double time = 0.0;
    GR_TRY(gr_node_opt_string(line, "stage", &stage));
    if (!stage) {
        goto done; // what the run began with
    }
    GR_TRY(enter_stage(e, stage));
    GR_TRY(gr_node_get_int(line, "update", 0, INT64_MAX, &update));
    GR_TRY(gr_node_opt_real(line, "time", 0, 1e300, &time));
    if (gr_node_find(line, "loss")) {
        add(&s, "stage", e->number);
        GR_TRY(take_step(&s, line));
    } else {
        GR_TRY(copy(&s, e->validation.data, line, "validation_loss"));
    }
    if (s.count > 0) {
        GR_TRY(gr_event_scalars(&e->text, time, update, s.items, s.count));
    }
done:
    return err;
}

static gr_err parse_line(gr_events *e, const char *line, size_t size)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    GR_TRY(gr_doc_parse_json(gr_metrics_name, line, size, GR_ERR_DATA, &doc));
    GR_TRY(gr_node_expect(gr_doc_root(doc), GR_DOC_MAP));
    GR_TRY(add_line(e, gr_doc_root(doc)));
done:
    gr_doc_destroy(&doc);
    return err;
}

gr_err gr_events_add(gr_events *events, const char *line, size_t size)
{
    gr_err err = GR_OK;
    gr_str_clear(&events->text);
    GR_TRY(parse_line(events, line, size));
    if (events->text.size > 0) {
        GR_TRY(gr_file_append(events->path, events->text.data, events->text.size));
    }
done:
    return err;
}

/// The number in the name of a file of ours, -1: it is none.
static long long number_of(const char *name)
{
    long long number = -1;
    int end = 0;
    bool ours = sscanf(name, "events.out.tfevents.%10lld.gradus%n", &number, &end) == 1 &&
                end > 0 && name[end] == '\0';
    return ours ? number : -1;
}

/// What is written is put at *offset, which moves on.
static gr_err flush(gr_events *e, const gr_file_aside *file, int64_t *offset)
{
    gr_err err = GR_OK;
    GR_TRY(gr_file_pwrite(file->fd, file->aside, e->text.data, e->text.size, *offset));
    *offset += (int64_t)e->text.size;
    gr_str_clear(&e->text);
done:
    return err;
}

static gr_err write_lines(gr_events *e, const char *text, size_t size,
                          const gr_file_aside *file)
{
    gr_err err = GR_OK;
    int64_t offset = 0;
    const double now = gr_clock_epoch();
    GR_TRY(gr_event_version(&e->text, now));
    GR_TRY(gr_event_start(&e->text, now, 0));
    for (const char *line = text, *end; line < text + size; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + size - line));
        if (!end) {
            break;
        }
        GR_TRY(parse_line(e, line, (size_t)(end - line)));
        if (e->text.size >= piece) {
            GR_TRY(flush(e, file, &offset));
        }
    }
    GR_TRY(flush(e, file, &offset));
done:
    return err;
}

/// The file for all that metrics.jsonl holds, at e->path. It is made under another name: what has "tfevents" in its name is read.
static gr_err write_all(gr_events *e, const char *run)
{
    gr_err err = GR_OK;
    gr_file_aside file = {.fd = -1};
    char *metrics = NULL, *text = NULL, *made = NULL;
    size_t size = 0;
    GR_TRY(gr_path_join(run, gr_metrics_name, &metrics));
    GR_TRY(gr_path_join(run, "tensorboard", &made));
    if (gr_file_exists(metrics)) {
        GR_TRY(gr_file_read(metrics, 0, &text, &size));
    }
    GR_TRY(gr_file_aside_begin(made, &file));
    GR_TRY(write_lines(e, text, size, &file));
    GR_TRY(gr_file_aside_commit(&file, true));
    if (rename(made, e->path) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot be renamed to %s: %s", made, e->path, strerror(errno));
    }
done:
    gr_file_aside_fini(&file);
    GR_FREE(metrics);
    GR_FREE(text);
    GR_FREE(made);
    return err;
}

static bool empty_file(const char *path)
{
    const int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    return fd >= 0 && close(fd) == 0;
}

/// Removes or (`last`) empties the file of an earlier start.
static gr_err put_away(const char *run, const char *name, bool last)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(run, name, &path));
    if (!(last ? empty_file(path) : unlink(path) == 0)) {
        GR_FAIL(GR_ERR_IO, "%s: the file of an earlier start cannot be %s: %s", path,
                last ? "emptied" : "removed", strerror(errno));
    }
done:
    GR_FREE(path);
    return err;
}

gr_err gr_events_create(const char *run, gr_events **out)
{
    gr_err err = GR_OK;
    gr_events *e = NULL;
    char **names = NULL, name[64];
    int64_t count = 0;
    long long newest = 0;
    GR_ALLOC(e, 1);
    GR_TRY(gr_dir_list(run, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        newest = number_of(names[i]) > newest ? number_of(names[i]) : newest;
    }
    snprintf(name, sizeof name, "events.out.tfevents.%010lld.gradus", newest + 1);
    GR_TRY(gr_path_join(run, name, &e->path));
    GR_TRY(write_all(e, run));
    for (int64_t i = 0; i < count; i++) {
        if (number_of(names[i]) >= 0) {
            GR_TRY(put_away(run, names[i], number_of(names[i]) == newest));
        }
    }
    *out = e;
    e = NULL;
done:
    gr_dir_list_free(&names, count);
    gr_events_destroy(&e);
    return err;
}
