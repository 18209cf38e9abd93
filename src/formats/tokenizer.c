#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

void gr_ids_fini(gr_ids *ids)
{
    GR_FREE(ids->data);
    *ids = (gr_ids){0};
}

gr_err gr_ids_add(gr_ids *ids, int32_t id)
{
    gr_err err = GR_OK;
    if (ids->count == ids->capacity) {
        int64_t capacity = ids->capacity ? ids->capacity * 2 : 32;
        GR_RESIZE(ids->data, ids->count, capacity);
        ids->capacity = capacity;
    }
    ids->data[ids->count++] = id;
done:
    return err;
}

gr_err gri_tokenizer_create(gri_splitter **splitter, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    gr_tokenizer *t = NULL;
    GR_ALLOC(t, 1);
    memset(t->byte_ids, -1, sizeof t->byte_ids);
    t->splitter = *splitter;
    *splitter = NULL;
    *out = t;
done:
    return err;
}

static void added_fini(gri_added *added)
{
    gri_text_table_fini(&added->ids);
    GR_FREE(added->sizes);
}

void gr_tokenizer_destroy(gr_tokenizer **tokenizer)
{
    gr_tokenizer *t = *tokenizer;
    if (t) {
        gri_splitter_destroy(&t->splitter);
        for (int64_t i = 0; i < t->capacity; i++) {
            GR_FREE(t->tokens[i].text);
        }
        GR_FREE(t->tokens);
        gri_text_table_fini(&t->ids);
        GR_FREE(t->merges);
        gri_pair_table_fini(&t->ranks);
        gri_text_table_fini(&t->pieces);
        GR_FREE(t->piece_bytes);
        added_fini(&t->literal);
        added_fini(&t->normalized);
        gr_doc_destroy(&t->config);
        GR_FREE(t->chat_template);
    }
    GR_FREE(*tokenizer);
}

static gr_err make_room(gr_tokenizer *t, int32_t id)
{
    gr_err err = GR_OK;
    if (id >= t->capacity) {
        int64_t capacity = t->capacity * 2 > id + 1 ? t->capacity * 2 : (int64_t)id + 1024;
        GR_RESIZE(t->tokens, t->capacity, capacity);
        t->capacity = capacity;
    }
done:
    return err;
}

gr_err gri_tokenizer_set(gr_tokenizer *t, int32_t id, gri_token token)
{
    gr_err err = GR_OK;
    int32_t known = gri_text_table_find(&t->ids, token.text, strlen(token.text));
    if (!token.text[0]) {
        GR_FAIL(GR_ERR_DATA, "token %d is empty", id);
    }
    GR_TRY(make_room(t, id));
    gri_token *slot = &t->tokens[id];
    if (known >= 0 ? known != id : slot->text != NULL) {
        GR_FAIL(GR_ERR_DATA, "token \"%s\" wants id %d, but %s", token.text, id,
                known >= 0 ? "the same text has another id" : "another token has it");
    }
    if (!slot->text) {
        GR_STRDUP(slot->text, token.text);
        GR_TRY(gri_text_table_put(&t->ids, slot->text, strlen(slot->text), id));
    }
    slot->vocabulary |= token.vocabulary;
    slot->added |= token.added;
    slot->special |= token.special;
    slot->normalized |= token.normalized;
    t->count = id >= t->count ? id + 1 : t->count;
done:
    return err;
}

gr_err gri_tokenizer_add_merge(gr_tokenizer *t, gri_merge merge)
{
    gr_err err = GR_OK;
    if (t->merge_count == t->merge_capacity) {
        int64_t capacity = t->merge_capacity ? t->merge_capacity * 2 : 1024;
        GR_RESIZE(t->merges, t->merge_count, capacity);
        t->merge_capacity = capacity;
    }
    int64_t known = gri_pair_table_find(&t->ranks, merge.left, merge.right);
    if (known >= 0) {
        GR_FAIL(GR_ERR_DATA, "merge %lld of \"%s\" and \"%s\" repeats merge %lld",
                (long long)t->merge_count, t->tokens[merge.left].text,
                t->tokens[merge.right].text, (long long)known >> 32);
    }
    GR_TRY(gri_pair_table_put(&t->ranks, merge.left, merge.right,
                              t->merge_count << 32 | merge.merged));
    t->merges[t->merge_count++] = merge;
done:
    return err;
}

gr_err gri_tokenizer_add_merge_of(gr_tokenizer *t, const char *left, size_t left_size,
                                  const char *right, size_t right_size)
{
    gr_err err = GR_OK;
    gr_str both = {0};
    GR_TRY(gr_str_add_bytes(&both, left, left_size));
    GR_TRY(gr_str_add_bytes(&both, right, right_size));
    gri_merge merge = {.left = gri_text_table_find(&t->ids, left, left_size),
                       .right = gri_text_table_find(&t->ids, right, right_size),
                       .merged =
                           both.data ? gri_text_table_find(&t->ids, both.data, both.size) : -1};
    if (merge.left < 0 || merge.right < 0 || merge.merged < 0) {
        GR_FAIL(GR_ERR_DATA, "merge %lld of \"%.*s\" and \"%.*s\": %s is not in the vocabulary",
                (long long)t->merge_count, (int)left_size, left, (int)right_size, right,
                merge.left < 0    ? "the first"
                : merge.right < 0 ? "the second"
                                  : "the result");
    }
    GR_TRY(gri_tokenizer_add_merge(t, merge));
done:
    gr_str_fini(&both);
    return err;
}

