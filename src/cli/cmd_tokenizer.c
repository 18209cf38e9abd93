#include "datasets/shard.h"
#include "src/base/doc.h"
#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/new_dir.h"
#include "src/base/str.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"
#include "src/formats/chat.h"

#include <stdio.h>
#include <string.h>

// All texts end to end; where each ends.
typedef struct texts {
    gr_str bytes;
    int64_t *ends;
    int64_t count, capacity;
} texts;

static void texts_fini(texts *t)
{
    gr_str_fini(&t->bytes);
    GR_FREE(t->ends);
}

static gr_err texts_add(texts *t, const char *data, size_t size)
{
    gr_err err = GR_OK;
    if (t->count == t->capacity) {
        int64_t more = t->capacity ? 2 * t->capacity : 256;
        GR_RESIZE(t->ends, t->capacity, more);
        t->capacity = more;
    }
    GR_TRY(gr_str_add_bytes(&t->bytes, data, size));
    t->ends[t->count++] = (int64_t)t->bytes.size;
done:
    return err;
}

static gr_err add_conversation(texts *t, const char *name, const gr_sample *sample)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    const gr_node *turns = NULL;
    GR_TRY(gr_doc_parse_json(name, sample->text, sample->text_size, GR_ERR_DATA, &doc));
    GR_TRY(gr_node_expect(gr_doc_root(doc), GR_DOC_MAP));
    GR_TRY(gr_node_get_list(gr_doc_root(doc), "conversations", &turns));
    for (int64_t i = 0; i < turns->u.list.count; i++) {
        const gr_node *turn = &turns->u.list.items[i];
        const char *value = NULL;
        GR_TRY(gr_node_expect(turn, GR_DOC_MAP));
        GR_TRY(gr_node_get_string(turn, "value", &value));
        GR_TRY(texts_add(t, value, strlen(value)));
    }
done:
    gr_doc_destroy(&doc);
    return err;
}

static gr_err add_dataset(texts *t, const char *dir)
{
    gr_err err = GR_OK;
    gr_dataset *data = NULL;
    gr_sample *sample = NULL;
    char *name = NULL;
    GR_TRY(gr_dataset_open(dir, &data));
    for (int64_t i = 0; i < gr_dataset_count(data); i++) {
        GR_TRY(gr_dataset_read(data, i, &sample));
        name = gr_str_format("%s: sample %lld", dir, (long long)i);
        if (!name) {
            err = GR_ERR_MEMORY;
            goto done;
        }
        GR_TRY(add_conversation(t, name, sample));
        GR_FREE(name);
        gr_sample_destroy(&sample);
    }
done:
    GR_FREE(name);
    gr_sample_destroy(&sample);
    gr_dataset_close(&data);
    return err;
}

/// A file of plain text: one text.
static gr_err add_file(texts *t, const char *path)
{
    gr_err err = GR_OK;
    char *data = NULL;
    size_t size = 0;
    GR_TRY(gr_file_read(path, 0, &data, &size));
    GR_TRY(gr_text_check(path, data, size));
    GR_TRY(texts_add(t, data, size));
done:
    GR_FREE(data);
    return err;
}

static gr_err add_all(texts *t, const gri_list *data, const gri_list *files)
{
    gr_err err = GR_OK;
    if (data->count + files->count == 0) {
        GR_FAIL(GR_ERR_USAGE, "tokenizer train: nothing to learn from: give --data DIR, --text "
                              "FILE, or both");
    }
    for (int64_t i = 0; i < data->count; i++) {
        if (gr_file_exists(data->items[i])) {
            GR_FAIL(
                GR_ERR_USAGE,
                "tokenizer train: --data: %s is a file, expected a data set; plain text goes "
                "to --text",
                data->items[i]);
        }
        GR_TRY(add_dataset(t, data->items[i]));
    }
    for (int64_t i = 0; i < files->count; i++) {
        GR_TRY(add_file(t, files->items[i]));
    }
done:
    return err;
}

static gr_err train(const texts *t, int64_t vocabulary, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    const char **starts = NULL;
    size_t *sizes = NULL;
    GR_ALLOC(starts, t->count);
    GR_ALLOC(sizes, t->count);
    for (int64_t i = 0; i < t->count; i++) {
        int64_t start = i ? t->ends[i - 1] : 0;
        starts[i] = t->bytes.data + start;
        sizes[i] = (size_t)(t->ends[i] - start);
    }
    GR_TRY(gr_tokenizer_train(starts, sizes, t->count, vocabulary, out));
done:
    GR_FREE(starts);
    GR_FREE(sizes);
    return err;
}

