#include "datasets/record.h"

#include "datasets/messages.h"
#include "datasets/shard_format.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

/// Names must stay inside the folder: a data set from elsewhere must not be able to pull in other files.
static gr_err check_name(const char *name, size_t size)
{
    gr_err err = GR_OK;
    if (!*name || strlen(name) != size) {
        GR_FAIL(GR_ERR_DATA, "an empty image name, or one with a NUL inside");
    }
    if (gri_name_climbs(name)) {
        GR_FAIL(GR_ERR_DATA, "image name \"%s\" leads out of the image folder", name);
    }
done:
    return err;
}

bool gri_name_climbs(const char *name)
{
    bool climbs = name[0] == '/';
    for (const char *part = name; part && !climbs; part = strchr(part, '/')) {
        part += *part == '/';
        climbs = strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0');
    }
    return climbs;
}

/// Path of the regular file that the name means, without links. Links may lead elsewhere in the folder, but
/// not out of it.
static gr_err find_image(const char *folder, const char *name, const char *path, char **out)
{
    gr_err err = GR_OK;
    char *root = NULL, *real = NULL;
    struct stat st;
    GR_TRY(gr_path_real(*folder ? folder : ".", &root));
    GR_TRY(gr_path_real(path, &real));
    size_t n = strlen(root);
    if (n > 1 && (strncmp(real, root, n) != 0 || (real[n] != '/' && real[n] != '\0'))) {
        GR_FAIL(GR_ERR_DATA,
                "image name \"%s\" is a link that leads out of the image folder, to %s", name,
                real);
    }
    if (stat(real, &st) != 0 || !S_ISREG(st.st_mode)) {
        GR_FAIL(GR_ERR_DATA, "%s is %s, expected a picture", path,
                gr_dir_exists(real) ? "a folder" : "no regular file");
    }
    *out = real;
    real = NULL;
done:
    GR_FREE(root);
    GR_FREE(real);
    return err;
}

static int64_t longer_side(const gr_image *image)
{
    return image->width > image->height ? image->width : image->height;
}

static bool is_too_large(const gr_image *image, int64_t max_side)
{
    return max_side > 0 && longer_side(image) > max_side;
}

/// Brings the longer side down to `max_side`, keeping the aspect.
static gr_err shrink(gr_image *image, int64_t max_side)
{
    gr_err err = GR_OK;
    gr_image small = {0};
    int64_t side = longer_side(image);
    if (is_too_large(image, max_side)) {
        double scale = (double)max_side / (double)side;
        int64_t width = llround((double)image->width * scale);
        int64_t height = llround((double)image->height * scale);
        GR_TRY(gr_image_resize(image, GR_IMAGE_BICUBIC, width > 0 ? width : 1,
                               height > 0 ? height : 1, &small));
        gr_image_fini(image);
        *image = small;
    }
done:
    return err;
}

/// Whether the loader, which knows nothing of the import's options, will see `image` in the file as it is.
static gr_err shows(const gr_import_options *options, const char *path, const char *data,
                    size_t size, const gr_image *image, bool *out)
{
    gr_err err = GR_OK;
    gr_image seen = {0};
    const char *kind = gr_image_kind(data, size);
    *out = kind && strcmp(kind, "webp") == 0;
    if (*out && (options->drop_alpha || gr_image_orientation(data, size) != 1)) {
        GR_TRY(gr_image_decode(path, data, size, GRI_SHARD_DECODE, &seen));
        *out = seen.width == image->width &&
               memcmp(seen.rgb, image->rgb, (size_t)(seen.width * seen.height * 3)) == 0;
    }
done:
    gr_image_fini(&seen);
    return err;
}

/// Room for one more picture; it owns nothing yet.
static gr_err reserve(gri_record *r)
{
    gr_err err = GR_OK;
    if (r->images == r->capacity) {
        int64_t capacity = r->capacity ? 2 * r->capacity : 1;
        GR_RESIZE(r->image, r->capacity, capacity);
        GR_RESIZE(r->image_size, r->capacity, capacity);
        GR_RESIZE(r->pixels, r->capacity, capacity);
        r->capacity = capacity;
    }
done:
    return err;
}

void gri_last_picture_fini(gri_last_picture *last)
{
    GR_FREE(last->webp);
    *last = (gri_last_picture){0};
}

/// The picture as it will be stored, in new memory or, when it is stored as it is, `*data` itself.
static gr_err encode(const gr_import_options *options, const char *name, char **data,
                     size_t size, gri_last_picture *out)
{
    gr_err err = GR_OK;
    gr_image image = {0};
    bool stays = false;
    const unsigned how = (options->drop_alpha ? 0 : GR_IMAGE_OVER_WHITE) |
                         (options->ignore_exif ? 0 : GR_IMAGE_UPRIGHT);
    GR_TRY(gr_image_decode(name, *data, size, how, &image));
    if (options->keep && !is_too_large(&image, options->max_side)) {
        GR_TRY(shows(options, name, *data, size, &image, &stays));
    }
    if (stays) {
        out->webp = (unsigned char *)*data;
        out->size = size;
        *data = NULL;
    } else {
        GR_TRY(shrink(&image, options->max_side));
        GR_TRY_CONTEXT(gr_image_encode_webp(&image, options->quality, &out->webp, &out->size),
                       "%s", name);
    }
    out->pixels[0] = (int32_t)image.width;
    out->pixels[1] = (int32_t)image.height;
done:
    gr_image_fini(&image);
    return err;
}

