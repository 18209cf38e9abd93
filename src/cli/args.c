#include "src/cli/args.h"

#include "src/base/mem.h"
#include "src/base/nearest.h"
#include "src/cli/help.h"
#include "src/cli/numbers.h"

#include <string.h>

// What one parse knows.
typedef struct parser {
    const char *command;
    const gri_arg *args;
    int64_t count;
    bool *given; ///< [count]
    int argc;
    char **argv;
    int next;            ///< of argv
    bool words_only;     ///< after "--"
    const gri_arg *many; ///< the option whose values may go on
    const gri_arg *last; ///< the option that was just given a value
} parser;

static bool mistaken;

bool gri_args_mistaken(void)
{
    return mistaken;
}

void gri_args_mistake(void)
{
    mistaken = true;
}

void gri_list_fini(gri_list *list)
{
    GR_FREE(list->items);
    list->count = 0;
}

static gr_err list_add(gri_list *list, const char *value)
{
    gr_err err = GR_OK;
    GR_RESIZE(list->items, list->count, list->count + 1);
    list->items[list->count++] = value;
done:
    return err;
}

static gr_err set_int(const parser *p, const gri_arg *arg, const char *text)
{
    gr_err err = GR_OK;
    int64_t n = 0;
    const gri_number kind = gri_number_int(text, strlen(text), &n);
    if (kind != GRI_NUMBER || n < arg->min || n > arg->max) {
        if (arg->max == INT64_MAX && kind != GRI_NUMBER_TOO_LONG) {
            GR_FAIL(GR_ERR_USAGE, "%s: --%s: expected an integer of at least %lld, got \"%s\"",
                    p->command, arg->name, (long long)arg->min, text);
        }
        GR_FAIL(GR_ERR_USAGE, "%s: --%s: expected an integer from %lld to %lld, got \"%s\"",
                p->command, arg->name, (long long)arg->min, (long long)arg->max, text);
    }
    *arg->out.integer = n;
done:
    return err;
}

static gr_err set_choice(const parser *p, const gri_arg *arg, const char *text)
{
    gr_err err = GR_OK;
    size_t length = strlen(text);
    const char *word = arg->value;
    for (int i = 0;; i++) {
        size_t n = strcspn(word, "|");
        if (n == length && strncmp(word, text, n) == 0) {
            *arg->out.choice = i;
            break;
        }
        if (!word[n]) {
            GR_FAIL(GR_ERR_USAGE, "%s: --%s: expected %s, got \"%s\"", p->command, arg->name,
                    arg->value, text);
        }
        word += n + 1;
    }
done:
    return err;
}

/// What names a file, a folder or one of several things is never empty; a text may be, and a list of ids.
static gr_err check_not_empty(const parser *p, const gri_arg *arg, const char *text)
{
    gr_err err = GR_OK;
    const bool word = gri_arg_is_word(arg);
    const char *what = word ? arg->name : arg->value;
    if (!*text && strcmp(what, "TEXT") != 0 && strcmp(what, "ID") != 0) {
        GR_FAIL(GR_ERR_USAGE, "%s: %s%s is empty%s%s", p->command, word ? "" : "--", arg->name,
                word ? "" : ": expected ", word ? "" : what);
    }
done:
    return err;
}

static gr_err set_value(const parser *p, const gri_arg *arg, const char *text)
{
    gr_err err = GR_OK;
    switch (arg->kind) {
    case GRI_ARG_FLAG:
        *arg->out.flag = true;
        break;
    case GRI_ARG_INT:
        GR_TRY(set_int(p, arg, text));
        break;
    case GRI_ARG_CHOICE:
        GR_TRY(set_choice(p, arg, text));
        break;
    case GRI_ARG_TEXT:
    case GRI_ARG_WORD:
        GR_TRY(check_not_empty(p, arg, text));
        *arg->out.text = text;
        break;
    case GRI_ARG_LIST:
    case GRI_ARG_MANY:
    case GRI_ARG_WORDS:
        GR_TRY(check_not_empty(p, arg, text));
        GR_TRY(list_add(arg->out.list, text));
        break;
    }
done:
    return err;
}

static bool is_repeated(const gri_arg *arg)
{
    return arg->kind == GRI_ARG_LIST || arg->kind == GRI_ARG_MANY;
}

static gr_err unknown_option(const parser *p, const char *text, size_t length)
{
    gr_err err = GR_OK;
    const char **names = NULL;
    char name[64] = "";
    memcpy(name, text, length < sizeof name ? length : sizeof name - 1);
    GR_ALLOC(names, p->count + 1);
    int64_t n = 0;
    names[n++] = "help";
    for (int64_t i = 0; i < p->count; i++) {
        if (!gri_arg_is_word(&p->args[i])) {
            names[n++] = p->args[i].name;
        }
    }
    const char *near = gr_nearest(name, names, n);
    GR_FAIL(GR_ERR_USAGE, "%s: unknown option --%.*s%s%s%s (see \"gradus %s --help\")",
            p->command, (int)length, text, near ? "; did you mean --" : "", near ? near : "",
            near ? "?" : "", p->command);
done:
    GR_FREE(names);
    return err;
}

