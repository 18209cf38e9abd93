// Recipes: YAML with unknown content never gets past the reader in silence, and what it accepts can be run.
#include "src/base/mem.h"
#include "stages/recipe.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/gradus-fuzz-%ld.yaml",
             (long)getpid()); // the reader wants the ending
    FILE *file = fopen(path, "wb");
    GR_ASSERT(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
    int64_t used = gr_mem_used();
    gr_recipe *recipe = NULL;
    gr_err err = gr_recipe_load(path, NULL, 0, &recipe);
    GR_ASSERT((err == GR_OK) == (recipe != NULL));
    GR_ASSERT(err == GR_OK || err == GR_ERR_RECIPE);
    if (recipe) {
        GR_ASSERT(recipe->lanes >= 1 && recipe->stage_count >= 1);
    }
    gr_recipe_destroy(&recipe);
    GR_ASSERT(gr_mem_used() == used);
    unlink(path);
    return 0;
}
