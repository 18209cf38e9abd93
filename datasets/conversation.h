#ifndef DATASETS_CONVERSATION_H
#define DATASETS_CONVERSATION_H

/// The conversation that a sample stores, as turns.

#include "datasets/shard.h"
#include "src/base/doc.h"
#include "src/formats/chat.h"

typedef struct gr_conversation {
    gr_doc *doc;         ///< owned; holds the texts
    gr_chat_turn *turns; ///< [count], owned
    int64_t count;
} gr_conversation;

/// Reads sample->text. GR_ERR_DATA says which key is not as in shard.h. Free with gr_conversation_fini.
GR_MUST_CHECK gr_err gr_conversation_read(const gr_sample *sample, gr_conversation *out);
void gr_conversation_fini(gr_conversation *conversation);

#endif