static gr_err find_option(const parser *p, const char *text, size_t length, int64_t *index)
{
    for (int64_t i = 0; i < p->count; i++) {
        const gri_arg *arg = &p->args[i];
        if (!gri_arg_is_word(arg) && strlen(arg->name) == length &&
            strncmp(arg->name, text, length) == 0) {
            *index = i;
            return GR_OK;
        }
    }
    return unknown_option(p, text, length);
}

// `text` is "NAME" or "NAME=VALUE", without the dashes.
static gr_err take_option(parser *p, const char *text)
{
    gr_err err = GR_OK;
    size_t length = strcspn(text, "=");
    const char *value = text[length] ? text + length + 1 : NULL;
    int64_t i = 0;
    GR_TRY(find_option(p, text, length, &i));
    const gri_arg *arg = &p->args[i];
    if (p->given[i] && !is_repeated(arg)) {
        GR_FAIL(GR_ERR_USAGE, "%s: --%s is given twice", p->command, arg->name);
    }
    if (arg->kind == GRI_ARG_FLAG && value) {
        GR_FAIL(GR_ERR_USAGE, "%s: --%s takes no value, got \"%s\"", p->command, arg->name,
                value);
    }
    if (arg->kind != GRI_ARG_FLAG && !value) {
        if (p->next >= p->argc || strncmp(p->argv[p->next], "--", 2) == 0) {
            GR_FAIL(GR_ERR_USAGE, "%s: --%s needs a value: --%s %s", p->command, arg->name,
                    arg->name, arg->value);
        }
        value = p->argv[p->next++];
    }
    GR_TRY(set_value(p, arg, value));
    p->given[i] = true;
    p->many = arg->kind == GRI_ARG_MANY ? arg : NULL;
    p->last = arg->kind == GRI_ARG_LIST ? arg : NULL;
done:
    return err;
}

static gr_err take_word(parser *p, const char *text)
{
    gr_err err = GR_OK;
    if (p->many && !p->words_only) {
        GR_TRY(set_value(p, p->many, text));
        goto done;
    }
    for (int64_t i = 0; i < p->count; i++) {
        const gri_arg *arg = &p->args[i];
        if (gri_arg_is_word(arg) && (arg->kind == GRI_ARG_WORDS || !p->given[i])) {
            p->given[i] = true;
            GR_TRY(set_value(p, &p->args[i], text));
            goto done;
        }
    }
    if (p->last) {
        GR_FAIL(
            GR_ERR_USAGE,
            "%s: unexpected \"%s\": --%s takes one value each time; for another one repeat it: "
            "--%s %s --%s %s",
            p->command, text, p->last->name, p->last->name, p->last->value, p->last->name,
            text);
    }
    GR_FAIL(GR_ERR_USAGE, "%s: unexpected \"%s\" (see \"gradus %s --help\")", p->command, text,
            p->command);
done:
    return err;
}

// A negative number is a value, and no option's name.
static bool is_number(const char *text)
{
    return text[0] == '-' && text[1] && strspn(text + 1, "0123456789.") == strlen(text + 1);
}

static gr_err take_all(parser *p, bool *help)
{
    gr_err err = GR_OK;
    while (p->next < p->argc) {
        const char *text = p->argv[p->next++];
        if (p->words_only || text[0] != '-' || text[1] == '\0' || is_number(text)) {
            GR_TRY(take_word(p, text));
        } else if (strcmp(text, "--") == 0) {
            p->words_only = true;
        } else if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
            *help = true;
            goto done;
        } else if (text[1] == '-') {
            GR_TRY(take_option(p, text + 2));
        } else {
            GR_FAIL(GR_ERR_USAGE,
                    "%s: unknown option %s: options are long (\"--name\"); a "
                    "word that begins with \"-\" goes after \"--\"",
                    p->command, text);
        }
    }
done:
    return err;
}

static gr_err check_required(const parser *p)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < p->count; i++) {
        const gri_arg *arg = &p->args[i];
        if (arg->required && !p->given[i]) {
            bool word = gri_arg_is_word(arg);
            GR_FAIL(GR_ERR_USAGE, "%s: %s%s%s%s is missing (see \"gradus %s --help\")",
                    p->command, word ? "" : "--", arg->name, word ? "" : " ",
                    word ? "" : arg->value, p->command);
        }
    }
done:
    return err;
}

gr_err gri_args_parse(const char *command, const char *about, const gri_arg *args,
                      int64_t count, int argc, char **argv, bool *help)
{
    gr_err err = GR_OK;
    parser p = {.command = command, .args = args, .count = count, .argc = argc, .argv = argv};
    *help = false;
    GR_ALLOC(p.given, count);
    GR_TRY(take_all(&p, help));
    if (*help) {
        GR_TRY(gri_help_command(command, about, args, count));
    } else {
        GR_TRY(check_required(&p));
    }
done:
    mistaken = mistaken || err == GR_ERR_USAGE;
    GR_FREE(p.given);
    return err;
}
