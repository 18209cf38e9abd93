// TensorBoard's file of a run says what metrics.jsonl says, once.
#include "src/base/file.h"
#include "src/base/mem.h"
#include "stages/events.h"
#include "stages/metrics.h"
#include "tests/check.h"
#include "tests/events_support.h"

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/// The run folder's only event file that is not empty, read whole; its name in `name`.
static char *read_file(const char *run, char name[256], size_t *size)
{
    char **names = NULL, path[1024], *text = NULL;
    int64_t count = 0, found = 0;
    GR_CHECK_OK(gr_dir_list(run, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        struct stat status = {0};
        snprintf(path, sizeof path, "%s/%s", run, names[i]);
        if (strstr(names[i], "tfevents") && stat(path, &status) == 0 && status.st_size > 0) {
            snprintf(name, 256, "%s", names[i]);
            found++;
        }
    }
    GR_CHECK_INT(found, 1);
    snprintf(path, sizeof path, "%s/%s", run, name);
    GR_CHECK_OK(gr_file_read(path, 0, &text, size));
    gr_dir_list_free(&names, count);
    return text;
}

static gr_step_metrics step_of(int64_t update, const char *stage, int64_t step)
{
    return (gr_step_metrics){
        .stage = stage,
        .update = update,
        .step = step,
        .loss = 1.0 / (double)(update + 2),
        .report = {.grad_norm = 0.1 * (double)update, .learning_rate = {1e-3, 2e-3 / 3, 0}},
        .samples = 7,
        .tokens = 1000,
        .targets = 100,
        .seconds = 0.3,
        .data_wait = 0.01,
        .communication = 0.02,
        .saving = 1e-7,
        .share_of_peak = 0.7,
        .memory = INT64_C(3) << 30};
}

static gr_err add_step(const char *run, gr_events *events, int64_t update, const char *stage,
                       int64_t step)
{
    const gr_step_metrics m = step_of(update, stage, step);
    return gr_metrics_add_step(run, &m, events);
}

static gr_err add_validation(const char *run, gr_events *events, int64_t update,
                             const char *stage, int64_t step)
{
    const gr_validation_metrics m = {.stage = stage,
                                     .update = update,
                                     .step = step,
                                     .loss = 3 + 0.1 * (double)update,
                                     .targets = 5,
                                     .seconds = 1};
    return gr_metrics_add_validation(run, &m, events);
}

static void check_value(const event *e, const char *tag, float want)
{
    const int64_t i = event_find(e, tag);
    if (GR_CHECK(i >= 0)) {
        GR_CHECK_BYTES(&e->scalars[i].value, &want, sizeof want);
    }
}

static void check_step(const event *e, int64_t update, int stage)
{
    const gr_step_metrics m = step_of(update, "", 0);
    GR_CHECK_INT(e->step, update);
    GR_CHECK_INT(e->count, 14);
    check_value(e, "stage", (float)stage);
    check_value(e, "loss/training", (float)m.loss);
    check_value(e, "gradient_norm", (float)m.report.grad_norm);
    check_value(e, "learning_rate/vision", 1e-3f);
    check_value(e, "learning_rate/connector", (float)(2e-3 / 3));
    check_value(e, "learning_rate/language", 0.0f);
    check_value(e, "speed/samples_per_second", (float)(7 / 0.3));
    check_value(e, "speed/tokens_per_second", (float)(1000 / 0.3));
    check_value(e, "speed/share_of_peak", 0.7f);
    check_value(e, "seconds/step", 0.3f);
    check_value(e, "seconds/data_wait", 0.01f);
    check_value(e, "seconds/communication", 0.02f);
    check_value(e, "seconds/saving", 1e-7f);
    check_value(e, "memory_gib", 3.0f);
    GR_CHECK(e->wall_time > 1.7e9);
}

/// Two steps of stage "a" between validations, stage "b" with one; then the end.
static void check_records(const char *run, int64_t records)
{
    char name[256] = "", *text = NULL;
    size_t size = 0, at = 0;
    int64_t seen = 0;
    event e;
    text = read_file(run, name, &size);
    GR_CHECK(text && event_read(text, size, &at, &e) &&
             strcmp(e.version, "brain.Event:2") == 0);
    GR_CHECK(text && event_read(text, size, &at, &e) && e.session == 1 && e.step == 0);
    for (; text && at < size; seen++) {
        if (!GR_CHECK(event_read(text, size, &at, &e))) {
            break;
        }
        if (seen == 1 || seen == 2) {
            check_step(&e, seen, 1);
        } else if (seen == 5) {
            check_step(&e, 3, 2);
        } else {
            GR_CHECK_INT(e.step, seen == 0 ? 0 : 2);
            GR_CHECK_INT(e.count, 1);
            check_value(&e, seen < 4 ? "loss/validation/a" : "loss/validation/b",
                        seen == 0 ? 3.0f : 3.2f);
        }
    }
    GR_CHECK_INT(seen, records);
    GR_FREE(text);
}

static gr_err write_all(const char *run, gr_events *events)
{
    gr_err err = GR_OK;
    GR_TRY(add_validation(run, events, 0, "a", 0));
    GR_TRY(add_step(run, events, 1, "a", 1));
    GR_TRY(add_step(run, events, 2, "a", 2));
    GR_TRY(add_validation(run, events, 2, "a", 2));
    GR_TRY(add_validation(run, events, 2, "b", 0));
    GR_TRY(add_step(run, events, 3, "b", 1));
done:
    return err;
}

/// The run of the test, begun; the folder in `run`.
static gr_events *begin(char run[512], const char *name)
{
    gr_events *events = NULL;
    snprintf(run, 512, "%s/%s", gr_test_dir(), name);
    GR_CHECK_OK(gr_dir_make(run));
    GR_CHECK_OK(gr_metrics_add_start(run, "fp32", 1, "Kernel"));
    GR_CHECK_OK(gr_events_create(run, &events));
    return events;
}

static void test_as_metrics(void)
{
    char run[512];
    gr_events *events = begin(run, "as-metrics");
    if (GR_CHECK(events != NULL)) {
        GR_CHECK_OK(write_all(run, events));
        check_records(run, 6);
    }
    gr_events_destroy(&events);
}

/// Killed anywhere and taken up at an earlier step: the file is that of a run that was never killed.
static void test_cut(void)
{
    static const struct {
        int64_t update;
        bool border;
        int64_t records;
    } table[] = {{3, false, 6}, {2, false, 5}, {2, true, 4}, {1, false, 2}, {0, true, 0}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char run[512], name[256], before[256];
        size_t size = 0;
        snprintf(name, sizeof name, "cut-%zu", i);
        gr_events *events = begin(run, name);
        GR_CHECK_OK(write_all(run, events));
        gr_events_destroy(&events);
        char *old = read_file(run, before, &size);
        GR_FREE(old);
        GR_CHECK_OK(gr_metrics_truncate(run, table[i].update, table[i].border));
        GR_CHECK_OK(gr_events_create(run, &events));
        check_records(run, table[i].records);
        old = read_file(run, name, &size);
        GR_FREE(old);
        GR_CHECK(strcmp(name, before) > 0); // TensorBoard goes to the next name
        gr_events_destroy(&events);
    }
}

/// What a kill in the middle leaves is no matter: a torn record, two files, none. Files of others stay.
static void test_leftovers(void)
{
    char run[512], path[1024], name[256];
    size_t size = 0;
    gr_events *events = begin(run, "leftovers");
    GR_CHECK_OK(write_all(run, events));
    gr_events_destroy(&events);
    char *old = read_file(run, name, &size);
    GR_FREE(old);
    snprintf(path, sizeof path, "%s/%s", run, name);
    GR_CHECK_OK(gr_file_append(path, "\x18\0\0", 3));
    snprintf(path, sizeof path, "%s/events.out.tfevents.0000000009.gradus", run);
    GR_CHECK_OK(gr_file_write(path, "x", 1));
    GR_CHECK_OK(gr_events_create(run, &events));
    check_records(run, 6);
    gr_events_destroy(&events);
    snprintf(path, sizeof path, "%s/%s", run, name);
    GR_CHECK(!gr_file_exists(path)); // of the start before the last
    snprintf(path, sizeof path, "%s/events.out.tfevents.0000000010.gradus", run);
    GR_CHECK(gr_file_exists(path));
    GR_CHECK(unlink(path) == 0);
    GR_CHECK_OK(gr_events_create(run, &events));
    check_records(run, 6);
    gr_events_destroy(&events);
    snprintf(path, sizeof path, "%s/events.out.tfevents.1764288000.host", run);
    GR_CHECK_OK(gr_file_write(path, "x", 1));
    GR_CHECK_OK(gr_events_create(run, &events));
    gr_events_destroy(&events);
    GR_CHECK(gr_file_exists(path));
}

/// Lines of versions that measured less, and one that is none.
static void test_other_lines(void)
{
    static const char old[] =
        "{\"update\":1,\"stage\":\"a\",\"step\":1,\"loss\":2.5,\"seconds\":0}\n";
    char run[512], name[256];
    size_t size = 0, at = 0;
    event e;
    gr_events *events = begin(run, "other");
    GR_CHECK_OK(gr_events_add(events, old, sizeof old - 1));
    GR_CHECK_ERR(gr_events_add(events, "[1]\n", 4), GR_ERR_DATA, "map");
    GR_CHECK_ERR(gr_events_add(events, "{\"upd", 5), GR_ERR_DATA, "metrics.jsonl");
    gr_events_destroy(&events);
    char *text = read_file(run, name, &size);
    GR_CHECK(text && event_read(text, size, &at, &e) && event_read(text, size, &at, &e) &&
             event_read(text, size, &at, &e));
    GR_CHECK_INT(e.count, 3);
    check_value(&e, "loss/training", 2.5f);
    check_value(&e, "stage", 1.0f);
    check_value(&e, "seconds/step", 0.0f);
    GR_CHECK_INT((int64_t)at, (int64_t)size);
    GR_FREE(text);
}

static const gr_test tests[] = {
    {"as metrics", test_as_metrics},
    {"cut", test_cut},
    {"leftovers", test_leftovers},
    {"other lines", test_other_lines},
};

GR_TEST_MAIN("events", tests)