/// Makes `last` the picture encoded from these bytes, unless it is already.
static gr_err encode_once(const gr_import_options *options, const char *name, char **data,
                          size_t size, gri_last_picture *last)
{
    gr_err err = GR_OK;
    gr_digest of = gr_digest_of(*data, size);
    if (!last->webp || !gr_digest_equal(of, last->of)) {
        gri_last_picture_fini(last);
        GR_TRY(encode(options, name, data, size, last));
        last->of = of;
    }
done:
    return err;
}

gr_err gri_record_picture(gri_record *record, const gr_import_options *options,
                          const char *name, char **data, size_t size)
{
    gr_err err = GR_OK;
    gri_last_picture own = {0}, *last = record->last ? record->last : &own;
    const int64_t i = record->images;
    GR_TRY(reserve(record));
    GR_TRY(encode_once(options, name, data, size, last));
    GR_ALLOC(record->image[i], last->size);
    memcpy(record->image[i], last->webp, last->size);
    record->image_size[i] = last->size;
    memcpy(record->pixels[i], last->pixels, sizeof last->pixels);
    record->images++;
done:
    gri_last_picture_fini(&own);
    return err;
}

gr_err gri_record_pixels(gri_record *record, const gr_image *image, double quality)
{
    gr_err err = GR_OK;
    const int64_t i = record->images;
    GR_TRY(reserve(record));
    GR_TRY(gr_image_encode_webp(image, quality, &record->image[i], &record->image_size[i]));
    record->pixels[i][0] = (int32_t)image->width;
    record->pixels[i][1] = (int32_t)image->height;
    record->images++;
done:
    return err;
}

gr_err gri_record_picture_file(gri_record *record, const gr_import_options *options,
                               const char *folder, const char *name, size_t size)
{
    gr_err err = GR_OK;
    char *path = NULL, *real = NULL, *data = NULL;
    GR_TRY(check_name(name, size));
    GR_TRY(gr_path_join(folder, name, &path));
    err = find_image(folder, name, path, &real);
    if (err == GR_ERR_MISSING && !options->images) {
        gr_err_context("no image \"%s\" below %s (--images DIR names another folder)", name,
                       *folder ? folder : "the current folder");
    }
    GR_TRY(err);
    GR_TRY(gr_file_read(real, GRI_MAX_FILE, &data, &size));
    GR_TRY(gri_record_picture(record, options, path, &data, size));
done:
    GR_FREE(data);
    GR_FREE(real);
    GR_FREE(path);
    return err;
}

static int64_t count_placeholders(const char *text)
{
    int64_t count = 0;
    while ((text = strstr(text, GRI_PLACEHOLDER))) {
        count++;
        text += strlen(GRI_PLACEHOLDER);
    }
    return count;
}

/// What the turns of a conversation hold.
typedef struct census {
    int64_t human, gpt, placeholders;
    bool gpt_first; ///< before any turn from human
} census;

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/// A text of a turn; null is no text, and said so.
static gr_err get_text(const gr_node *turn, const char *key, const char **out)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < turn->u.list.count; i++) {
        const gr_node *item = &turn->u.list.items[i];
        if (strcmp(item->key, key) == 0 && item->type == GR_DOC_NULL) {
            GR_TRY(gr_node_error(item, "expected a text, got null"));
        }
    }
    GR_TRY(gr_node_get_string(turn, key, out));
done:
    return err;
}

static gr_err check_turn(const gr_node *turn, census *sum)
{
    gr_err err = GR_OK;
    const char *from = NULL, *value = NULL;
    GR_TRY(gr_node_expect(turn, GR_DOC_MAP));
    GR_TRY(get_text(turn, "from", &from));
    GR_TRY(get_text(turn, "value", &value));
    if (strcmp(from, "human") == 0) {
        sum->human++;
        sum->placeholders += count_placeholders(value);
    } else if (strcmp(from, "gpt") == 0) {
        sum->gpt++;
        sum->gpt_first = sum->gpt_first || sum->human == 0;
        if (is_blank(value)) {
            GR_TRY(gr_node_error(turn, "the answer is empty: nothing to learn but silence"));
        }
    } else if (strcmp(from, "system") != 0) {
        GR_TRY(gr_node_error(gr_node_find(turn, "from"),
                             "expected human, gpt or system, got \"%s\"", from));
    }
done:
    return err;
}

static gr_err find_turns(const gr_node *node, const gr_node **out)
{
    gr_err err = GR_OK;
    if (!gr_node_find(node, "conversations")) {
        GR_TRY(gr_node_error(
            node,
            "expected \"conversations\": [{\"from\": \"human\", \"value\": \"...\"}, ...], or "
            "\"messages\": [{\"role\": \"user\", \"content\": \"...\"}, ...]"));
    }
    GR_TRY(gr_node_get_list(node, "conversations", out));
done:
    return err;
}

