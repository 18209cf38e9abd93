/// Read it from the bottom.

#include "stages/predictions.h"

#include "datasets/conversation.h"
#include "datasets/order.h"
#include "src/base/base64.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/formats/answer.h"
#include "src/formats/hf.h"
#include "src/formats/image.h"
#include "src/formats/pictures.h"
#include "stages/checkpoint.h"
#include "stages/recipe.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 448, QUALITY = 85 }; // of the copies for people
static const double seconds_between_lines = 5.0;

/// Who is asked, and about what.
typedef struct asking {
    const gr_predictions_options *options;
    gr_recipe *recipe;
    const gr_recipe_stage *stage;
    gr_recipe_source *sources; ///< of the questions
    gr_dataset **datasets;     ///< [count]
    int64_t count;
    char *dir;         ///< the model's
    const char *label; ///< what the report calls it: the end of `dir`
    gr_model_config config;
    gr_exec *exec;
    gr_model *model;
    gr_tokenizer *tokenizer;
    gr_str lines;
} asking;

/// One sample on its way.
typedef struct question {
    gr_sample *sample;
    gr_conversation conversation;
    int64_t turns, images; ///< of these, what is asked
    int64_t *tiles, tile_count;
    float *pixels;
    gr_chat_sample prompt;
    gr_answer answer;
} question;

static void question_fini(question *q)
{
    gr_answer_fini(&q->answer);
    gr_chat_sample_fini(&q->prompt);
    GR_FREE(q->pixels);
    GR_FREE(q->tiles);
    gr_conversation_fini(&q->conversation);
    gr_sample_destroy(&q->sample);
}

static int64_t places_in(const gr_chat_turn *turns, int64_t count)
{
    static const char place[] = "<image>";
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        const char *at = turns[i].assistant ? NULL : turns[i].text;
        while (at && (at = strstr(at, place))) {
            n++;
            at += strlen(place);
        }
    }
    return n;
}

/// The turns before the first answer, and the pictures that they show: all where no text says where they stand.
static gr_err choose_turns(question *q)
{
    gr_err err = GR_OK;
    const gr_conversation *c = &q->conversation;
    while (q->turns < c->count && !c->turns[q->turns].assistant) {
        q->turns++;
    }
    if (q->turns == c->count) {
        GR_FAIL(GR_ERR_DATA, "the conversation has no answer");
    }
    q->images =
        places_in(c->turns, c->count) > 0 ? places_in(c->turns, q->turns) : q->sample->images;
    if (q->images > q->sample->images) {
        GR_FAIL(GR_ERR_DATA, "the texts show %lld pictures, the sample has %lld",
                (long long)q->images, (long long)q->sample->images);
    }
done:
    return err;
}

/// The pictures as the model sees them.
static gr_err load_pictures(const asking *a, question *q)
{
    gr_err err = GR_OK;
    const gr_vision_config *vision = &a->config.vision;
    const int64_t values = 3 * vision->image_size * vision->image_size;
    if (q->images > 0 && !(a->config.parts & 1u << GR_PART_VISION)) {
        GR_FAIL(GR_ERR_DATA, "the sample has pictures, the model no vision part");
    }
    GR_ALLOC(q->tiles, q->images);
    for (int64_t i = 0; i < q->images; i++) {
        GR_TRY(gr_picture_tiles_of(vision, q->sample->pixels[i][0], q->sample->pixels[i][1],
                                   &q->tiles[i]));
        q->tile_count += q->tiles[i];
    }
    GR_ALLOC(q->pixels, q->tile_count * values);
    float *at = q->pixels;
    for (int64_t i = 0; i < q->images; at += q->tiles[i++] * values) {
        GR_TRY(gr_picture_pixels(vision, GR_IMAGE_OVER_WHITE, "picture", q->sample->image[i],
                                 q->sample->image_size[i], q->tiles[i], at));
    }
done:
    return err;
}

