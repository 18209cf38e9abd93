#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "src/formats/hf.h"
#include "src/formats/safetensors.h"

#include <stdio.h>
#include <string.h>

// One number of a part, under its name in config.json.
typedef struct field {
    const char *name;
    int64_t value;
} field;
enum { MAX_FIELDS = 10 };

static int vision_fields(const gr_vision_config *v, field *out)
{
    const field fields[] = {
        {"image_size", v->image_size},       {"patch_size", v->patch_size},
        {"hidden_size", v->width},           {"num_attention_heads", v->heads},
        {"intermediate_size", v->mlp_width}, {"num_hidden_layers", v->blocks},
        {"tokens", gr_vision_tokens(v)},     {"image_tokens", gr_image_tokens(v)},
    };
    memcpy(out, fields, sizeof fields);
    return sizeof fields / sizeof *fields;
}

static int language_fields(const gr_language_config *l, field *out)
{
    const field fields[] = {
        {"vocab_size", l->vocabulary},     {"hidden_size", l->width},
        {"num_attention_heads", l->heads}, {"num_key_value_heads", l->kv_heads},
        {"head_dim", l->head_size},        {"intermediate_size", l->mlp_width},
        {"num_hidden_layers", l->blocks},  {"max_position_embeddings", l->max_positions},
    };
    memcpy(out, fields, sizeof fields);
    return sizeof fields / sizeof *fields;
}

static int connector_fields(const gr_model_config *c, field *out)
{
    out[0] = (field){"input_size", 4 * c->vision.width};
    out[1] = (field){"output_size", c->language.width};
    return 2;
}

static int part_fields(const gr_model_config *c, gr_part part, field *out)
{
    switch (part) {
    case GR_PART_VISION:
        return vision_fields(&c->vision, out);
    case GR_PART_CONNECTOR:
        return connector_fields(c, out);
    case GR_PART_LANGUAGE:
        return language_fields(&c->language, out);
    case GR_PART_COUNT:
        break;
    }
    return 0;
}

static const char *part_kind(const gr_model_config *c, gr_part part)
{
    if (part == GR_PART_CONNECTOR) {
        return "mlp";
    }
    if (part == GR_PART_LANGUAGE) {
        return gr_language_kind_name(c->language.kind);
    }
    return gr_vision_kind_name(c->vision.kind);
}

// What the weight files of a directory hold.
typedef struct weights {
    int64_t files, bytes, tensors[GR_DTYPE_COUNT];
} weights;

static gr_err count_file(const char *dir, const char *name, weights *w)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_safetensors *file = NULL;
    GR_TRY(gr_path_join(dir, name, &path));
    GR_TRY(gr_safetensors_open(path, &file));
    w->files++;
    w->bytes += (int64_t)file->map.size;
    for (int64_t i = 0; i < file->count; i++) {
        w->tensors[file->items[i].dtype]++;
    }
done:
    gr_safetensors_close(&file);
    GR_FREE(path);
    return err;
}

// A description alone (a YAML, or a directory with only config.json) has no files.
static gr_err count_weights(const char *path, weights *w)
{
    gr_err err = GR_OK;
    char **names = NULL;
    int64_t count = 0;
    if (!gr_dir_exists(path)) {
        return GR_OK;
    }
    GR_TRY(gr_dir_list(path, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        const char *end = strrchr(names[i], '.');
        if (end && strcmp(end, ".safetensors") == 0) {
            GR_TRY(count_file(path, names[i], w));
        }
    }
done:
    gr_dir_list_free(&names, count);
    return err;
}

static int64_t total_size(const gr_params *params)
{
    int64_t total = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        total += params->size[p];
    }
    return total;
}

static void print_tensors(const gr_params *params)
{
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        printf("%s [", p->name);
        for (int d = 0; d < p->ndim; d++) {
            printf("%s%lld", d ? ", " : "", (long long)p->shape[d]);
        }
        printf("] %lld\n", (long long)p->count);
    }
}

