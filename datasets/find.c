#include "datasets/shard.h"

#include <string.h>

/// Whether sample `index` is the one meant: by its content id, else by its source.
static gr_err is_meant(const gr_dataset *dataset, int64_t index, const gr_digest *content,
                       const char *source, bool *out)
{
    gr_err err = GR_OK;
    gr_sample *about = NULL;
    gr_digest id = {0};
    if (content) {
        GR_TRY(gr_dataset_id(dataset, index, &id));
        *out = gr_digest_equal(id, *content);
    } else {
        GR_TRY(gr_dataset_about(dataset, index, &about));
        *out = strcmp(about->source, source) == 0;
    }
done:
    gr_sample_destroy(&about);
    return err;
}

static gr_err find(const gr_dataset *dataset, const gr_digest *content, const char *id,
                   int64_t *out)
{
    gr_err err = GR_OK;
    bool found = false;
    int64_t i = 0;
    while (!found && i < gr_dataset_count(dataset)) {
        GR_TRY(is_meant(dataset, i, content, id, &found));
        i += !found;
    }
    if (!found) {
        GR_FAIL(GR_ERR_USAGE, "%s: no sample has the %s \"%s\"", gr_dataset_path(dataset),
                content ? "content id" : "source", id);
    }
    *out = i;
done:
    return err;
}

gr_err gr_dataset_find(const gr_dataset *dataset, const char *id, int64_t *out)
{
    gr_digest content = {0};
    const bool is_content = gr_digest_parse(id, &content) == GR_OK;
    gr_err_clear();
    return find(dataset, is_content ? &content : NULL, id, out);
}

gr_err gr_dataset_find_source(const gr_dataset *dataset, const char *source, int64_t *out)
{
    return find(dataset, NULL, source, out);
}