static gr_err ask(const asking *a, question *q)
{
    gr_err err = GR_OK;
    const gr_chat_turn nothing = {.text = ""};
    const int64_t most = a->config.language.max_positions;
    GR_TRY(gr_conversation_read(q->sample, &q->conversation));
    GR_TRY(choose_turns(q));
    GR_TRY(load_pictures(a, q));
    const gr_chat_options chat = {.template = a->stage->template,
                                  .system = a->recipe->system,
                                  .image_tokens =
                                      q->images > 0 ? gr_image_tokens(&a->config.vision) : 0};
    GR_TRY(gr_chat_prompt(a->tokenizer, &chat, q->turns ? q->conversation.turns : &nothing,
                          q->turns ? q->turns : 1, q->images, q->tiles, &q->prompt));
    if (q->prompt.ids.count >= most) {
        GR_FAIL(GR_ERR_DATA, "the question has %lld tokens, the model %lld positions",
                (long long)q->prompt.ids.count, (long long)most);
    }
    GR_TRY(gr_answer_write(a->model, a->tokenizer, &q->prompt, q->pixels, q->tile_count,
                           a->options->max_new, &q->answer));
done:
    return err;
}

static void trim(const char **text, size_t *size)
{
    while (*size > 0 && isspace((unsigned char)**text)) {
        (*text)++;
        (*size)--;
    }
    while (*size > 0 && isspace((unsigned char)(*text)[*size - 1])) {
        (*size)--;
    }
}

static bool is_same(const char *a, size_t a_size, const char *b, size_t b_size)
{
    trim(&a, &a_size);
    trim(&b, &b_size);
    return a_size == b_size && memcmp(a, b, a_size) == 0;
}

/// A copy of the picture for people: not larger than it need be.
static gr_err put_picture(gr_json *j, const unsigned char *data, size_t size)
{
    gr_err err = GR_OK;
    gr_image whole = {0}, small = {0};
    unsigned char *webp = NULL;
    size_t webp_size = 0;
    gr_str text = {0};
    GR_TRY(gr_image_decode("picture", data, size, GR_IMAGE_OVER_WHITE, &whole));
    const gr_image *shown = &whole;
    const int64_t longer = whole.width > whole.height ? whole.width : whole.height;
    if (longer > SIDE) {
        const int64_t width = whole.width * SIDE / longer,
                      height = whole.height * SIDE / longer;
        GR_TRY(gr_image_resize(&whole, GR_IMAGE_BICUBIC, width > 0 ? width : 1,
                               height > 0 ? height : 1, &small));
        shown = &small;
    }
    GR_TRY(gr_image_encode_webp(shown, QUALITY, &webp, &webp_size));
    GR_TRY(gr_base64_add(&text, webp, webp_size));
    gr_json_map_begin(j, NULL);
    gr_json_int(j, "width", shown->width);
    gr_json_int(j, "height", shown->height);
    gr_json_string(j, "webp", text.data);
    gr_json_map_end(j);
done:
    gr_str_fini(&text);
    GR_FREE(webp);
    gr_image_fini(&small);
    gr_image_fini(&whole);
    return err;
}

/// The turns that were asked as one text, without the marks of pictures.
static gr_err question_text(const question *q, gr_str *out)
{
    static const char place[] = "<image>";
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(out, ""));
    for (int64_t i = 0; i < q->turns; i++) {
        const gr_chat_turn *turn = &q->conversation.turns[i];
        const char *at = turn->text, *next;
        if (turn->system) {
            continue;
        }
        GR_TRY(gr_str_add(out, out->size > 0 ? "\n" : ""));
        for (; (next = strstr(at, place)); at = next + strlen(place)) {
            GR_TRY(gr_str_add_bytes(out, at, (size_t)(next - at)));
        }
        GR_TRY(gr_str_add(out, at));
    }
done:
    return err;
}

static gr_err add_line(asking *a, const char *set, int64_t index, const question *q)
{
    static const char *const ends[] = {[GR_GENERATION_STOPPED] = "stop",
                                       [GR_GENERATION_LENGTH] = "length",
                                       [GR_GENERATION_POSITIONS] = "positions"};
    gr_err err = GR_OK;
    gr_json j = {0};
    gr_str text = {0};
    const gr_chat_turn *expected = &q->conversation.turns[q->turns];
    GR_TRY(question_text(q, &text));
    const char *asked = text.data;
    size_t asked_size = text.size;
    trim(&asked, &asked_size);
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "model", a->label);
    gr_json_string(&j, "set", set);
    gr_json_int(&j, "index", index);
    gr_json_string(&j, "id", q->sample->source ? q->sample->source : "");
    gr_json_string(&j, "task", q->sample->task ? q->sample->task : "");
    gr_json_string_bytes(&j, "question", asked, asked_size);
    gr_json_string_bytes(&j, "expected", expected->text, expected->size);
    gr_json_string_bytes(&j, "answer", q->answer.text, q->answer.size);
    gr_json_bool(&j, "same",
                 is_same(expected->text, expected->size, q->answer.text, q->answer.size));
    gr_json_string(&j, "end", ends[q->answer.end]);
    gr_json_list_begin(&j, "pictures");
    for (int64_t i = 0; i < q->images; i++) {
        GR_TRY(put_picture(&j, q->sample->image[i], q->sample->image_size[i]));
    }
    gr_json_list_end(&j);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_str_add_bytes(&a->lines, j.text.data, j.text.size));
    GR_TRY(gr_str_add(&a->lines, "\n"));
