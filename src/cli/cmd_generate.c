#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "src/formats/chat.h"
#include "src/formats/image.h"

#include <stdio.h>
#include <string.h>

enum { MAX_IMAGE_BYTES = 1 << 30 };

// One picture as the model takes it: one tile, alpha over white.
static gr_err load_image(const char *path, const gr_vision_config *v, float *pixels)
{
    gr_err err = GR_OK;
    char *data = NULL;
    size_t size = 0;
    gr_image image = {0}, tile = {0};
    GR_TRY(gr_file_read(path, MAX_IMAGE_BYTES, &data, &size));
    GR_TRY(gr_image_decode(path, data, size, true, &image));
    GR_TRY(gr_image_resize(&image, v->image_size, v->image_size, &tile));
    gr_image_normalize(&tile, v->image_mean, v->image_std, pixels);
done:
    gr_image_fini(&image);
    gr_image_fini(&tile);
    GR_FREE(data);
    return err;
}

static gr_err load_images(const gri_list *paths, const gr_model_config *config, float **out)
{
    gr_err err = GR_OK;
    float *pixels = NULL;
    const gr_vision_config *v = &config->vision;
    int64_t count = 3 * v->image_size * v->image_size;
    if (paths->count > 0 && !(config->parts & 1u << GR_PART_VISION)) {
        GR_FAIL(GR_ERR_DATA, "the model has no vision part: it cannot look at %s",
                paths->items[0]);
    }
    GR_ALLOC(pixels, paths->count * count);
    for (int64_t i = 0; i < paths->count; i++) {
        GR_TRY(load_image(paths->items[i], v, pixels + i * count));
    }
    *out = pixels;
    pixels = NULL;
done:
    GR_FREE(pixels);
    return err;
}

// Greedy answer to a prompt, in new memory.
static gr_err answer(gri_session *s, const gr_tokenizer *tokenizer,
                     const gr_chat_sample *prompt, const float *pixels, int64_t images,
                     int64_t max_new, char **text)
{
    gr_err err = GR_OK;
    int32_t *positions = NULL, *ids = NULL;
    int64_t count = 0;
    const int64_t tokens = prompt->ids.count;
    const int32_t ends[] = {0, (int32_t)tokens};
    const int32_t stop[] = {gr_tokenizer_id(tokenizer, "<|im_end|>"),
                            gr_tokenizer_id(tokenizer, "<|endoftext|>")};
    GR_ALLOC(positions, tokens);
    GR_ALLOC(ids, max_new);
    for (int64_t t = 0; t < tokens; t++) {
        positions[t] = (int32_t)t;
    }
    const gr_batch batch = {
        .tokens = tokens,
        .ids = prompt->ids.data,
        .positions = positions,
        .sequences = 1,
        .cu_seqlens = ends,
        .images = images,
        .pixels = pixels,
        .image_rows = prompt->image_rows.data,
    };
    GR_TRY(gr_generate(s->model, &batch, stop, 2, max_new, ids, &count));
    GR_TRY(gr_tokenizer_decode(tokenizer, ids, count, true, text));
done:
    GR_FREE(positions);
    GR_FREE(ids);
    return err;
}

static gr_err generate(const char *dir, const gri_list *images, gr_chat_options options,
                       const char *prompt, int64_t max_new, int64_t threads)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    gr_tokenizer *tokenizer = NULL;
    gr_chat_sample sample = {0};
    float *pixels = NULL;
    char *text = NULL;
    const gr_chat_turn turn = {.text = prompt, .size = strlen(prompt)};
    GR_TRY(gr_tokenizer_load(dir, &tokenizer));
    GR_TRY(gri_session_load(dir, GR_PARTS_ALL, threads, &s));
    GR_TRY(load_images(images, &s.config, &pixels));
    options.image_tokens = images->count > 0 ? gr_image_tokens(&s.config.vision) : 0;
    GR_TRY(gr_chat_prompt(tokenizer, &options, &turn, 1, images->count, NULL, &sample));
    GR_TRY(answer(&s, tokenizer, &sample, pixels, images->count, max_new, &text));
    printf("%s\n", text);
done:
    GR_FREE(text);
    GR_FREE(pixels);
    gr_chat_sample_fini(&sample);
    gr_tokenizer_destroy(&tokenizer);
    gri_session_close(&s);
    return err;
}

static gr_err find_template(const char *name, const gr_chat_template **out)
{
    gr_err err = GR_OK;
    *out = gr_chat_template_find(name);
    if (!*out) {
        GR_FAIL(GR_ERR_USAGE, "--template: expected one of %s; got \"%s\"",
                gr_chat_template_names, name);
    }
done:
    return err;
}

gr_err gri_generate(int argc, char **argv)
{
    gr_err err = GR_OK;
    gri_list images = {0};
    const char *dir = NULL, *prompt = NULL, *template = "chat";
    gr_chat_options options = {0};
    int64_t max_new = 128, threads = 0;
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("MODEL", &dir, "model directory with its tokenizer", .required = true),
        GRI_LIST("image", "FILE", &images,
                 "PNG, JPEG or WebP; <image> in the prompt says where it stands (default: in "
                 "front)"),
        GRI_TEXT("prompt", "TEXT", &prompt, "the question", .required = true),
        GRI_TEXT("template", "NAME", &template,
                 "how the conversation is written, as in a recipe (default: chat)"),
        GRI_TEXT("system", "TEXT", &options.system,
                 "system message (default: the template's; chat has none)"),
        GRI_INT("max-new", "N", &max_new, 1, 1 << 20, "most tokens to write (default: 128)"),
        GRI_THREADS(&threads),
    };
    GR_TRY(
        GRI_ARGS_PARSE("generate",
                       "Prints the model's answer to a prompt about pictures (the most likely "
                       "token each time).",
                       args, argc, argv, &help));
    if (!help) {
        GR_TRY(find_template(template, &options.template));
        GR_TRY(generate(dir, &images, options, prompt, max_new, threads));
    }
done:
    gri_list_fini(&images);
    return err;
}
