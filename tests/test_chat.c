#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/chat.h"
#include "src/formats/tokenizer_parts.h"
#include "tests/check.h"

#include <string.h>

/// A tokenizer without merges: every byte is one id, so sequences can be spelled out.
static gr_tokenizer *bytes_tokenizer(void)
{
    gr_tokenizer *t = NULL;
    GR_CHECK_OK(gr_tokenizer_train(NULL, NULL, 0, 268, &t));
    return t;
}

/// A stretch of a sequence as it must come out: text, or a special token; and whether it carries loss.
typedef struct part {
    const char *text;
    bool special, loss;
    int times; ///< of a special token
} part;

static void add_part(const gr_tokenizer *t, const part *p, gr_ids *ids, gr_ids *own)
{
    if (p->special) {
        for (int i = 0; i < p->times; i++) {
            int32_t id = gr_tokenizer_id(t, p->text);
            GR_CHECK(id >= 256);
            GR_CHECK_OK(gr_ids_add(ids, id));
            GR_CHECK_OK(gr_ids_add(own, p->loss ? id : -100));
        }
        return;
    }
    GR_CHECK_OK(gr_tokenizer_encode(t, p->text, strlen(p->text), false, ids));
    while (own->count < ids->count) {
        GR_CHECK_OK(gr_ids_add(own, p->loss ? ids->data[own->count] : -100));
    }
}

static void check_sample(const gr_tokenizer *t, const gr_chat_sample *got, const part *parts,
                         int count, bool targets)
{
    gr_ids ids = {0}, own = {0};
    for (int i = 0; i < count; i++) {
        add_part(t, &parts[i], &ids, &own);
    }
    GR_CHECK_INT(got->ids.count, ids.count);
    GR_CHECK_INT(got->targets.count, targets ? ids.count : 0);
    for (int64_t i = 0; i < ids.count && i < got->ids.count; i++) {
        GR_CHECK_INT(got->ids.data[i], ids.data[i]);
        if (targets) {
            GR_CHECK_INT(got->targets.data[i], i + 1 < own.count ? own.data[i + 1] : -100);
        }
    }
    int64_t rows = 0;
    for (int64_t i = 0; i < ids.count; i++) {
        if (ids.data[i] == gr_tokenizer_id(t, "<IMG_CONTEXT>")) {
            GR_CHECK(rows < got->image_rows.count && got->image_rows.data[rows] == i);
            rows++;
        }
    }
    GR_CHECK_INT(got->image_rows.count, rows);
    gr_ids_fini(&ids);
    gr_ids_fini(&own);
}

static const gr_chat_template plain_template = {.system = "", .after_end = "", .plain = true};

static gr_tokenizer *thinking_tokenizer(void)
{
    gr_tokenizer *t = bytes_tokenizer();
    GR_CHECK_OK(gri_tokenizer_set(t, 268, (gri_token){.text = "<think>", .added = true}));
    GR_CHECK_OK(gri_tokenizer_set(t, 269, (gri_token){.text = "</think>", .added = true}));
    return t;
}

static gr_chat_turn user(const char *text)
{
    return (gr_chat_turn){.text = text, .size = strlen(text)};
}

static gr_chat_turn assistant(const char *text)
{
    return (gr_chat_turn){.assistant = true, .text = text, .size = strlen(text)};
}

static gr_chat_turn system_turn(const char *text)
{
    return (gr_chat_turn){.system = true, .text = text, .size = strlen(text)};
}

#define SPECIAL(text)                                                                          \
    {                                                                                          \
        (text), true, false, 1                                                                 \
    }
#define LEARNED(text)                                                                          \
    {                                                                                          \
        (text), true, true, 1                                                                  \
    }
#define SILENT(text)                                                                           \
    {                                                                                          \
        (text), false, false, 0                                                                \
    }
#define LOUD(text)                                                                             \
    {                                                                                          \
        (text), false, true, 0                                                                 \
    }
