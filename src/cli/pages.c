#include "src/cli/pages.h"

#include "src/base/file.h"
#include "src/base/mem.h"

#include <string.h>

int gri_pages_family(const gri_pages *pages, int64_t i, const char **second)
{
    const char *name = pages->commands[i].name;
    int length = (int)strcspn(name, " ");
    *second = name[length] ? name + length + 1 : NULL;
    return length;
}

bool gri_pages_begins(const gri_pages *pages, int64_t i)
{
    const char *second = NULL;
    int length = gri_pages_family(pages, i, &second);
    return i == 0 || strncmp(pages->commands[i].name, pages->commands[i - 1].name,
                             (size_t)length + 1) != 0;
}

gr_err gri_pages_ask(const gri_pages *pages, int64_t i, gri_help_writer *writer, void *context)
{
    char *ask[] = {"--help"};
    gri_help_redirect(writer, context);
    gr_err err = pages->commands[i].run(1, ask);
    gri_help_redirect(NULL, NULL);
    return err;
}

static gr_err write_page(const char *dir, const char *name, const gr_str *text)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(dir, name, &path));
    GR_TRY(gr_file_write(path, text->data, text->size));
done:
    GR_FREE(path);
    return err;
}

static gr_err write_man_pages(const gri_pages *pages, const char *dir)
{
    gr_err err = GR_OK;
    gr_str text = {0}, name = {0};
    GR_TRY(gr_str_addf(&name, "%s/man1", dir));
    GR_TRY(gr_dir_make(name.data));
    for (int64_t i = -1; i < pages->count; i++) {
        const char *second = NULL;
        if (i >= 0 && !gri_pages_begins(pages, i)) {
            continue;
        }
        gr_str_clear(&name);
        gr_str_clear(&text);
        int length = i < 0 ? 0 : gri_pages_family(pages, i, &second);
        GR_TRY(gr_str_addf(&name, "man1/gradus%s%.*s.1", i < 0 ? "" : "-", length,
                           i < 0 ? "" : pages->commands[i].name));
        GR_TRY(gri_man_page(pages, i, &text));
        GR_TRY(write_page(dir, name.data, &text));
    }
done:
    gr_str_fini(&text);
    gr_str_fini(&name);
    return err;
}

static gr_err write_recipe_page(const char *dir, const char *keys)
{
    gr_err err = GR_OK;
    gr_str text = {0};
    char *markdown = NULL, *folder = NULL;
    size_t size = 0;
    GR_TRY(gr_file_read(keys, 0, &markdown, &size));
    GR_TRY(gr_path_join(dir, "man5", &folder));
    GR_TRY(gr_dir_make(folder));
    GR_TRY(gri_recipe_page(markdown, &text));
    GR_TRY(write_page(folder, "gradus-recipe.5", &text));
done:
    GR_FREE(folder);
    GR_FREE(markdown);
    gr_str_fini(&text);
    return err;
}

gr_err gri_pages_write(const gri_command *commands, int64_t count, const char *dir,
                       const char *keys)
{
    static const struct {
        const char *name;
        gr_err (*add)(const gri_pages *pages, gr_str *out);
    } scripts[] = {
        {"gradus.bash", gri_completion_bash},
        {"gradus.zsh", gri_completion_zsh},
        {"gradus.fish", gri_completion_fish},
    };
    gr_err err = GR_OK;
    const gri_pages pages = {.commands = commands, .count = count};
    gr_str text = {0};
    GR_TRY(write_man_pages(&pages, dir));
    GR_TRY(keys ? write_recipe_page(dir, keys) : GR_OK);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        gr_str_clear(&text);
        GR_TRY(scripts[i].add(&pages, &text));
        GR_TRY(write_page(dir, scripts[i].name, &text));
    }
done:
    gr_str_fini(&text);
    return err;
}
