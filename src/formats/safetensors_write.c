#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/formats/safetensors.h"

#include <string.h>

enum { LENGTH_BYTES = 8 };

static int64_t tensor_bytes(const gr_safetensor *tensor)
{
    return tensor->count * (int64_t)gr_dtype_size(tensor->dtype);
}

/// A file that no reader would take is a mistake of the caller.
static gr_err check_tensors(const char *path, const gr_safetensor *tensors, int64_t count)
{
    gr_err err = GR_OK;
    gr_names names = {0};
    GR_TRY(gr_names_reserve(&names, count));
    for (int64_t i = 0; i < count; i++) {
        const gr_safetensor *t = &tensors[i];
        int64_t product = 1;
        for (int d = 0; d < t->ndim; d++) {
            product *= t->shape[d];
        }
        GR_ASSERT(product == t->count);
        if (strcmp(t->name, "__metadata__") == 0) {
            GR_FAIL(GR_ERR_DATA, "%s: a tensor may not be called __metadata__", path);
        }
        gr_names_add(&names, t->name, i);
    }
    gr_names_sort(&names);
    if (gr_names_repeated(&names)) {
        GR_FAIL(GR_ERR_DATA, "%s: two tensors are called %s", path, gr_names_repeated(&names));
    }
done:
    gr_names_fini(&names);
    return err;
}

static void add_entry(gr_json *json, const gr_safetensor *tensor, int64_t begin)
{
    gr_json_map_begin(json, tensor->name);
    gr_json_string(json, "dtype", gr_dtype_name(tensor->dtype));
    gr_json_list_begin(json, "shape");
    for (int d = 0; d < tensor->ndim; d++) {
        gr_json_int(json, NULL, tensor->shape[d]);
    }
    gr_json_list_end(json);
    gr_json_list_begin(json, "data_offsets");
    gr_json_int(json, NULL, begin);
    gr_json_int(json, NULL, begin + tensor_bytes(tensor));
    gr_json_list_end(json);
    gr_json_map_end(json);
}

/// Length and header, padded so that the data begin at a multiple of 8.
static gr_err build_head(const gr_safetensor *tensors, int64_t count, gr_str *out)
{
    gr_err err = GR_OK;
    gr_json json = {0};
    int64_t begin = 0;
    gr_json_map_begin(&json, NULL);
    gr_json_map_begin(&json, "__metadata__");
    gr_json_string(&json, "format", "pt");
    gr_json_map_end(&json);
    for (int64_t i = 0; i < count; i++) {
        add_entry(&json, &tensors[i], begin);
        begin += tensor_bytes(&tensors[i]);
    }
    gr_json_map_end(&json);
    GR_TRY(gr_json_finish(&json));
    while (json.text.size % 8 != 0) {
        GR_TRY(gr_str_add(&json.text, " "));
    }
    unsigned char length[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++) {
        length[i] = (unsigned char)((uint64_t)json.text.size >> (8 * i));
    }
    GR_TRY(gr_str_add_bytes(out, length, sizeof length));
    GR_TRY(gr_str_add_bytes(out, json.text.data, json.text.size));
done:
    gr_json_fini(&json);
    return err;
}

gr_err gr_safetensors_head(const char *path, const gr_safetensor *tensors, int64_t count,
                           gr_str *out)
{
    gr_err err = GR_OK;
    GR_TRY(check_tensors(path, tensors, count));
    GR_TRY(build_head(tensors, count, out));
done:
    return err;
}

static gr_err write_all(int fd, const char *path, const gr_str *head,
                        const gr_safetensor *tensors, int64_t count)
{
    gr_err err = GR_OK;
    int64_t offset = (int64_t)head->size;
    GR_TRY(gr_file_pwrite(fd, path, head->data, head->size, 0));
    for (int64_t i = 0; i < count; i++) {
        int64_t bytes = tensor_bytes(&tensors[i]);
        GR_ASSERT(tensors[i].data || bytes == 0);
        GR_TRY(gr_file_pwrite(fd, path, tensors[i].data, (size_t)bytes, offset));
        offset += bytes;
    }
done:
    return err;
}

gr_err gr_safetensors_write(const char *path, const gr_safetensor *tensors, int64_t count)
{
    gr_err err = GR_OK;
    gr_str head = {0};
    gr_file_aside file = {.fd = -1};
    GR_TRY(gr_safetensors_head(path, tensors, count, &head));
    GR_TRY(gr_file_aside_begin(path, &file));
    GR_TRY(write_all(file.fd, file.aside, &head, tensors, count));
    GR_TRY(gr_file_aside_commit(&file, true));
done:
    gr_file_aside_fini(&file);
    gr_str_fini(&head);
    return err;
}
