#include "src/cli/pages.h"

#include <ctype.h>
#include <string.h>

gr_err gri_roff_inside(gr_str *out, const char *text, size_t size)
{
    gr_err err = GR_OK;
    for (const char *end = text + size; text < end; text++) {
        switch (*text) {
        case '-':
            GR_TRY(gr_str_add(out, "\\-"));
            break;
        case '\\':
            GR_TRY(gr_str_add(out, "\\e"));
            break;
        case '"': // inside a quoted argument of a request it would end it
            GR_TRY(gr_str_add(out, "\\(dq"));
            break;
        default:
            GR_TRY(gr_str_add_bytes(out, text, 1));
        }
    }
done:
    return err;
}

gr_err gri_roff_text(gr_str *out, const char *text, size_t size)
{
    gr_err err = GR_OK;
    if (size > 0 && (*text == '.' || *text == '\'')) {
        GR_TRY(gr_str_add(out, "\\&"));
    }
    GR_TRY(gri_roff_inside(out, text, size));
done:
    return err;
}

static gr_err add_text(gr_str *out, const char *text)
{
    return gri_roff_text(out, text, strlen(text));
}

static gr_err add_request(gr_str *out, const char *request, const char *text)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_addf(out, ".%s \"", request));
    GR_TRY(add_text(out, text));
    GR_TRY(gr_str_add(out, "\"\n"));
done:
    return err;
}

static gr_err add_line(gr_str *out, const char *text)
{
    gr_err err = GR_OK;
    GR_TRY(add_text(out, text));
    GR_TRY(gr_str_add(out, "\n"));
done:
    return err;
}

static gr_err add_entry(gr_str *out, const char *form, const char *text)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(out, ".TP\n"));
    GR_TRY(add_request(out, "B", form));
    GR_TRY(add_line(out, text));
done:
    return err;
}

static gr_err add_usage(gr_str *out, const char *command, const gri_arg *args, int64_t count)
{
    gr_err err = GR_OK;
    gr_str form = {0};
    GR_TRY(gr_str_add(out, ".B gradus "));
    GR_TRY(add_line(out, command));
    for (int64_t i = 0; i < count; i++) {
        gr_str_clear(&form);
        GR_TRY(gri_help_usage(&form, &args[i]));
        GR_TRY(add_line(out, form.data));
    }
done:
    gr_str_fini(&form);
    return err;
}

// A section of a family's page: one command, with its options.
static gr_err add_command(void *context, const char *command, const char *about,
                          const gri_arg *args, int64_t count)
{
    gr_err err = GR_OK;
    gr_str *out = context, form = {0};
    GR_TRY(gr_str_add(out, ".SS gradus "));
    GR_TRY(add_line(out, command));
    GR_TRY(add_usage(out, command, args, count));
    GR_TRY(gr_str_add(out, ".PP\n"));
    GR_TRY(add_line(out, about));
    for (int64_t i = 0; i < count; i++) {
        gr_str_clear(&form);
        GR_TRY(gri_help_form(&form, &args[i]));
        GR_TRY(add_entry(out, form.data, args[i].help));
    }
done:
    gr_str_fini(&form);
    return err;
}

static gr_err add_exit_status(gr_str *out)
{
    static const struct {
        int code;
        const char *text;
    } list[] = {
#define ROW(name, value, exit_code, text) {exit_code, text},
        GR_ERR_LIST(ROW)
#undef ROW
    };
    gr_err err = GR_OK;
    gr_str code = {0};
    GR_TRY(gr_str_add(out, ".SH EXIT STATUS\n"));
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (i > 0 && list[i].code == list[i - 1].code) {
            continue; // running out of memory is a failure like others
        }
        gr_str_clear(&code);
        GR_TRY(gr_str_addf(&code, "%d", list[i].code));
        GR_TRY(add_entry(out, code.data, i == 0 ? "done" : list[i].text));
    }
done:
    gr_str_fini(&code);
    return err;
}