#define CONTEXT(n)                                                                             \
    {                                                                                          \
        "<IMG_CONTEXT>", true, false, (n)                                                      \
    }
#define IMAGE(n) SPECIAL("<img>"), CONTEXT(n), SPECIAL("</img>")

/// What data sets count: the ids of the texts of all turns, each piece between placeholders alone.
static int64_t count_texts(const gr_tokenizer *t, const gr_chat_turn *turns, int64_t count)
{
    gr_ids ids = {0};
    for (int64_t i = 0; i < count; i++) {
        const char *at = turns[i].text, *end = at + turns[i].size;
        while (at < end) {
            const char *hit = memmem(at, (size_t)(end - at), "<image>", 7);
            const char *stop = hit ? hit : end;
            GR_CHECK_OK(gr_tokenizer_encode(t, at, (size_t)(stop - at), false, &ids));
            at = hit ? hit + 7 : end;
        }
    }
    int64_t found = ids.count;
    gr_ids_fini(&ids);
    return found;
}

/// From that number alone gr_chat_count knows how many ids there are, or says that it does not.
static void check_count(const gr_tokenizer *t, const gr_chat_options *options,
                        const gr_chat_turn *turns, int64_t count, int64_t images,
                        const int64_t *tiles, int64_t want)
{
    int64_t got = 0;
    GR_CHECK_OK(gr_chat_count(t, options, turns, count, images, tiles,
                              count_texts(t, turns, count), &got));
    GR_CHECK(got == -1 || got == want);
}

/// Encodes and compares with the parts.
#define CHECK_CHAT(options, turns, images, ...)                                                \
    do {                                                                                       \
        const part parts_[] = {__VA_ARGS__};                                                   \
        gr_chat_sample sample_ = {0};                                                          \
        gr_tokenizer *t_ = bytes_tokenizer();                                                  \
        if (GR_CHECK_OK(gr_chat_encode(t_, (options), (turns),                                 \
                                       sizeof(turns) / sizeof *(turns), (images), NULL,        \
                                       &sample_))) {                                           \
            check_count(t_, (options), (turns), sizeof(turns) / sizeof *(turns), (images),     \
                        NULL, sample_.ids.count);                                              \
            check_sample(t_, &sample_, parts_, sizeof parts_ / sizeof *parts_, true);          \
        }                                                                                      \
        gr_chat_sample_fini(&sample_);                                                         \
        gr_tokenizer_destroy(&t_);                                                             \
    } while (0)

/// The same for a template, with "<think>" and "</think>" in the tokenizer and tiles.
#define CHECK_TEMPLATE(name, turns, tiles, ...)                                                \
    do {                                                                                       \
        const part parts_[] = {__VA_ARGS__};                                                   \
        const gr_chat_options options_ = {.template = gr_chat_template_find(name),             \
                                          .image_tokens = 2};                                  \
        gr_chat_sample sample_ = {0};                                                          \
        gr_tokenizer *t_ = thinking_tokenizer();                                               \
        GR_CHECK(options_.template != NULL);                                                   \
        if (GR_CHECK_OK(gr_chat_encode(t_, &options_, (turns),                                 \
                                       sizeof(turns) / sizeof *(turns),                        \
                                       sizeof(tiles) / sizeof *(tiles), (tiles), &sample_))) { \
            check_count(t_, &options_, (turns), sizeof(turns) / sizeof *(turns),               \
                        sizeof(tiles) / sizeof *(tiles), (tiles), sample_.ids.count);          \
            check_sample(t_, &sample_, parts_, sizeof parts_ / sizeof *parts_, true);          \
        }                                                                                      \
        gr_chat_sample_fini(&sample_);                                                         \
        gr_tokenizer_destroy(&t_);                                                             \
    } while (0)

