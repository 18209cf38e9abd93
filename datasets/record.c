#include "datasets/record.h"

#include "datasets/shard_format.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#define PLACEHOLDER "<image>"
enum { MAX_FILE = 1 << 30 };

gr_err gri_record_id(const gr_node *node, int64_t number, char **out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    const gr_node *id = gr_node_find(node, "id");
    if (!id) {
        *out = gr_str_format("#%lld", (long long)number);
    } else if (id->type == GR_DOC_INT) {
        *out = gr_str_format("%lld", (long long)id->u.integer);
    } else {
        const char *text = NULL;
        GR_TRY(gr_node_get_string(node, "id", &text));
        *out = gr_mem_strdup(text);
    }
    err = *out ? GR_OK : GR_ERR_MEMORY;
done:
    return err;
}

/// Names must stay inside the folder: a data set from elsewhere must not be able to pull in other files.
static gr_err check_name(const gr_node *node)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_expect(node, GR_DOC_STRING));
    const char *name = node->u.string.data;
    if (!*name || strlen(name) != node->u.string.size) {
        GR_TRY(gr_node_error(node, "an empty image name, or one with a NUL inside"));
    }
    bool climbs = name[0] == '/';
    for (const char *part = name; part && !climbs; part = strchr(part, '/')) {
        part += *part == '/';
        climbs = strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0');
    }
    if (climbs) {
        GR_TRY(gr_node_error(node, "image name \"%s\" leads out of the image folder", name));
    }
done:
    return err;
}