static int longer_first(const void *a, const void *b)
{
    const size_t m = *(const size_t *)a, n = *(const size_t *)b;
    return (m < n) - (m > n);
}

static gr_err list_added(const gr_tokenizer *t, bool normalized, gri_added *out)
{
    gr_err err = GR_OK;
    int64_t count = 0;
    GR_ALLOC(out->sizes, t->count);
    for (int32_t id = 0; id < t->count; id++) {
        const gri_token *token = &t->tokens[id];
        if (token->added && token->normalized == normalized) {
            const size_t size = strlen(token->text);
            GR_TRY(gri_text_table_put(&out->ids, token->text, size, id));
            out->lead[(unsigned char)token->text[0]] = true;
            out->sizes[count++] = size;
        }
    }
    qsort(out->sizes, (size_t)count, sizeof *out->sizes, longer_first);
    for (int64_t i = 0; i < count; i++) {
        if (i == 0 || out->sizes[i] != out->sizes[i - 1]) {
            out->sizes[out->count++] = out->sizes[i];
        }
    }
done:
    return err;
}

gr_err gri_tokenizer_seal(gr_tokenizer *t)
{
    gr_err err = GR_OK;
    int found = 0;
    for (int i = 0; i < 256; i++) {
        unsigned char byte = (unsigned char)i;
        char symbol[GRI_SYMBOLS_SIZE(1)];
        size_t n = gri_symbols_of(&byte, 1, symbol);
        t->byte_ids[i] = gri_text_table_find(&t->ids, symbol, n);
        found += t->byte_ids[i] >= 0;
    }
    if (found == 0) {
        GR_FAIL(GR_ERR_DATA, "no token for any byte: not a byte-level vocabulary");
    }
    GR_TRY(gri_tokenizer_index_pieces(t));
    GR_TRY(list_added(t, false, &t->literal));
    GR_TRY(list_added(t, true, &t->normalized));
done:
    return err;
}

gr_err gr_tokenizer_add_special(gr_tokenizer *t, const char *text)
{
    gr_err err = GR_OK;
    gri_token token = {.text = (char *)text, .added = true, .special = true};
    gri_added literal = {0};
    GR_ASSERT(gr_tokenizer_id(t, text) < 0 && t->count < INT32_MAX);
    t->came_with = t->came_with ? t->came_with : t->count;
    GR_TRY(gri_tokenizer_set(t, (int32_t)t->count, token));
    GR_TRY(list_added(t, false, &literal));
    added_fini(&t->literal);
    t->literal = literal;
    literal = (gri_added){0};
done:
    added_fini(&literal);
    return err;
}

int64_t gr_tokenizer_size(const gr_tokenizer *tokenizer)
{
    return tokenizer->count;
}

int32_t gr_tokenizer_id(const gr_tokenizer *tokenizer, const char *token)
{
    return gri_text_table_find(&tokenizer->ids, token, strlen(token));
}

bool gr_tokenizer_has(const gr_tokenizer *tokenizer, int64_t id)
{
    return id >= 0 && id < tokenizer->count && tokenizer->tokens[id].text;
}

static gr_err add_token_bytes(const gr_tokenizer *t, int32_t id, bool skip_special,
                              gr_str *bytes)
{
    gr_err err = GR_OK;
    char *buffer = NULL;
    if (!gr_tokenizer_has(t, id)) {
        GR_FAIL(GR_ERR_DATA, "id %d is no token; the tokenizer has %lld", id,
                (long long)t->count);
    }
    const gri_token *token = &t->tokens[id];
    if (token->added) {
        if (!skip_special || !token->special) {
            GR_TRY(gr_str_add(bytes, token->text));
        }
        goto done;
    }
    size_t n = 0;
    GR_ALLOC(buffer, strlen(token->text) + 1);
    if (gri_symbols_to_bytes(token->text, buffer, &n)) {
        GR_TRY(gr_str_add_bytes(bytes, buffer, n));
    } else {
        GR_TRY(gr_str_add(bytes, token->text));
    }
done:
    GR_FREE(buffer);
    return err;
}

static gr_err replace_invalid(const gr_str *bytes, gr_str *text)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(text, ""));
    size_t at = 0;
    while (at < bytes->size) {
        bool ok = true;
        size_t n = gri_utf8_step(bytes->data + at, bytes->size - at, &ok);
        if (ok) {
            GR_TRY(gr_str_add_bytes(text, bytes->data + at, n));
        } else {
            GR_TRY(gr_str_add(text, "\xef\xbf\xbd"));
        }
        at += n;
    }
done:
    return err;
}

gr_err gr_tokenizer_decode(const gr_tokenizer *tokenizer, const int32_t *ids, int64_t count,
                           bool skip_special, char **text, size_t *size)
{
    gr_err err = GR_OK;
    gr_str bytes = {0}, out = {0};
    for (int64_t i = 0; i < count; i++) {
        GR_TRY(add_token_bytes(tokenizer, ids[i], skip_special, &bytes));
    }
    GR_TRY(replace_invalid(&bytes, &out));
    *text = out.data;
    if (size) {
        *size = out.size;
    }
    out = (gr_str){0};
done:
    gr_str_fini(&bytes);
    gr_str_fini(&out);
    return err;
}
