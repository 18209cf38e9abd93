#include "src/base/str.h"
#include "src/formats/chat.h"

#include <string.h>

/// Sources: section 5.3 of the specification; SmolLM2: chat_template of its tokenizer_config.json.
const gr_chat_template gr_chat_templates[] = {
    {.name = "chat", .system = "", .after_end = "\n"},
    {.name = "plain", .system = "", .after_end = "", .plain = true},
    {.name = "qwen2.5",
     .system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
     .after_end = "\n"},
    {.name = "qwen3", .system = "", .after_end = "\n", .no_thinking = true},
    {.name = "sailvl",
     .system = "你是由抖音内容理解组开发的多模态大模型，英文名叫UniVL, "
               "是一个有用无害的人工智能助手。",
     .after_end = ""},
    {.name = "internvl2.5",
     .system =
         "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开"
         "发的多模态大语言模型。",
     .after_end = "\n"},
    {.name = "smollm2",
     .system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
     .after_end = "\n"},
    {.name = NULL},
};

const char *const gr_chat_template_names =
    "chat, plain, qwen2.5, qwen3, sailvl, internvl2.5, smollm2";

const gr_chat_template *gr_chat_template_find(const char *name)
{
    const gr_chat_template *t = gr_chat_templates;
    while (t->name && strcmp(t->name, name) != 0) {
        t++;
    }
    return t->name ? t : NULL;
}

/// Text between the quotes of a Jinja string.
static gr_err add_quoted(gr_str *s, const char *text)
{
    gr_err err = GR_OK;
    for (; *text; text++) {
        const char *escaped = *text == '\n'   ? "\\n"
                              : *text == '\'' ? "\\'"
                              : *text == '\\' ? "\\\\"
                                              : NULL;
        if (escaped) {
            GR_TRY(gr_str_add(s, escaped));
        } else {
            GR_TRY(gr_str_add_bytes(s, text, 1));
        }
    }
done:
    return err;
}

/// The system message that stands in front of conversations without one.
static gr_err add_system(gr_str *s, const char *system, const char *after_end)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(
        s, "{% if messages | selectattr('role', 'equalto', 'system') | list | length == 0 %}"
           "{{ '<|im_start|>system\\n"));
    GR_TRY(add_quoted(s, system));
    GR_TRY(gr_str_add(s, "<|im_end|>"));
    GR_TRY(add_quoted(s, after_end));
    GR_TRY(gr_str_add(s, "' }}{% endif %}"));
done:
    return err;
}

gr_err gr_chat_jinja(const gr_chat_options *options, char **out)
{
    static const char plain[] =
        "{% for message in messages %}{{ message['content'] }}{% if not loop.last %}{{ '\\n' }}{% endif %}"
        "{% endfor %}{% if not add_generation_prompt %}{{ '<|endoftext|>' }}{% endif %}";
    gr_err err = GR_OK;
    gr_str s = {0};
    const gr_chat_template *t =
        options->template ? options->template : gr_chat_template_find("chat");
    const char *system = options->system ? options->system : t->system;
    const char *thought = t->no_thinking ? "<think>\n\n</think>\n\n" : "";
    if (t->plain) {
        GR_TRY(gr_str_add(&s, plain));
        goto finish;
    }
    if (system[0]) {
        GR_TRY(add_system(&s, system, t->after_end));
    }
    GR_TRY(gr_str_add(
        &s, "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"));
    if (thought[0]) {
        GR_TRY(gr_str_add(&s, "{% if message['role'] == 'assistant' %}{{ '"));
        GR_TRY(add_quoted(&s, thought));
        GR_TRY(gr_str_add(&s, "' }}{% endif %}"));
    }
    GR_TRY(gr_str_add(&s, "{{ message['content'] + '<|im_end|>"));
    GR_TRY(add_quoted(&s, t->after_end));
    GR_TRY(gr_str_add(
        &s, "' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n"));
    GR_TRY(add_quoted(&s, thought));
    GR_TRY(gr_str_add(&s, "' }}{% endif %}"));
finish:
    *out = s.data;
    s = (gr_str){0};
done:
    gr_str_fini(&s);
    return err;
}
