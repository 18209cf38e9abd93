#include "datasets/conversation.h"

#include "src/base/mem.h"

#include <string.h>

static gr_err read_turn(const gr_node *node, gr_chat_turn *out)
{
    gr_err err = GR_OK;
    const char *from = NULL;
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    GR_TRY(gr_node_get_string(node, "from", &from));
    GR_TRY(gr_node_get_string(node, "value", &out->text));
    out->size = strlen(out->text);
    out->assistant = strcmp(from, "gpt") == 0;
    out->system = strcmp(from, "system") == 0;
    if (!out->assistant && !out->system && strcmp(from, "human") != 0) {
        GR_TRY(gr_node_error(node, "from \"%s\", expected human, gpt or system", from));
    }
done:
    return err;
}

gr_err gr_conversation_read(const gr_sample *sample, gr_conversation *out)
{
    gr_err err = GR_OK;
    gr_conversation c = {0};
    const gr_node *list = NULL;
    GR_TRY(gr_doc_parse_json("conversation", sample->text, sample->text_size, GR_ERR_DATA,
                             &c.doc));
    GR_TRY(gr_node_expect(gr_doc_root(c.doc), GR_DOC_MAP));
    GR_TRY(gr_node_get_list(gr_doc_root(c.doc), "conversations", &list));
    GR_ALLOC(c.turns, list->u.list.count);
    for (c.count = 0; c.count < list->u.list.count; c.count++) {
        GR_TRY(read_turn(&list->u.list.items[c.count], &c.turns[c.count]));
    }
    *out = c;
    c = (gr_conversation){0};
done:
    gr_conversation_fini(&c);
    return err;
}

void gr_conversation_fini(gr_conversation *conversation)
{
    GR_FREE(conversation->turns);
    gr_doc_destroy(&conversation->doc);
    conversation->count = 0;
}
