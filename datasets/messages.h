#ifndef DATASETS_MESSAGES_H
#define DATASETS_MESSAGES_H

/// Conversations in OpenAI's form, "messages": [{"role": "user", "content": "..."}], as LLaVA's. Private to datasets/.

#include "src/base/doc.h"

/// Whether the record has messages and no conversations.
bool gri_has_messages(const gr_node *record);
/// The record with "conversations" in the place of "messages", as a new document; its name stands in later messages.
GR_MUST_CHECK gr_err gri_messages_convert(const gr_node *record, gr_doc **out);

#endif
