#include "src/cli/help.h"

#include <stdio.h>
#include <string.h>

enum { COLUMN = 26, WIDTH = 96 };

static gri_help_writer *redirected;
static void *redirect_context;

void gri_help_redirect(gri_help_writer *writer, void *context)
{
    redirected = writer;
    redirect_context = context;
}

gr_err gri_help_form(gr_str *s, const gri_arg *arg)
{
    switch (arg->kind) {
    case GRI_ARG_WORD:
        return gr_str_add(s, arg->name);
    case GRI_ARG_WORDS:
        return gr_str_addf(s, "%s...", arg->name);
    case GRI_ARG_FLAG:
        return gr_str_addf(s, "--%s", arg->name);
    case GRI_ARG_MANY:
        return gr_str_addf(s, "--%s %s...", arg->name, arg->value);
    case GRI_ARG_TEXT:
    case GRI_ARG_INT:
    case GRI_ARG_CHOICE:
    case GRI_ARG_LIST:
        break;
    }
    return gr_str_addf(s, "--%s %s", arg->name, arg->value);
}

gr_err gri_help_usage(gr_str *s, const gri_arg *arg)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(s, arg->required ? "" : "["));
    GR_TRY(gri_help_form(s, arg));
    GR_TRY(gr_str_add(s, arg->required ? "" : "]"));
    GR_TRY(gr_str_add(s, arg->kind == GRI_ARG_LIST ? "..." : ""));
done:
    return err;
}

static gr_err print_usage(const char *command, const gri_arg *args, int64_t count)
{
    gr_err err = GR_OK;
    gr_str form = {0};
    int column = printf("Usage: gradus %s", command);
    for (int64_t i = 0; i < count; i++) {
        gr_str_clear(&form);
        GR_TRY(gri_help_usage(&form, &args[i]));
        if (column + 1 + (int)form.size > WIDTH) {
            column = printf("\n             ") - 1;
        }
        column += printf(" %s", form.data);
    }
    printf("\n");
done:
    gr_str_fini(&form);
    return err;
}

// Prints words from `column` on, breaking lines at WIDTH; further lines begin at `indent`.
static void print_wrapped(const char *text, int column, int indent)
{
    bool first = true;
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (!first && column + 1 + word > WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            column += printf(" ");
        }
        column += printf("%.*s", word, text);
        text += word + (text[word] == ' ');
        first = false;
    }
    printf("\n");
}

// One entry: the form, then the text in its column.
static void print_entry(const char *form, const char *text)
{
    int column = printf("  %s", form);
    if (column >= COLUMN) {
        printf("\n");
        column = 0;
    }
    column += printf("%*s", COLUMN - column, "");
    print_wrapped(text, column, COLUMN);
}

static gr_err print_page(const char *command, const char *about, const gri_arg *args,
                         int64_t count)
{
    gr_err err = GR_OK;
    gr_str form = {0};
    GR_TRY(print_usage(command, args, count));
    printf("\n");
    print_wrapped(about, 0, 0);
    printf("\n");
    for (int64_t i = 0; i < count; i++) {
        gr_str_clear(&form);
        GR_TRY(gri_help_form(&form, &args[i]));
        print_entry(form.data, args[i].help);
    }
    print_entry("--help", "this page");
done:
    gr_str_fini(&form);
    return err;
}

gr_err gri_help_command(const char *command, const char *about, const gri_arg *args,
                        int64_t count)
{
    return redirected ? redirected(redirect_context, command, about, args, count)
                      : print_page(command, about, args, count);
}

void gri_help_commands(const char *family, const gri_command *commands, int64_t count)
{
    size_t length = strlen(family);
    for (int64_t i = 0; i < count; i++) {
        const char *name = commands[i].name;
        if (strncmp(name, family, length) == 0 &&
            (length == 0 || name[length] == ' ' || name[length] == '\0')) {
            print_entry(name, commands[i].summary);
        }
    }
}