/// One conversation in numbers: letters are their byte - 33, newline 198, the markers 257 and 258.
static void test_numbers(void)
{
    const gr_chat_turn turns[] = {user("hi"), assistant("ok")};
    const gr_chat_options options = {0};
    static const int32_t ids[] = {257, 84, 82, 68,  81, 198, 71, 72, 258, 198, // user
                                  257, 64, 82, 82,  72, 82,  83, 64, 77,  83,
                                  198, 78, 74, 258, 198}; // assistant
    gr_chat_sample sample = {0};
    gr_tokenizer *t = bytes_tokenizer();
    GR_CHECK_OK(gr_chat_encode(t, &options, turns, 2, 0, NULL, &sample));
    GR_CHECK_INT(sample.ids.count, 25);
    GR_CHECK_BYTES(sample.ids.data, ids, sizeof ids);
    for (int i = 0; i < 25; i++) {
        // The last header token predicts "o", "o" predicts "k", "k" predicts the end mark.
        int32_t want = i == 20 ? 78 : i == 21 ? 74 : i == 22 ? 258 : -100;
        GR_CHECK_INT(sample.targets.data[i], want);
    }
    GR_CHECK_INT(sample.image_rows.count, 0);
    gr_chat_sample_fini(&sample);
    gr_tokenizer_destroy(&t);
}

/// The same with other special tokens in the place of those for pictures.
static gr_tokenizer *blind_tokenizer(void)
{
    static const char *const names[][2] = {
        {"\"<img>\"", "\"<abc>\""}, {"\"</img>\"", "\"</abc>\""}, {"<IMG_", "<ABC_"}};
    gr_tokenizer *t = bytes_tokenizer();
    char *path = NULL, *text = NULL;
    size_t size = 0;
    GR_CHECK_OK(gr_tokenizer_save(t, gr_test_dir(), NULL));
    gr_tokenizer_destroy(&t);
    GR_CHECK_OK(gr_path_join(gr_test_dir(), "tokenizer.json", &path));
    GR_CHECK_OK(gr_file_read(path, 0, &text, &size));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *at = memmem(text, size, names[i][0], strlen(names[i][0]));
        if (GR_CHECK(at != NULL)) {
            memcpy(at, names[i][1], strlen(names[i][1]));
        }
    }
    GR_CHECK_OK(gri_tokenizer_parse("blind", text, size, &t));
    GR_FREE(text);
    GR_FREE(path);
    return t;
}

/// A tokenizer that never saw pictures gets their tokens, found as every special one; what it makes of ordinary text stays.
static void test_picture_tokens(void)
{
    static const char text[] = "a<img>b<quad></img>";
    gr_digest before, after, texts;
    gr_ids ids = {0};
    int64_t added = -1;
    gr_tokenizer *t = bytes_tokenizer(), *again = NULL;
    GR_CHECK_OK(gr_chat_add_picture_tokens(t, &added));
    GR_CHECK_INT(added, 0);
    gr_tokenizer_destroy(&t);
    t = blind_tokenizer();
    const int64_t size = gr_tokenizer_size(t);
    GR_CHECK_OK(gr_tokenizer_digest(t, &before));
    GR_CHECK_OK(gr_chat_add_picture_tokens(t, &added));
    GR_CHECK_INT(added, 3);
    GR_CHECK_INT(gr_tokenizer_size(t), size + 3);
    GR_CHECK_OK(gr_tokenizer_digest(t, &after));
    GR_CHECK_OK(gr_tokenizer_text_digest(t, &texts));
    GR_CHECK(!gr_digest_equal(before, after) && gr_digest_equal(before, texts));
    GR_CHECK_OK(gr_tokenizer_save(t, gr_test_dir(), NULL));
    GR_CHECK_OK(gr_tokenizer_load(gr_test_dir(), &again));
    for (int i = 0; i < 2; i++) {
        GR_CHECK_OK(gr_tokenizer_encode(i ? again : t, text, strlen(text), true, &ids));
        GR_CHECK(ids.count >= 5 && ids.data[1] == size && ids.data[ids.count - 1] == size + 1);
        gr_ids_fini(&ids);
        GR_CHECK_OK(gr_tokenizer_encode(i ? again : t, text, strlen(text), false, &ids));
        GR_CHECK_INT(ids.count, (int64_t)strlen(text));
        gr_ids_fini(&ids);
    }
    gr_tokenizer_destroy(&again);
    gr_tokenizer_destroy(&t);
}

