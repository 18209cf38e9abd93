#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "src/formats/answer.h"
#include "src/formats/chat.h"
#include "src/formats/hf.h"

#include <stdio.h>
#include <string.h>

static gr_err print_answer(const gr_answer *a, const gr_chat_sample *prompt, int64_t tiles)
{
    static const char *const ends[] = {[GR_GENERATION_STOPPED] = "stop",
                                       [GR_GENERATION_LENGTH] = "length",
                                       [GR_GENERATION_POSITIONS] = "positions"};
    gr_json json = {.indent = 2};
    gr_json_map_begin(&json, NULL);
    gr_json_string_bytes(&json, "text", a->text, a->size);
    gr_json_string(&json, "end", ends[a->end]);
    gr_json_int(&json, "tiles", tiles);
    gr_json_int(&json, "prompt_tokens", prompt->ids.count);
    gr_json_int(&json, "new_tokens", a->count);
    gr_json_real(&json, "seconds", a->seconds); // the prompt's pass among them
    gr_json_real(&json, "tokens_per_second",
                 a->seconds > 0 ? (double)a->count / a->seconds : 0);
    gr_json_list_begin(&json, "ids");
    for (int64_t i = 0; i < a->count; i++) {
        gr_json_int(&json, NULL, a->ids[i]);
    }
    gr_json_list_end(&json);
    gr_json_map_end(&json);
    gr_err err = gri_print_json(&json);
    gr_json_fini(&json);
    return err;
}

// Each <image> of the prompt is one --image, or there is none and they stand in front.
static gr_err check_places(const char *prompt, int64_t pictures)
{
    gr_err err = GR_OK;
    int64_t places = 0;
    for (const char *at = prompt; (at = strstr(at, "<image>")); at += strlen("<image>")) {
        places++;
    }
    if (places > 0 && places != pictures) {
        GR_FAIL(
            GR_ERR_USAGE,
            "generate: the prompt has %lld <image>, but %lld --image %s given: each <image> "
            "is the place of one picture (without any, pictures stand in front)",
            (long long)places, (long long)pictures, pictures == 1 ? "is" : "are");
    }
done:
    return err;
}

// The prompt's tokens, before any picture is decoded.
static gr_err write_prompt(const gr_model_config *config, const gr_tokenizer *tokenizer,
                           const gri_picture_options *pictures, gr_chat_options options,
                           const char *prompt, gr_chat_sample *out)
{
    gr_err err = GR_OK;
    int64_t *tiles = NULL;
    const int64_t most = config->language.max_positions;
    const gr_chat_turn turn = {.text = prompt, .size = strlen(prompt)};
    GR_TRY(gri_pictures_tiles(pictures, config, &tiles));
    options.image_tokens = pictures->files.count > 0 ? gr_image_tokens(&config->vision) : 0;
    GR_TRY(gr_chat_prompt(tokenizer, &options, &turn, 1, pictures->files.count, tiles, out));
    if (out->ids.count >= most) {
        GR_FAIL(
            GR_ERR_DATA,
            "the prompt has %lld tokens, %lld of them of pictures; the model has %lld "
            "positions and needs one for the answer: ask shorter, or give fewer pictures or "
            "--tiles",
            (long long)out->ids.count, (long long)out->image_rows.count, (long long)most);
    }
done:
    GR_FREE(tiles);
    return err;
}

// What is asked, and how.
typedef struct question {
    const char *dir, *prompt;
    gri_picture_options pictures;
    gr_chat_options chat;
    int64_t max_new, threads;
    int precision;
    bool json;
} question;

static gr_err generate(const question *q)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    gr_model_config config = {0};
    gr_tokenizer *tokenizer = NULL;
    gr_chat_sample sample = {0};
    gr_pictures seen = {0};
    gr_answer a = {0};
    GR_TRY(check_places(q->prompt, q->pictures.files.count));
    GR_TRY(gri_answering_open(q->dir, &config, &tokenizer));
    GR_TRY(write_prompt(&config, tokenizer, &q->pictures, q->chat, q->prompt, &sample));
    GR_TRY(gri_session_load(q->dir, GR_PARTS_ALL, q->threads, (gr_precision)q->precision, &s));
    GR_TRY(gri_pictures_load(&q->pictures, &s.config, &seen));
    GR_TRY(
        gr_answer_write(s.model, tokenizer, &sample, seen.pixels, seen.count, q->max_new, &a));
    if (q->json) {
        GR_TRY(print_answer(&a, &sample, seen.count));
    } else {
        fwrite(a.text, 1, a.size, stdout);
        printf("\n");
        if (a.size == 0) {
            gr_log_info("the answer is empty: the model ended it at once");
        }
    }
done:
    gr_answer_fini(&a);
    gr_pictures_fini(&seen);
    gr_chat_sample_fini(&sample);
    gr_tokenizer_destroy(&tokenizer);
    gri_session_close(&s);
    return err;
}

gr_err gri_generate(int argc, char **argv)
{
    gr_err err = GR_OK;
    const char *template = "chat";
    question q = {.max_new = 128, .precision = GR_PRECISION_FP32};
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("MODEL", &q.dir, "model directory with its tokenizer", .required = true),
        GRI_PICTURES(
            &q.pictures,
            "PNG, JPEG or WebP; <image> in a prompt says where it stands (default: in front)"),
        GRI_TEXT("prompt", "TEXT", &q.prompt, "the question", .required = true),
        GRI_TEXT("template", "NAME", &template,
                 "how the conversation is written, as in a recipe (default: chat)"),
        GRI_TEXT("system", "TEXT", &q.chat.system,
                 "system message (default: the template's; chat has none)"),
        GRI_INT("max-new", "N", &q.max_new, 1, 1 << 20, "most tokens to write (default: 128)"),
        GRI_CHOICE("precision", "fp32|bf16", &q.precision,
                   "what matrix products read, and what is kept between them (default: fp32)"),
        GRI_THREADS(&q.threads),
        GRI_FLAG(
            "json", &q.json,
            "print text, ids, why it ended, numbers of tiles and tokens and the speed as JSON"),
    };
    GR_TRY(
        GRI_ARGS_PARSE("generate",
                       "Prints the model's answer to a prompt about pictures (the most likely "
                       "token each time).",
                       args, argc, argv, &help));
    if (!help) {
        GR_TRY(gri_template_find(template, &q.chat.template));
        GR_TRY(generate(&q));
    }
done:
    gri_list_fini(&q.pictures.files);
    return err;
}
