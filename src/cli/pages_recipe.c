#include "src/cli/pages.h"

#include <string.h>

enum { MOST_CELLS = 3 };

// A part of a line.
typedef struct span {
    const char *at;
    size_t size;
} span;

static span trimmed(const char *at, size_t size)
{
    while (size > 0 && *at == ' ') {
        at++;
        size--;
    }
    while (size > 0 && at[size - 1] == ' ') {
        size--;
    }
    return (span){at, size};
}

static bool begins(span s, const char *with)
{
    return s.size >= strlen(with) && memcmp(s.at, with, strlen(with)) == 0;
}

// Size of the mark at `at` that begins or ends bold text; 0: it is text.
static size_t mark_at(const char *at, const char *end)
{
    return *at == '`' ? 1 : end - at > 1 && at[0] == '*' && at[1] == '*' ? 2 : 0;
}

// A line's text, its marks turned into fonts or, in a tag that is bold as a whole, left out.
static gr_err add_marked(gr_str *out, span s, bool tag)
{
    gr_err err = GR_OK;
    bool bold = false;
    const char *end = s.at + s.size, *piece = s.at;
    if (s.size > 0 && (*s.at == '.' || *s.at == '\'')) {
        GR_TRY(gr_str_add(out, "\\&"));
    }
    for (const char *at = s.at; at < end;) {
        const size_t mark = mark_at(at, end);
        if (mark > 0) {
            bold = !bold;
            GR_TRY(gri_roff_inside(out, piece, (size_t)(at - piece)));
            GR_TRY(gr_str_add(out, tag ? "" : bold ? "\\fB" : "\\fR"));
            piece = at + mark;
        }
        at += mark > 0 ? mark : 1;
    }
    GR_TRY(gri_roff_inside(out, piece, (size_t)(end - piece)));
done:
    return err;
}

// The cells of "| a | b | c |"; more than MOST_CELLS stay in the last one.
static int cut_cells(span line, span cells[MOST_CELLS])
{
    int count = 0;
    const char *at = line.at + 1, *end = line.at + line.size;
    while (at < end && count < MOST_CELLS) {
        const char *bar = memchr(at, '|', (size_t)(end - at));
        bar = bar ? bar : end;
        cells[count++] = trimmed(at, (size_t)(bar - at));
        at = bar + 1;
    }
    return count;
}

static gr_err add_row(gr_str *out, const span cells[MOST_CELLS], int count)
{
    gr_err err = GR_OK;
    const bool has_default = count == MOST_CELLS && cells[1].size > 0;
    GR_TRY(gr_str_add(out, ".TP\n.BR \""));
    GR_TRY(add_marked(out, cells[0], true));
    GR_TRY(gr_str_add(out, has_default ? "\" \" (default: " : ""));
    GR_TRY(has_default ? add_marked(out, cells[1], true) : GR_OK);
    GR_TRY(gr_str_add(out, has_default ? ")\"\n" : "\"\n"));
    if (cells[count - 1].size > 0) {
        GR_TRY(add_marked(out, cells[count - 1], false));
        GR_TRY(gr_str_add(out, "\n"));
    }
done:
    return err;
}

// What the walk knows of the lines before.
typedef struct page_state {
    bool paragraph; ///< there is one to go on with
    bool first;     ///< of its section, which needs no request
    int rows;       ///< of the table at hand: its head and the line under that are left out
} page_state;

static gr_err add_line(page_state *p, gr_str *out, span line)
{
    gr_err err = GR_OK;
    span cells[MOST_CELLS] = {{0}};
    p->rows = begins(line, "|") ? p->rows + 1 : 0;
    if (begins(line, "# ")) {
        goto done; // the page has a title of its own
    }
    if (begins(line, "## ")) {
        GR_TRY(gr_str_add(out, ".SH \""));
        GR_TRY(add_marked(out, (span){line.at + 3, line.size - 3}, true));
        GR_TRY(gr_str_add(out, "\"\n"));
        p->first = true;
    } else if (line.size == 0) {
        p->paragraph = false;
    } else if (p->rows > 0) {
        const int count = cut_cells(line, cells);
        GR_TRY(p->rows > 2 ? add_row(out, cells, count) : GR_OK);
        p->paragraph = false;
        p->first = false;
    } else {
        GR_TRY(gr_str_add(out, p->paragraph || p->first ? "" : ".PP\n"));
        GR_TRY(add_marked(out, line, false));
        GR_TRY(gr_str_add(out, "\n"));
        p->paragraph = true;
        p->first = false;
    }
done:
    return err;
}

gr_err gri_recipe_page(const char *markdown, gr_str *out)
{
    gr_err err = GR_OK;
    page_state p = {.first = true};
    GR_TRY(gr_str_add(out,
                      ".\\\" Written by \"gradus help --write-pages\" from configs/README.md.\n"
                      ".TH GRADUS\\-RECIPE 5 " GRADUS_DATE " \"gradus " GRADUS_VERSION
                      "\" \"Gradus manual\"\n.SH NAME\n"
                      "gradus\\-recipe \\- files that describe models and training runs\n"
                      ".SH DESCRIPTION\n"));
    while (*markdown) {
        const size_t size = strcspn(markdown, "\n");
        GR_TRY(add_line(&p, out, trimmed(markdown, size)));
        markdown += size + (markdown[size] == '\n');
    }
    GR_TRY(gr_str_add(out, ".SH SEE ALSO\n.BR gradus (1),\n.BR gradus\\-train (1),\n"
                           ".BR gradus\\-model (1)\n"));
done:
    return err;
}