static void test_picture_tokens_without_memory(void)
{
    gr_err err = GR_ERR_MEMORY;
    for (int64_t n = 1; err != GR_OK && n < 1000; n++) {
        int64_t added = 0;
        gr_tokenizer *t = blind_tokenizer();
        gr_mem_fail_at(n);
        err = gr_chat_add_picture_tokens(t, &added);
        gr_mem_fail_at(0);
        GR_CHECK(err == GR_OK || err == GR_ERR_MEMORY);
        gr_tokenizer_destroy(&t);
    }
    GR_CHECK(err == GR_OK);
}

static void test_turns(void)
{
    const gr_chat_turn turns[] = {user("one?"), assistant("1"), user("two?"), assistant("2!")};
    const gr_chat_options options = {.system = "Be brief."};
    CHECK_CHAT(&options, turns, 0, SPECIAL("<|im_start|>"), SILENT("system\nBe brief."),
               SPECIAL("<|im_end|>"), SILENT("\n"), SPECIAL("<|im_start|>"),
               SILENT("user\none?"), SPECIAL("<|im_end|>"), SILENT("\n"),
               SPECIAL("<|im_start|>"), SILENT("assistant\n"), LOUD("1"), LEARNED("<|im_end|>"),
               SILENT("\n"), SPECIAL("<|im_start|>"), SILENT("user\ntwo?"),
               SPECIAL("<|im_end|>"), SILENT("\n"), SPECIAL("<|im_start|>"),
               SILENT("assistant\n"), LOUD("2!"), LEARNED("<|im_end|>"), SILENT("\n"));
}

static void test_own_system(void)
{
    const gr_chat_turn turns[] = {system_turn("Mine."), assistant("")};
    const gr_chat_options options = {.system = "Not this."};
    CHECK_CHAT(&options, turns, 0, SPECIAL("<|im_start|>"), SILENT("system\nMine."),
               SPECIAL("<|im_end|>"), SILENT("\n"), SPECIAL("<|im_start|>"),
               SILENT("assistant\n"), LEARNED("<|im_end|>"), SILENT("\n"));
}

static void test_image(void)
{
    const gr_chat_turn turns[] = {user("a<image>b<image>"), assistant("<image>")};
    const gr_chat_options options = {.image_tokens = 3};
    // Only a user's text has placeholders.
    CHECK_CHAT(&options, turns, 2, SPECIAL("<|im_start|>"), SILENT("user\na"), IMAGE(3),
               SILENT("b"), IMAGE(3), SPECIAL("<|im_end|>"), SILENT("\n"),
               SPECIAL("<|im_start|>"), SILENT("assistant\n"), LOUD("<image>"),
               LEARNED("<|im_end|>"), SILENT("\n"));
}

static void test_image_in_front(void)
{
    const gr_chat_turn turns[] = {system_turn("S"), user("What?"), assistant("That."),
                                  user("And?"), assistant("This.")};
    const gr_chat_options options = {.image_tokens = 2};
    CHECK_CHAT(&options, turns, 2, SPECIAL("<|im_start|>"), SILENT("system\nS"),
               SPECIAL("<|im_end|>"), SILENT("\n"), SPECIAL("<|im_start|>"), SILENT("user\n"),
               IMAGE(2), SILENT("\n"), IMAGE(2), SILENT("\nWhat?"), SPECIAL("<|im_end|>"),
               SILENT("\n"), SPECIAL("<|im_start|>"), SILENT("assistant\n"), LOUD("That."),
               LEARNED("<|im_end|>"), SILENT("\n"), SPECIAL("<|im_start|>"),
               SILENT("user\nAnd?"), SPECIAL("<|im_end|>"), SILENT("\n"),
               SPECIAL("<|im_start|>"), SILENT("assistant\n"), LOUD("This."),
               LEARNED("<|im_end|>"), SILENT("\n"));
}

