#include "datasets/record.h"
#include "datasets/shard_write.h"
#include "src/base/doc.h"

#include <string.h>

static gr_err count_text(const gr_tokenizer *tokenizer, const char *text, gr_ids *ids)
{
    gr_err err = GR_OK;
    while (text) {
        const char *mark = strstr(text, GRI_PLACEHOLDER);
        size_t size = mark ? (size_t)(mark - text) : strlen(text);
        GR_TRY(gr_tokenizer_encode(tokenizer, text, size, false, ids));
        text = mark ? mark + strlen(GRI_PLACEHOLDER) : NULL;
    }
done:
    return err;
}

gr_err gri_count_tokens(const gr_tokenizer *tokenizer, const char *text, size_t size,
                        int64_t *out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    gr_ids ids = {0};
    const gr_node *turns = NULL;
    GR_TRY(gr_doc_parse_json("conversation", text, size, GR_ERR_DATA, &doc));
    GR_TRY(gr_node_get_list(gr_doc_root(doc), "conversations", &turns));
    for (int64_t i = 0; i < turns->u.list.count; i++) {
        const char *value = NULL;
        GR_TRY(gr_node_get_string(&turns->u.list.items[i], "value", &value));
        GR_TRY(count_text(tokenizer, value, &ids));
    }
    *out = ids.count;
done:
    gr_ids_fini(&ids);
    gr_doc_destroy(&doc);
    return err;
}