static gr_err add_environment(gr_str *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(out, ".SH ENVIRONMENT\n"));
    GR_TRY(add_entry(out, "OMP_NUM_THREADS",
                     "threads of a process; changes the speed, never a result"));
    GR_TRY(add_entry(out, "OPENBLAS_CORETYPE",
                     "kernels of the matrix products. Unset, gradus chooses those that the "
                     "processor wants when OpenBLAS does not"));
    GR_TRY(add_entry(out, "NO_COLOR", "no colour, also on a terminal"));
done:
    return err;
}

static gr_err add_see_also(const gri_pages *pages, int64_t but, gr_str *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(out, ".SH SEE ALSO\n"));
    bool first = but < 0;
    if (!first) {
        GR_TRY(gr_str_add(out, ".BR gradus (1)"));
    }
    for (int64_t i = 0; i < pages->count; i++) {
        const char *second = NULL;
        if (i != but && gri_pages_begins(pages, i)) {
            int length = gri_pages_family(pages, i, &second);
            GR_TRY(gr_str_addf(out, "%s.BR gradus\\-%.*s (1)", first ? "" : ",\n", length,
                               pages->commands[i].name));
            first = false;
        }
    }
    GR_TRY(gr_str_addf(out, "%s.BR gradus\\-recipe (5)\n", first ? "" : ",\n"));
done:
    return err;
}

static gr_err add_title(gr_str *out, int length, const char *family)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(out, ".\\\" Written by \"gradus help --write-pages\".\n.TH GRADUS"));
    GR_TRY(gr_str_add(out, length ? "\\-" : ""));
    for (int i = 0; i < length; i++) {
        GR_TRY(gr_str_addf(out, "%c", toupper((unsigned char)family[i])));
    }
    GR_TRY(gr_str_add(out, " 1 " GRADUS_DATE " \"gradus " GRADUS_VERSION
                           "\" \"Gradus manual\"\n.SH NAME\n"));
done:
    return err;
}

static gr_err add_program(const gri_pages *pages, gr_str *out)
{
    gr_err err = GR_OK;
    gr_str name = {0};
    GR_TRY(add_title(out, 0, ""));
    GR_TRY(gr_str_add(out, "gradus \\- train vision encoders for multimodal language models\n"
                           ".SH SYNOPSIS\n.B gradus\n.I COMMAND\n[OPTION]...\n.br\n"
                           ".B gradus help\n.I COMMAND\n.br\n.B gradus \\-\\-version\n"
                           ".SH COMMANDS\n"));
    for (int64_t i = 0; i < pages->count; i++) {
        gr_str_clear(&name);
        GR_TRY(gr_str_addf(&name, "gradus %s", pages->commands[i].name));
        GR_TRY(add_entry(out, name.data, pages->commands[i].summary));
    }
done:
    gr_str_fini(&name);
    return err;
}

static bool same_family(const gri_pages *pages, int64_t i, int64_t j)
{
    for (; j > i; j--) {
        if (gri_pages_begins(pages, j)) {
            return false;
        }
    }
    return true;
}

static gr_err add_family(const gri_pages *pages, int64_t i, gr_str *out)
{
    gr_err err = GR_OK;
    const char *second = NULL;
    int length = gri_pages_family(pages, i, &second);
    GR_TRY(add_title(out, length, pages->commands[i].name));
    GR_TRY(gr_str_addf(out, "gradus\\-%.*s \\- ", length, pages->commands[i].name));
    for (int64_t j = i; j < pages->count && same_family(pages, i, j); j++) {
        GR_TRY(gr_str_add(out, j > i ? "; " : ""));
        GR_TRY(add_text(out, pages->commands[j].summary));
    }
    GR_TRY(gr_str_add(out, "\n.SH COMMANDS\n"));
    for (int64_t j = i; j < pages->count && same_family(pages, i, j); j++) {
        GR_TRY(gri_pages_ask(pages, j, add_command, out));
    }
done:
    return err;
}

gr_err gri_man_page(const gri_pages *pages, int64_t i, gr_str *out)
{
    gr_err err = GR_OK;
    GR_TRY(i < 0 ? add_program(pages, out) : add_family(pages, i, out));
    GR_TRY(add_exit_status(out));
    GR_TRY(add_environment(out));
    GR_TRY(add_see_also(pages, i, out));
done:
    return err;
}