/// What looks like a special token in anybody's text is text.
static void test_literal_specials(void)
{
    const gr_chat_turn turns[] = {user("x<|im_end|>\n<IMG_CONTEXT>"),
                                  assistant("<|endoftext|><img>")};
    const gr_chat_options options = {0};
    CHECK_CHAT(&options, turns, 0, SPECIAL("<|im_start|>"),
               SILENT("user\nx<|im_end|>\n<IMG_CONTEXT>"), SPECIAL("<|im_end|>"), SILENT("\n"),
               SPECIAL("<|im_start|>"), SILENT("assistant\n"), LOUD("<|endoftext|><img>"),
               LEARNED("<|im_end|>"), SILENT("\n"));
}

static void test_all_text(void)
{
    const gr_chat_turn turns[] = {user("q<image>r"), assistant("a")};
    const gr_chat_options options = {.all_text = true, .image_tokens = 1, .system = "s"};
    CHECK_CHAT(&options, turns, 1, SPECIAL("<|im_start|>"), SILENT("system\n"), LOUD("s"),
               LEARNED("<|im_end|>"), SILENT("\n"), SPECIAL("<|im_start|>"), SILENT("user\n"),
               LOUD("q"), IMAGE(1), LOUD("r"), LEARNED("<|im_end|>"), SILENT("\n"),
               SPECIAL("<|im_start|>"), SILENT("assistant\n"), LOUD("a"), LEARNED("<|im_end|>"),
               SILENT("\n"));
}

static void test_plain(void)
{
    const gr_chat_turn turns[] = {user("See"), assistant("a cat <image>")};
    const gr_chat_options options = {
        .template = &plain_template, .image_tokens = 2, .system = "unused"};
    CHECK_CHAT(&options, turns, 1, IMAGE(2), LOUD("\nSee\na cat <image>"),
               LEARNED("<|endoftext|>"));
    const gr_chat_turn inside[] = {user("See <image>"), assistant("a cat")};
    CHECK_CHAT(&options, inside, 1, LOUD("See "), IMAGE(2), LOUD("\na cat"),
               LEARNED("<|endoftext|>"));
    const gr_chat_turn caption[] = {assistant("a cat")};
    CHECK_CHAT(&options, caption, 0, LOUD("a cat"), LEARNED("<|endoftext|>"));
}

/// SAIL-VL: no newline after <|im_end|>; an image of two tiles and one of one.
static void test_sailvl(void)
{
    const gr_chat_turn turns[] = {user("<image><image>?"), assistant("A"), user("Q"),
                                  assistant("B")};
    const int64_t tiles[] = {2, 1};
    CHECK_TEMPLATE("sailvl", turns, tiles, SPECIAL("<|im_start|>"),
                   SILENT("system\n你是由抖音内容理解组开发的多模态大模型，英文名叫UniVL, "
                          "是一个有用无害的人工智能助手。"),
                   SPECIAL("<|im_end|>"), SPECIAL("<|im_start|>"), SILENT("user\n"), IMAGE(4),
                   IMAGE(2), SILENT("?"), SPECIAL("<|im_end|>"), SPECIAL("<|im_start|>"),
                   SILENT("assistant\n"), LOUD("A"), LEARNED("<|im_end|>"),
                   SPECIAL("<|im_start|>"), SILENT("user\nQ"), SPECIAL("<|im_end|>"),
                   SPECIAL("<|im_start|>"), SILENT("assistant\n"), LOUD("B"),
                   LEARNED("<|im_end|>"));
}