static void print_text(const gr_model_config *c, const gr_params *params, const weights *w)
{
    field fields[MAX_FIELDS];
    for (gr_part part = 0; part < GR_PART_COUNT; part++) {
        if (!(c->parts & 1u << part)) {
            continue;
        }
        printf("%-10s %-6s %13lld parameters ", gr_part_name(part), part_kind(c, part),
               (long long)params->size[part]);
        int n = part_fields(c, part, fields);
        for (int i = 0; i < n; i++) {
            printf(" %s %lld", fields[i].name, (long long)fields[i].value);
        }
        printf("\n");
    }
    printf("%-17s %13lld parameters\n", "total", (long long)total_size(params));
    if (w->files > 0) {
        printf("weights    %lld file%s, %lld bytes;", (long long)w->files,
               w->files == 1 ? "" : "s", (long long)w->bytes);
        for (gr_dtype d = 0; d < GR_DTYPE_COUNT; d++) {
            if (w->tensors[d] > 0) {
                printf(" %lld %s", (long long)w->tensors[d], gr_dtype_name(d));
            }
        }
        printf("\n");
    }
}

static void json_parts(gr_json *j, const gr_model_config *c, const gr_params *params)
{
    field fields[MAX_FIELDS];
    gr_json_map_begin(j, "parts");
    for (gr_part part = 0; part < GR_PART_COUNT; part++) {
        if (!(c->parts & 1u << part)) {
            continue;
        }
        gr_json_map_begin(j, gr_part_name(part));
        gr_json_string(j, "kind", part_kind(c, part));
        gr_json_int(j, "parameters", params->size[part]);
        int n = part_fields(c, part, fields);
        for (int i = 0; i < n; i++) {
            gr_json_int(j, fields[i].name, fields[i].value);
        }
        gr_json_map_end(j);
    }
    gr_json_map_end(j);
}

static void json_weights(gr_json *j, const weights *w)
{
    gr_json_map_begin(j, "weights");
    gr_json_int(j, "files", w->files);
    gr_json_int(j, "bytes", w->bytes);
    gr_json_map_begin(j, "tensors");
    for (gr_dtype d = 0; d < GR_DTYPE_COUNT; d++) {
        if (w->tensors[d] > 0) {
            gr_json_int(j, gr_dtype_name(d), w->tensors[d]);
        }
    }
    gr_json_map_end(j);
    gr_json_map_end(j);
}

static void json_tensors(gr_json *j, const gr_params *params)
{
    gr_json_list_begin(j, "tensors");
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        gr_json_map_begin(j, NULL);
        gr_json_string(j, "name", p->name);
        gr_json_string(j, "part", gr_part_name(p->part));
        gr_json_list_begin(j, "shape");
        for (int d = 0; d < p->ndim; d++) {
            gr_json_int(j, NULL, p->shape[d]);
        }
        gr_json_list_end(j);
        gr_json_int(j, "parameters", p->count);
        gr_json_map_end(j);
    }
    gr_json_list_end(j);
}

static gr_err print_json(const gr_model_config *c, const gr_params *params, const weights *w,
                         bool tensors)
{
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "parameters", total_size(params));
    json_parts(&j, c, params);
    if (w->files > 0) {
        json_weights(&j, w);
    }
    if (tensors) {
        json_tensors(&j, params);
    }
    gr_json_map_end(&j);
    gr_err err = gri_print_json(&j);
    gr_json_fini(&j);
    return err;
}

gr_err gri_model_info(int argc, char **argv)
{
    gr_err err = GR_OK;
    gr_params *params = NULL;
    gr_model_config config = {0};
    weights w = {0};
    const char *path = NULL;
    bool json = false, tensors = false, help = false;
    const gri_arg args[] = {
        GRI_WORD("MODEL", &path, "model directory, or a model's YAML; weights are not needed",
                 .required = true),
        GRI_FLAG("tensors", &tensors, "also every tensor with its shape"),
        GRI_FLAG("json", &json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE("model info",
                          "Prints a model's parts: kind, exact number of parameters, sizes.",
                          args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_hf_load_config(path, &config));
    GR_TRY_CONTEXT(gr_params_create(&config, &params), "%s", path);
    GR_TRY(count_weights(path, &w));
    if (json) {
        GR_TRY(print_json(&config, params, &w, tensors));
        goto done;
    }
    print_text(&config, params, &w);
    if (tensors) {
        print_tensors(params);
    }
done:
    gr_params_destroy(&params);
    return err;
}
