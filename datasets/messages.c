#include "datasets/messages.h"

#include "src/base/json.h"

#include <string.h>

bool gri_has_messages(const gr_node *record)
{
    return record->type == GR_DOC_MAP && !gr_node_find(record, "conversations") &&
           gr_node_find(record, "messages");
}

static gr_err find_speaker(const gr_node *message, const char **out)
{
    static const char *const names[][2] = {
        {"user", "human"}, {"assistant", "gpt"}, {"system", "system"}};
    gr_err err = GR_OK;
    const char *role = NULL;
    *out = NULL;
    GR_TRY(gr_node_get_string(message, "role", &role));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *out = strcmp(role, names[i][0]) == 0 ? names[i][1] : *out;
    }
    if (!*out) {
        GR_TRY(gr_node_error(gr_node_find(message, "role"),
                             "expected user, assistant or system, got \"%s\"", role));
    }
done:
    return err;
}

static gr_err write_message(const gr_node *message, gr_json *j)
{
    gr_err err = GR_OK;
    const char *from = NULL;
    GR_TRY(gr_node_expect(message, GR_DOC_MAP));
    GR_TRY(find_speaker(message, &from));
    const gr_node *content = gr_node_find(message, "content");
    if (!content || content->type != GR_DOC_STRING) {
        GR_TRY(gr_node_error(content ? content : message,
                             "expected a text as \"content\"; pictures are named in \"images\" "
                             "and stand in the text as <image>"));
        goto done;
    }
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "from", from);
    gr_json_string_bytes(j, "value", content->u.string.data, content->u.string.size);
    gr_json_map_end(j);
done:
    return err;
}

static gr_err write_messages(const gr_node *record, gr_json *j)
{
    gr_err err = GR_OK;
    const gr_node *list = NULL;
    GR_TRY(gr_node_get_list(record, "messages", &list));
    gr_json_list_begin(j, "conversations");
    for (int64_t i = 0; i < list->u.list.count; i++) {
        GR_TRY(write_message(&list->u.list.items[i], j));
    }
    gr_json_list_end(j);
done:
    return err;
}

gr_err gri_messages_convert(const gr_node *record, gr_doc **out)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    gr_json_map_begin(&j, NULL);
    for (int64_t i = 0; i < record->u.list.count; i++) {
        const gr_node *item = &record->u.list.items[i];
        if (strcmp(item->key, "messages") == 0) {
            GR_TRY(write_messages(record, &j));
        } else if (strcmp(item->key, "conversations") != 0) { // it is null
            gr_node_write(&j, item);
        }
    }
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_doc_parse_json(gr_doc_name(record->doc), j.text.data, j.text.size, GR_ERR_DATA,
                             out));
done:
    gr_json_fini(&j);
    return err;
}
