/// What a recipe names and what of it is here.

#include "stages/setup_private.h"

#include "src/base/file.h"

#include <stdio.h>
#include <string.h>

bool gri_is_there(const char *path)
{
    return gr_dir_exists(path) || gr_file_exists(path);
}

gr_err gri_note_missing(gr_setup *setup, const char *key, const char *path, const char *as)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_addf(&setup->missing, "%s: %s%s%s%s\n", key, path, as ? " (planned as " : "",
                       as ? as : "", as ? ")" : ""));
    setup->missing_count++;
done:
    return err;
}

gr_err gri_note_missing_data(gr_setup *setup, const char *path)
{
    gr_err err = GR_OK;
    gr_str line = {0};
    GR_TRY(gr_str_addf(&line, "data: %s\n", path));
    if (!setup->missing.data || !strstr(setup->missing.data, line.data)) {
        GR_TRY(gri_note_missing(setup, "data", path, NULL));
    }
done:
    gr_str_fini(&line);
    return err;
}

gr_err gri_setup_find_sizes(gr_setup *setup, gr_part part, const char **path)
{
    gr_err err = GR_OK;
    char key[32];
    const gr_recipe *recipe = setup->recipe;
    const gr_recipe_assumed *assumed = gr_recipe_assumed_model(recipe, recipe->part[part]);
    *path = recipe->part[part];
    if (!setup->exec->counts || gri_is_there(*path)) {
        goto done;
    }
    if (!assumed) {
        GR_FAIL(GR_ERR_MISSING,
                "%s: no such model directory or YAML file, and the recipe's assume.models does "
                "not say what to plan with instead",
                *path);
    }
    snprintf(key, sizeof key, "model.%s", gr_part_name(part));
    *path = assumed->config;
    GR_TRY(gri_note_missing(setup, key, assumed->path, assumed->config));
done:
    return err;
}

static bool lacks_sources(const gr_recipe_sources *sources)
{
    bool lacks = false;
    for (int64_t i = 0; i < sources->count; i++) {
        lacks = lacks || !gri_is_there(sources->items[i].path);
    }
    return lacks;
}

bool gr_setup_lacks(const gr_recipe *recipe)
{
    bool lacks = !gri_is_there(recipe->tokenizer);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        lacks = lacks || (recipe->part[p] && !gri_is_there(recipe->part[p]));
    }
    for (int64_t i = 0; i < recipe->stage_count; i++) {
        lacks = lacks || lacks_sources(&recipe->stages[i].data) ||
                lacks_sources(&recipe->stages[i].validation);
    }
    return lacks;
}