gr_err gri_tokenizer_train(int argc, char **argv)
{
    gr_err err = GR_OK;
    texts t = {0};
    gr_tokenizer *tokenizer = NULL;
    gri_list data = {0}, files = {0};
    char *jinja = NULL;
    const gr_chat_options chat = {0};
    const char *out = NULL;
    int64_t vocabulary = 0;
    bool help = false;
    gr_new_dir dir = {0};
    const gri_arg args[] = {
        GRI_MANY("data", "DIR", &data, "data sets to learn from: their conversations"),
        GRI_MANY("text", "FILE", &files, "files of plain text (UTF-8) to learn from"),
        GRI_INT("vocabulary", "N", &vocabulary, 1, INT32_MAX,
                "number of ids: 256 bytes, learnt merges and the markers of conversations",
                .required = true),
        GRI_TEXT("out", "DIR", &out, "new folder for tokenizer.json", .required = true),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "tokenizer train",
        "Learns a byte-level BPE tokenizer from the conversations of data sets, from plain "
        "texts, or from both. "
        "The result depends on the texts only.",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(add_all(&t, &data, &files));
    GR_TRY(gr_failpoint_arm(0, 1));
    GR_TRY(gr_new_dir_begin(out, &dir)); // before the long part
    GR_TRY(train(&t, vocabulary, &tokenizer));
    GR_TRY(gr_chat_jinja(&chat, &jinja)); // for other programs; training may write another
    GR_TRY(gr_tokenizer_save(tokenizer, dir.work, jinja));
    err = gr_new_dir_end(&dir, err);
    GR_TRY(err);
    printf("texts %lld\nbytes %lld\nids %lld\n", (long long)t.count, (long long)t.bytes.size,
           (long long)gr_tokenizer_size(tokenizer));
done:
    err = gr_new_dir_end(&dir, err);
    GR_FREE(jinja);
    gri_list_fini(&data);
    gri_list_fini(&files);
    gr_tokenizer_destroy(&tokenizer);
    texts_fini(&t);
    return err;
}

static void print_ids(const gr_ids *ids)
{
    for (int64_t i = 0; i < ids->count; i++) {
        printf("%s%d", i ? " " : "", ids->data[i]);
    }
    printf("\n");
}

gr_err gri_tokenizer_encode(int argc, char **argv)
{
    gr_err err = GR_OK;
    gr_tokenizer *tokenizer = NULL;
    gr_ids ids = {0};
    char *input = NULL;
    size_t size = 0;
    const char *dir = NULL, *text = NULL;
    bool special = false, help = false;
    const gri_arg args[] = {
        GRI_TEXT("tokenizer", "DIR", &dir, "folder with tokenizer.json", .required = true),
        GRI_WORD("TEXT", &text, "what to encode (default: standard input, as it is)"),
        GRI_FLAG("special", &special,
                 "markers such as <|im_end|> in the text become their ids; without it they are "
                 "ordinary text"),
    };
    GR_TRY(GRI_ARGS_PARSE("tokenizer encode", "Prints the token ids of a text on one line.",
                          args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_tokenizer_load(dir, &tokenizer));
    if (!text) {
        GR_TRY(gri_read_stdin(&input, &size));
    }
    GR_TRY(gr_tokenizer_encode(tokenizer, text ? text : input, text ? strlen(text) : size,
                               special, &ids));
    print_ids(&ids);
done:
    GR_FREE(input);
    gr_ids_fini(&ids);
    gr_tokenizer_destroy(&tokenizer);
    return err;
}

// `end_of_text` is where it must end: what stands behind a NUL would be lost.
static gr_err parse_ids(const char *text, const char *end_of_text, int64_t size, gr_ids *out)
{
    gr_err err = GR_OK;
    for (;;) {
        text += strspn(text, " \t\r\n");
        if (text == end_of_text) {
            break;
        }
        if (!*text) {
            GR_FAIL(GR_ERR_DATA, "expected token ids, got a NUL behind %lld of them",
                    (long long)out->count);
        }
        const size_t n = strcspn(text, " \t\r\n");
        int64_t id = 0;
        if (gri_number_int(text, n, &id) != GRI_NUMBER || id < 0 || id >= size) {
            GR_FAIL(GR_ERR_DATA, "expected token ids from 0 to %lld, got \"%.*s\"",
                    (long long)size - 1, (int)n, text);
        }
        GR_TRY(gr_ids_add(out, (int32_t)id));
        text += n;
    }
done:
    return err;
}

gr_err gri_tokenizer_decode(int argc, char **argv)
{
    gr_err err = GR_OK;
    gr_tokenizer *tokenizer = NULL;
    gr_ids ids = {0};
    char *input = NULL, *text = NULL;
    size_t size = 0;
    const char *dir = NULL;
    gri_list list = {0};
    bool skip = false, help = false;
    const gri_arg args[] = {
        GRI_TEXT("tokenizer", "DIR", &dir, "folder with tokenizer.json", .required = true),
        GRI_WORDS("ID", &list,
                  "ids, also several between spaces in one word (default: standard input)"),
        GRI_FLAG("skip-special", &skip, "leave out markers such as <|im_end|>"),
    };
    GR_TRY(GRI_ARGS_PARSE("tokenizer decode", "Prints the text of token ids.", args, argc, argv,
                          &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_tokenizer_load(dir, &tokenizer));
    if (list.count == 0) {
        GR_TRY(gri_read_stdin(&input, &size));
        GR_TRY(parse_ids(input, input + size, gr_tokenizer_size(tokenizer), &ids));
    }
    for (int64_t i = 0; i < list.count; i++) {
        const char *word = list.items[i];
        GR_TRY(parse_ids(word, word + strlen(word), gr_tokenizer_size(tokenizer), &ids));
    }
    GR_TRY(gr_tokenizer_decode(tokenizer, ids.data, ids.count, skip, &text, &size));
    fwrite(text, 1, size, stdout); // may hold NULs
    printf("\n");
done:
    gri_list_fini(&list);
    GR_FREE(input);
    GR_FREE(text);
    gr_ids_fini(&ids);
    gr_tokenizer_destroy(&tokenizer);
    return err;
}