/// Thinking off: each answer begins with an empty thought, which carries no loss.
static void test_qwen3(void)
{
    const gr_chat_turn turns[] = {user("Q"), assistant("A")};
    const int64_t tiles[] = {3};
    CHECK_TEMPLATE("qwen3", turns, tiles, SPECIAL("<|im_start|>"), SILENT("user\n"), IMAGE(6),
                   SILENT("\nQ"), SPECIAL("<|im_end|>"), SILENT("\n"), SPECIAL("<|im_start|>"),
                   SILENT("assistant\n"), SPECIAL("<think>"), SILENT("\n\n"),
                   SPECIAL("</think>"), SILENT("\n\n"), LOUD("A"), LEARNED("<|im_end|>"),
                   SILENT("\n"));
    const part prompt[] = {
        SPECIAL("<|im_start|>"), SILENT("user\nQ"),     SPECIAL("<|im_end|>"), SILENT("\n"),
        SPECIAL("<|im_start|>"), SILENT("assistant\n"), SPECIAL("<think>"),    SILENT("\n\n"),
        SPECIAL("</think>"),     SILENT("\n\n")};
    const gr_chat_options options = {.template = gr_chat_template_find("qwen3")};
    gr_chat_sample sample = {0};
    gr_tokenizer *t = thinking_tokenizer(), *without = bytes_tokenizer();
    GR_CHECK_OK(gr_chat_prompt(t, &options, turns, 1, 0, NULL, &sample));
    check_sample(t, &sample, prompt, sizeof prompt / sizeof *prompt, false);
    gr_chat_sample_fini(&sample);
    GR_CHECK_ERR(gr_chat_prompt(without, &options, turns, 1, 0, NULL, &sample), GR_ERR_DATA,
                 "the tokenizer has no token <think>");
    gr_tokenizer_destroy(&t);
    gr_tokenizer_destroy(&without);
}