/// Path of the regular file that the name means, without links. Links may lead elsewhere in the folder, but
/// not out of it.
static gr_err find_image(const char *folder, const gr_node *node, const char *path, char **out)
{
    gr_err err = GR_OK;
    char *root = NULL, *real = NULL;
    struct stat st;
    GR_TRY(gr_path_real(*folder ? folder : ".", &root));
    GR_TRY(gr_path_real(path, &real));
    size_t n = strlen(root);
    if (n > 1 && (strncmp(real, root, n) != 0 || (real[n] != '/' && real[n] != '\0'))) {
        GR_TRY(gr_node_error(node,
                             "image name \"%s\" is a link that leads out of the image folder, "
                             "to %s",
                             node->u.string.data, real));
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

/// Brings the longer side down to `max_side`, keeping the aspect.
static gr_err shrink(gr_image *image, int64_t max_side)
{
    gr_err err = GR_OK;
    gr_image small = {0};
    int64_t side = image->width > image->height ? image->width : image->height;
    if (max_side > 0 && side > max_side) {
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

/// Reads, decodes and encodes one picture into place `i` of the record.
static gr_err read_image(const char *folder, const gr_node *node,
                         const gr_import_options *options, int64_t i, gri_record *out)
{
    gr_err err = GR_OK;
    char *path = NULL, *real = NULL, *data = NULL;
    size_t size = 0;
    gr_image image = {0};
    bool stays = false;
    const unsigned how = (options->drop_alpha ? 0 : GR_IMAGE_OVER_WHITE) |
                         (options->ignore_exif ? 0 : GR_IMAGE_UPRIGHT);
    GR_TRY(check_name(node));
    GR_TRY(gr_path_join(folder, node->u.string.data, &path));
    GR_TRY(find_image(folder, node, path, &real));
    GR_TRY(gr_file_read(real, MAX_FILE, &data, &size));
    GR_TRY(gr_image_decode(path, data, size, how, &image));
    if (options->keep) {
        GR_TRY(shows(options, path, data, size, &image, &stays));
    }
    if (stays) {
        out->image[i] = (unsigned char *)data;
        out->image_size[i] = size;
        data = NULL;
    } else {
        GR_TRY(shrink(&image, options->max_side));
        GR_TRY_CONTEXT(
            gr_image_encode_webp(&image, options->quality, &out->image[i], &out->image_size[i]),
            "%s", path);
    }
    out->pixels[i][0] = (int32_t)image.width;
    out->pixels[i][1] = (int32_t)image.height;
done:
    gr_image_fini(&image);
    GR_FREE(data);
    GR_FREE(real);
    GR_FREE(path);
    return err;
}

static gr_err read_images(const gr_node *node, const char *folder,
                          const gr_import_options *options, gri_record *out)
{
    gr_err err = GR_OK;
    const gr_node *image = gr_node_find(node, "image");
    if (!image) {
        goto done;
    }
    bool list = image->type == GR_DOC_LIST;
    int64_t count = list ? image->u.list.count : 1;
    GR_ALLOC(out->image, count);
    GR_ALLOC(out->image_size, count);
    GR_ALLOC(out->pixels, count);
    out->images = count;
    for (int64_t i = 0; i < count; i++) {
        const gr_node *item = list ? &image->u.list.items[i] : image;
        GR_TRY(read_image(folder, item, options, i, out));
    }
done:
    return err;
}

static int64_t count_placeholders(const char *text)
{
    int64_t count = 0;
    while ((text = strstr(text, PLACEHOLDER))) {
        count++;
        text += strlen(PLACEHOLDER);
    }
    return count;
}

/// What the turns of a conversation hold.
typedef struct census {
    int64_t human, gpt, placeholders;
} census;

static gr_err check_turn(const gr_node *turn, census *sum)
{
    gr_err err = GR_OK;
    const char *from = NULL, *value = NULL;
    GR_TRY(gr_node_expect(turn, GR_DOC_MAP));
    GR_TRY(gr_node_get_string(turn, "from", &from));
    GR_TRY(gr_node_get_string(turn, "value", &value));
    if (strcmp(from, "human") == 0) {
        sum->human++;
        sum->placeholders += count_placeholders(value);
    } else if (strcmp(from, "gpt") == 0) {
        sum->gpt++;
    } else if (strcmp(from, "system") != 0) {
        GR_TRY(gr_node_error(gr_node_find(turn, "from"),
                             "expected human, gpt or system, got \"%s\"", from));
    }
done:
    return err;
}

static gr_err check_conversation(const gr_node *node, int64_t images)
{
    gr_err err = GR_OK;
    const gr_node *turns = NULL;
    census sum = {0};
    GR_TRY(gr_node_get_list(node, "conversations", &turns));
    for (int64_t i = 0; i < turns->u.list.count; i++) {
        GR_TRY(check_turn(&turns->u.list.items[i], &sum));
    }
    if (sum.gpt == 0) {
        GR_TRY(gr_node_error(turns, "no turn from gpt: nothing to learn"));
    }
    if (sum.placeholders > 0 && sum.placeholders != images) {
        GR_TRY(gr_node_error(turns, "%lld <image> in human turns, but %lld images",
                             (long long)sum.placeholders, (long long)images));
    }
    if (images > 0 && sum.human == 0) {
        GR_TRY(gr_node_error(turns, "%lld images, but no turn from human to show them in",
                             (long long)images));
    }
done:
    return err;
}

static void put_node(gr_json *j, const char *key, const gr_node *node);

static void put_children(gr_json *j, const gr_node *node)
{
    for (int64_t i = 0; i < node->u.list.count; i++) {
        put_node(j, node->u.list.items[i].key, &node->u.list.items[i]);
    }
}

static void put_node(gr_json *j, const char *key, const gr_node *node)
{
    switch (node->type) {
    case GR_DOC_NULL:
        gr_json_null(j, key);
        break;
    case GR_DOC_BOOL:
        gr_json_bool(j, key, node->u.boolean);
        break;
    case GR_DOC_INT:
        gr_json_int(j, key, node->u.integer);
        break;
    case GR_DOC_REAL:
        gr_json_real(j, key, node->u.real);
        break;
    case GR_DOC_STRING:
        gr_json_string_bytes(j, key, node->u.string.data, node->u.string.size);
        break;
    case GR_DOC_LIST:
        gr_json_list_begin(j, key);
        put_children(j, node);
        gr_json_list_end(j);
        break;
    case GR_DOC_MAP:
        gr_json_map_begin(j, key);
        put_children(j, node);
        gr_json_map_end(j);
        break;
    }
}

/// All keys but "image", which the shard holds as bytes, and "id", which it holds as the source: so equal
/// conversations about equal pictures have equal content ids.
static gr_err write_text(const gr_node *node, gr_json *j)
{
    gr_json_map_begin(j, NULL);
    for (int64_t i = 0; i < node->u.list.count; i++) {
        const gr_node *item = &node->u.list.items[i];
        if (strcmp(item->key, "image") != 0 && strcmp(item->key, "id") != 0) {
            put_node(j, item->key, item);
        }
    }
    gr_json_map_end(j);
    return gr_json_finish(j);
}

gr_err gri_record_read(const gr_node *node, int64_t number, const char *folder,
                       const gr_import_options *options, gri_record *out)
{
    gr_err err = GR_OK;
    GR_TRY(gri_record_id(node, number, &out->source));
    GR_TRY(read_images(node, folder, options, out));
    GR_TRY(check_conversation(node, out->images));
    GR_TRY(write_text(node, &out->text));
    out->sample = (gr_sample){.source = out->source,
                              .text = out->text.text.data,
                              .text_size = out->text.text.size,
                              .images = out->images,
                              .image = (const unsigned char **)out->image,
                              .image_size = out->image_size,
                              .pixels = (const int32_t(*)[2])out->pixels};
done:
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
    gr_json_fini(&record->text);
    *record = (gri_record){0};
}