static gr_err check_conversation(const gr_node *node, int64_t images)
{
    gr_err err = GR_OK;
    const gr_node *turns = NULL;
    census sum = {0};
    GR_TRY(find_turns(node, &turns));
    for (int64_t i = 0; i < turns->u.list.count; i++) {
        GR_TRY(check_turn(&turns->u.list.items[i], &sum));
    }
    if (sum.gpt == 0) {
        GR_TRY(gr_node_error(turns, "no turn from gpt: nothing to learn"));
    }
    if (sum.gpt_first && sum.human > 0) {
        GR_TRY(gr_node_error(
            turns, "it begins with an answer: expected a turn from human before the first "
                   "from gpt (or none at all: text to learn)"));
    }
    if (sum.placeholders > 0 && sum.placeholders != images) {
        GR_TRY(gr_node_error(turns, "%lld <image> in human turns, but %lld image%s",
                             (long long)sum.placeholders, (long long)images,
                             GR_PLURAL(images)));
    }
    if (images > 0 && sum.human == 0) {
        GR_TRY(gr_node_error(turns, "%lld image%s, but no turn from human to show %s in",
                             (long long)images, GR_PLURAL(images),
                             images == 1 ? "it" : "them"));
    }
done:
    return err;
}

gr_err gri_check_utf8(const char *what, const char *text, size_t size)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    gr_json_string_bytes(&j, NULL, text, size);
    GR_TRY(gr_json_finish(&j));
    if (j.replaced) {
        GR_FAIL(GR_ERR_DATA, "%s is no UTF-8", what);
    }
done:
    gr_json_fini(&j);
    return err;
}

void gri_conversation_put(gr_json *j, int64_t images, const char *text, const char *answer,
                          size_t answer_size)
{
    gr_str value = {0};
    gr_err err = GR_OK;
    for (int64_t i = 0; i < images && err == GR_OK; i++) {
        err = gr_str_add(&value, i ? "\n" GRI_PLACEHOLDER : GRI_PLACEHOLDER);
    }
    if (err == GR_OK && text) {
        err = gr_str_addf(&value, "%s%s", images ? "\n" : "", text);
    }
    gr_json_list_begin(j, "conversations");
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "from", "human");
    gr_json_string(j, "value", value.data ? value.data : "");
    gr_json_map_end(j);
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "from", "gpt");
    gr_json_string_bytes(j, "value", answer, answer_size);
    gr_json_map_end(j);
    gr_json_list_end(j);
    j->err = j->err == GR_OK ? err : j->err;
    gr_str_fini(&value);
}

bool gri_is_among(const char *text, const char *const *list)
{
    while (*list && strcmp(text, *list) != 0) {
        list++;
    }
    return *list != NULL;
}

static gr_err write_text(const gr_node *node, const char *const *left_out, gr_json *j)
{
    gr_json_map_begin(j, NULL);
    for (int64_t i = 0; i < node->u.list.count; i++) {
        const gr_node *item = &node->u.list.items[i];
        if (!gri_is_among(item->key, left_out)) {
            gr_node_write(j, item);
        }
    }
    gr_json_map_end(j);
    return gr_json_finish(j);
}

/// A task that is no string is just another key.
static gr_err choose_task(gri_record *record, const gr_node *node, const char *task)
{
    gr_err err = GR_OK;
    const gr_node *own = gr_node_find(node, "task");
    if (own && own->type == GR_DOC_STRING && strlen(own->u.string.data) == own->u.string.size) {
        task = own->u.string.data;
    }
    GR_STRDUP(record->task, task ? task : "");
done:
    return err;
}

gr_err gri_record_finish(gri_record *record, const gr_node *node, const char *const *left_out,
                         const char *task)
{
    gr_err err = GR_OK;
    gr_doc *converted = NULL;
    if (gri_has_messages(node)) {
        GR_TRY(gri_messages_convert(node, &converted));
        node = gr_doc_root(converted);
    }
    GR_TRY(check_conversation(node, record->images));
    GR_TRY(choose_task(record, node, task));
    GR_TRY(write_text(node, left_out, &record->text));
    record->sample = (gr_sample){.source = record->source,
                                 .task = record->task,
                                 .text = record->text.text.data,
                                 .text_size = record->text.text.size,
                                 .images = record->images,
                                 .image = (const unsigned char **)record->image,
                                 .image_size = record->image_size,
                                 .pixels = (const int32_t(*)[2])record->pixels};
done:
    gr_doc_destroy(&converted);
    return err;
}

void gri_record_fini(gri_record *record)
{
    for (int64_t i = 0; i < record->images; i++) {
        GR_FREE(record->image[i]);
    }
    GR_FREE(record->image);
    GR_FREE(record->image_size);
    GR_FREE(record->pixels);
    GR_FREE(record->source);
    GR_FREE(record->task);
    gr_json_fini(&record->text);
    *record = (gri_record){0};
}
