#ifndef SRC_CLI_PAGES_H
#define SRC_CLI_PAGES_H

/// Man pages and shell completion, written when the program is built, from the same tables that --help prints; the page of
/// recipes from configs/README.md.

#include "src/cli/help.h"

/// Writes DIR/man1/gradus.1, DIR/man1/gradus-FAMILY.1 for each first word of a command's name, and
/// DIR/gradus.bash, .zsh and .fish. `keys`: the text that explains recipes becomes DIR/man5/gradus-recipe.5; NULL: no such page.
GR_MUST_CHECK gr_err gri_pages_write(const gri_command *commands, int64_t count,
                                     const char *dir, const char *keys);

/// The table of commands, as both kinds of pages walk over it.
typedef struct gri_pages {
    const gri_command *commands;
    int64_t count;
} gri_pages;
/// Length of the first word of command i's name; its second word begins after it and a blank, if there is one.
int gri_pages_family(const gri_pages *pages, int64_t i, const char **second);
/// Whether command i is the first of its family.
bool gri_pages_begins(const gri_pages *pages, int64_t i);
/// Asks command i for its --help and hands that to `writer` (help.h).
GR_MUST_CHECK gr_err gri_pages_ask(const gri_pages *pages, int64_t i, gri_help_writer *writer,
                                   void *context);

/// Appends one man page: of the family of command i, or with i = -1 of the program.
GR_MUST_CHECK gr_err gri_man_page(const gri_pages *pages, int64_t i, gr_str *out);
/// Appends the page that a text in Markdown makes: headings, paragraphs, tables of keys (first column) with their meaning (last) and
/// perhaps a default in between; `code` and **words** become bold.
GR_MUST_CHECK gr_err gri_recipe_page(const char *markdown, gr_str *out);
/// Text as roff wants it: no hyphen instead of a minus, no line that looks like a request.
GR_MUST_CHECK gr_err gri_roff_text(gr_str *out, const char *text, size_t size);
/// The same for a text that is not at the beginning of a line.
GR_MUST_CHECK gr_err gri_roff_inside(gr_str *out, const char *text, size_t size);
/// Append one script each.
GR_MUST_CHECK gr_err gri_completion_bash(const gri_pages *pages, gr_str *out);
GR_MUST_CHECK gr_err gri_completion_zsh(const gri_pages *pages, gr_str *out);
GR_MUST_CHECK gr_err gri_completion_fish(const gri_pages *pages, gr_str *out);

#endif