/// Default system messages, and "" for none.
static void test_templates(void)
{
    static const struct {
        const char *name, *system;
    } cases[] = {
        {"qwen2.5", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."},
        {"internvl2.5",
         "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作"
         "单位联合开发的多模态大语言模型。"},
        {"smollm2", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"},
        {"chat", NULL},
        {"plain", NULL},
        {"qwen2.5", NULL},
    };
    const gr_chat_turn turns[] = {user("Q"), assistant("A")};
    gr_tokenizer *t = bytes_tokenizer();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gr_chat_options options = {.template = gr_chat_template_find(cases[i].name),
                                         .system = i == 5 ? "" : NULL};
        char *want =
            cases[i].system
                ? gr_str_format("<|im_start|>system\n%s<|im_end|>\n<|im_start|>user\nQ",
                                cases[i].system)
                : gr_str_format(i == 4 ? "Q\nA<|endoftext|>" : "<|im_start|>user\nQ");
        gr_chat_sample sample = {0};
        char *text = NULL;
        GR_CHECK_OK(gr_chat_encode(t, &options, turns, 2, 0, NULL, &sample));
        GR_CHECK_OK(
            gr_tokenizer_decode(t, sample.ids.data, sample.ids.count, false, &text, NULL));
        GR_CHECK(strncmp(text, want, strlen(want)) == 0);
        GR_FREE(text);
        GR_FREE(want);
        gr_chat_sample_fini(&sample);
    }
    GR_CHECK(gr_chat_template_find("qwen") == NULL);
    gr_str names = {0};
    for (const gr_chat_template *row = gr_chat_templates; row->name; row++) {
        GR_CHECK(gr_chat_template_find(row->name) == row);
        GR_CHECK_OK(gr_str_addf(&names, "%s%s", names.size ? ", " : "", row->name));
    }
    GR_CHECK_STR(gr_chat_template_names, names.data);
    gr_str_fini(&names);
    gr_tokenizer_destroy(&t);
}

static void test_prompt(void)
{
    const gr_chat_turn turns[] = {user("What?")};
    const part chat[] = {SPECIAL("<|im_start|>"), SILENT("user\n"),      IMAGE(2),
                         SILENT("\nWhat?"),       SPECIAL("<|im_end|>"), SILENT("\n"),
                         SPECIAL("<|im_start|>"), SILENT("assistant\n")};
    const part plain[] = {IMAGE(2), SILENT("\nWhat?")};
    gr_chat_options options = {.image_tokens = 2};
    gr_chat_sample sample = {0};
    gr_tokenizer *t = bytes_tokenizer();
    GR_CHECK_OK(gr_chat_prompt(t, &options, turns, 1, 1, NULL, &sample));
    check_sample(t, &sample, chat, sizeof chat / sizeof *chat, false);
    gr_chat_sample_fini(&sample);
    options.template = &plain_template;
    GR_CHECK_OK(gr_chat_prompt(t, &options, turns, 1, 1, NULL, &sample));
    check_sample(t, &sample, plain, sizeof plain / sizeof *plain, false);
    gr_chat_sample_fini(&sample);
    gr_tokenizer_destroy(&t);
}

static void test_refused(void)
{
    const gr_chat_options options = {.image_tokens = 2},
                          plain = {.template = &plain_template, .image_tokens = 2};
    const gr_chat_turn silent[] = {user("Hello?")};
    const gr_chat_turn two[] = {user("<image><image>"), assistant("x")};
    const gr_chat_turn alone[] = {assistant("x")};
    const gr_chat_turn broken[] = {user("fine"), assistant("b\xff")};
    const gr_chat_turn empty[] = {assistant("")};
    gr_chat_sample s = {0};
    gr_tokenizer *t = bytes_tokenizer();
    GR_CHECK_ERR(gr_chat_encode(t, &options, NULL, 0, 0, NULL, &s), GR_ERR_DATA,
                 "without turns");
    GR_CHECK_ERR(gr_chat_encode(t, &options, silent, 1, 0, NULL, &s), GR_ERR_DATA,
                 "without a target");
    GR_CHECK_ERR(gr_chat_encode(t, &plain, empty, 1, 0, NULL, &s), GR_ERR_DATA,
                 "without a target");
    GR_CHECK_ERR(gr_chat_encode(t, &options, two, 2, 3, NULL, &s), GR_ERR_DATA,
                 "2 <image> placeholders and 3 images");
    GR_CHECK_ERR(gr_chat_encode(t, &options, two, 2, 0, NULL, &s), GR_ERR_DATA,
                 "2 <image> placeholders and 0 images");
    GR_CHECK_ERR(gr_chat_encode(t, &plain, two, 2, 1, NULL, &s), GR_ERR_DATA,
                 "2 <image> placeholders and 1 image");
    GR_CHECK_ERR(gr_chat_encode(t, &options, alone, 1, 1, NULL, &s), GR_ERR_DATA,
                 "0 <image> placeholders and 1 image");
    GR_CHECK_ERR(gr_chat_encode(t, &options, broken, 2, 0, NULL, &s), GR_ERR_DATA,
                 "turn 1: text is not UTF-8: byte 0xff at position 1");
    GR_CHECK(s.ids.data == NULL && s.targets.data == NULL && s.image_rows.data == NULL);
    gr_tokenizer_destroy(&t);
}

static void test_allocation_failures(void)
{
    const gr_chat_turn turns[] = {user("What is it?"), assistant("A caf\xc3\xa9.")};
    const gr_chat_options options = {.system = "s", .image_tokens = 40};
    gr_tokenizer *t = bytes_tokenizer();
    int64_t used = gr_mem_used();
    gr_err err = GR_ERR_MEMORY;
    int failures = 0;
    for (int n = 1; err == GR_ERR_MEMORY && n < 200; n++) {
        gr_chat_sample sample = {0};
        gr_mem_fail_at(n);
        err = gr_chat_encode(t, &options, turns, 2, 2, NULL, &sample);
        gr_mem_fail_at(0);
        failures += err == GR_ERR_MEMORY;
        gr_chat_sample_fini(&sample);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(err);
    GR_CHECK(failures > 10);
    gr_tokenizer_destroy(&t);
}

/// As transformers reads it; tests/reference/check_chat_template.py runs them all.
static void test_jinja(void)
{
    char *text = NULL;
    gr_chat_options options = {.template = gr_chat_template_find("qwen3")};
    GR_CHECK_OK(gr_chat_jinja(&options, &text));
    GR_CHECK_STR(
        text,
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
        "{% if message['role'] == 'assistant' %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
        "{{ message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' }}{% endif %}");
    GR_FREE(text);
    options = (gr_chat_options){.system = "it's a \\ line\n"};
    GR_CHECK_OK(gr_chat_jinja(&options, &text));
    GR_CHECK(strstr(text, "{{ '<|im_start|>system\\nit\\'s a \\\\ line\\n<|im_end|>\\n' }}") !=
             NULL);
    GR_FREE(text);
    int64_t before = gr_mem_requests();
    GR_CHECK_OK(gr_chat_jinja(&options, &text));
    int64_t requests = gr_mem_requests() - before;
    GR_FREE(text);
    int64_t used = gr_mem_used();
    for (int64_t i = 1; i <= requests; i++) {
        gr_mem_fail_at(i);
        GR_CHECK_ERR(gr_chat_jinja(&options, &text), GR_ERR_MEMORY, "");
        GR_CHECK_INT(gr_mem_used(), used);
    }
    gr_mem_fail_at(0);
}

/// Where the number tells and where not, and the errors of encoding; check_count compares it with every conversation above.
static void test_count(void)
{
    const gr_chat_turn marked[] = {user("a<image>b"), assistant("ok")};
    const gr_chat_turn front[] = {user("ab"), assistant("ok")};
    const gr_chat_turn odd[] = {user("ab"), assistant("o<image>k")};
    const gr_chat_options options = {.image_tokens = 2},
                          plain = {.template = gr_chat_template_find("plain"),
                                   .image_tokens = 2};
    gr_tokenizer *t = bytes_tokenizer();
    int64_t got = 0;
    GR_CHECK_OK(gr_chat_count(t, &options, marked, 2, 1, NULL, 4, &got));
    GR_CHECK_INT(got, (1 + 5 + 2 + 4 + 2) +
                          (1 + 10 + 2 + 2)); // as test_numbers, and 4 of the picture
    GR_CHECK_OK(gr_chat_count(t, &options, front, 2, 1, NULL, 4, &got));
    GR_CHECK_INT(got, -1);
    GR_CHECK_OK(gr_chat_count(t, &options, odd, 2, 0, NULL, 4, &got));
    GR_CHECK_INT(got, -1);
    GR_CHECK_OK(gr_chat_count(t, &plain, marked, 2, 1, NULL, 4, &got));
    GR_CHECK_INT(got, -1);
    GR_CHECK_ERR(gr_chat_count(t, &options, marked, 2, 2, NULL, 4, &got), GR_ERR_DATA,
                 "1 <image> placeholder and 2 images");
    GR_CHECK_ERR(gr_chat_count(t, &options, marked, 1, 1, NULL, 4, &got), GR_ERR_DATA,
                 "without a target");
    gr_tokenizer_destroy(&t);
}

static const gr_test tests[] = {
    {"jinja", test_jinja},
    {"numbers", test_numbers},
    {"picture tokens", test_picture_tokens},
    {"picture tokens without memory", test_picture_tokens_without_memory},
    {"turns", test_turns},
    {"own_system", test_own_system},
    {"image", test_image},
    {"image_in_front", test_image_in_front},
    {"literal_specials", test_literal_specials},
    {"all_text", test_all_text},
    {"plain", test_plain},
    {"sailvl", test_sailvl},
    {"qwen3", test_qwen3},
    {"templates", test_templates},
    {"prompt", test_prompt},
    {"refused", test_refused},
    {"allocation_failures", test_allocation_failures},
    {"count", test_count},
};
GR_TEST_MAIN("chat", tests)
