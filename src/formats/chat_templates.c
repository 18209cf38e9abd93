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