done:
    gr_json_fini(&j);
    gr_str_fini(&text);
    return err;
}

/// Asks about one sample; what is wrong with it is a warning.
static gr_err predict(asking *a, int64_t source, int64_t index)
{
    gr_err err = GR_OK;
    question q = {0};
    const gr_dataset *dataset = a->datasets[source];
    err = gr_dataset_read(dataset, index, &q.sample);
    err = err ? err : ask(a, &q);
    err = err ? err : add_line(a, gr_dataset_path(dataset), index, &q);
    if (err == GR_ERR_DATA) {
        gr_progress_end();
        gr_log_warn("no prediction for sample %lld of %s: %s", (long long)index,
                    gr_dataset_path(dataset), gr_err_message());
        gr_err_clear();
        err = GR_OK;
    }
    question_fini(&q);
    return err;
}

/// Whether the source's part of the data set has this sample.
static gr_err is_in(const asking *a, int64_t source, int64_t index, bool *out)
{
    gr_err err = GR_OK;
    gr_digest id;
    const gr_recipe_source *s = &a->sources[source];
    *out = s->from <= 0 && s->to >= 1;
    if (!*out) {
        GR_TRY(gr_dataset_id(a->datasets[source], index, &id));
        const double place = gr_order_place(id);
        *out = place >= s->from && place < s->to;
    }
done:
    return err;
}

/// The k-th of `count` samples at equal distances over all sources: the first from its place on that is in its source's part. false: none
/// is, or it is another's.
static gr_err find_sample(const asking *a, int64_t total, int64_t k, int64_t *source,
                          int64_t *index, bool *found)
{
    gr_err err = GR_OK;
    const int64_t count = a->options->count < total ? a->options->count : total;
    int64_t at = k * total / count;
    const int64_t end = (k + 1) * total / count;
    *found = false;
    for (; at < end && !*found; at++) {
        *source = 0;
        *index = at;
        while (*index >= gr_dataset_count(a->datasets[*source])) {
            *index -= gr_dataset_count(a->datasets[(*source)++]);
        }
        GR_TRY(is_in(a, *source, *index, found));
    }
done:
    return err;
}

static gr_err predict_all(asking *a)
{
    gr_err err = GR_OK;
    int64_t total = 0;
    const double started = gr_clock();
    for (int64_t i = 0; i < a->count; i++) {
        total += gr_dataset_count(a->datasets[i]);
    }
    const int64_t count = a->options->count < total ? a->options->count : total;
    for (int64_t k = 0; k < count; k++) {
        int64_t source = 0, index = 0;
        bool found = false;
        GR_TRY(find_sample(a, total, k, &source, &index, &found));
        if (found) {
            GR_TRY(predict(a, source, index));
        }
        gr_progress_bar(seconds_between_lines, started, k + 1, count, "answers of %s", a->dir);
    }
done:
    gr_progress_end();
    return err;
}

/// RUN/final or the newest whole checkpoint.
static gr_err find_model(asking *a)
{
    gr_err err = GR_OK;
    const char *run = a->options->run;
    char **list = NULL;
    int64_t count = 0;
    if (gr_checkpoint_has_final(run)) {
        GR_TRY(gr_path_join(run, "final", &a->dir));
    } else {
        GR_TRY(gr_checkpoint_list(run, INT64_MAX, &list, &count));
    }
    for (int64_t i = 0; i < count && !a->dir; i++) {
        if (gr_checkpoint_verify(list[i]) == GR_OK) {
            a->dir = list[i];
            list[i] = NULL;
        } else {
            gr_log_warn("checkpoint %s is passed over: %s", list[i], gr_err_message());
            gr_err_clear();
        }
    }
    if (!a->dir) {
        GR_FAIL(GR_ERR_MISSING,
                "%s: has neither a trained model nor a whole checkpoint that could answer",
                run);
    }
    a->label = gr_path_base(a->dir);
    if (strcmp(a->label, "final") != 0) {
        a->label -= strlen("checkpoints/");
    }
done:
    gr_dir_list_free(&list, count);
    return err;
}

/// The stage that says how questions are put, and where they are taken from.
static gr_err choose_data(asking *a)
{
    gr_err err = GR_OK;
    const gr_recipe *recipe = a->recipe;
    const gr_recipe_source own = {.path = a->options->data, .to = 1};
    a->stage = &recipe->stages[recipe->stage_count - 1];
    for (int64_t i = recipe->stage_count; i-- > 0 && !a->options->data;) {
        if (recipe->stages[i].validation.count > 0) {
            a->stage = &recipe->stages[i];
            break;
        }
    }
    const gr_recipe_sources *held_out = &a->stage->validation;
    if (!a->options->data && held_out->count == 0) {
        GR_FAIL(GR_ERR_USAGE,
                "%s: no stage of the run has held-out data (validation) to ask about; name a "
                "data set with --data DIR",
                a->options->run);
    }
    const int64_t count = a->options->data ? 1 : held_out->count;
    GR_ALLOC(a->sources, count);
    GR_ALLOC(a->datasets, count);
    for (int64_t i = 0; i < count; i++) {
        a->sources[i] = a->options->data ? own : held_out->items[i];
        GR_TRY(gr_dataset_open(a->sources[i].path, &a->datasets[i]));
        a->count = i + 1;
    }
done:
    return err;
}

static gr_err load_model(asking *a)
{
    gr_err err = GR_OK;
    GR_TRY(gr_hf_load_config(a->dir, &a->config));
    if (!(a->config.parts & 1u << GR_PART_LANGUAGE)) {
        GR_FAIL(GR_ERR_DATA, "%s: the model has no language part, which is what answers",
                a->dir);
    }
    GR_TRY(gr_tokenizer_load(a->dir, &a->tokenizer));
    GR_TRY(gr_exec_create_cpu(a->options->threads, 0, &a->exec));
    err = gr_exec_set_precision(a->exec, a->recipe->precision);
    if (err == GR_ERR_UNAVAILABLE) {
        gr_log_warn("answers are computed in fp32: %s", gr_err_message());
        gr_err_clear();
        err = gr_exec_set_precision(a->exec, GR_PRECISION_FP32);
    }
    GR_TRY(err);
    GR_TRY(gr_model_create(&a->config, a->exec, &a->model));
    GR_TRY(gr_hf_load_weights(a->dir, a->config.parts, a->model));
done:
    return err;
}

static void asking_fini(asking *a)
{
    gr_str_fini(&a->lines);
    gr_tokenizer_destroy(&a->tokenizer);
    gr_model_destroy(&a->model);
    gr_exec_destroy(&a->exec);
    for (int64_t i = 0; i < a->count; i++) {
        gr_dataset_close(&a->datasets[i]);
    }
    GR_FREE(a->datasets);
    GR_FREE(a->sources);
    GR_FREE(a->dir);
    gr_recipe_destroy(&a->recipe);
}

gr_err gr_predictions_make(const gr_predictions_options *options)
{
    gr_err err = GR_OK;
    asking a = {.options = options};
    char *path = NULL;
    GR_TRY(gr_path_join(options->run, "recipe.json", &path));
    GR_TRY(gr_recipe_load(path, NULL, 0, &a.recipe));
    GR_TRY(find_model(&a));
    GR_TRY(choose_data(&a));
    GR_TRY(load_model(&a));
    GR_TRY(gr_str_add(&a.lines, ""));
    GR_TRY(predict_all(&a));
    GR_FREE(path);
    GR_TRY(gr_path_join(options->run, "predictions.jsonl", &path));
    GR_TRY(gr_file_write(path, a.lines.data, a.lines.size));
done:
    GR_FREE(path);
    asking_fini(&a);
    return err;
}
