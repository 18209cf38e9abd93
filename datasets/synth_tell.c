#include "datasets/synth_task.h"

/// Tenths of the side, for a place in words.
static int tenth(int at)
{
    return at * 10 / GRI_SCENE;
}

static gr_err tell_word(const char *word, gr_str *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(out, "word"));
    for (; *word; word++) { // letter by letter, as an eye would meet them
        GR_TRY(gr_str_addf(out, " %c", *word));
    }
done:
    return err;
}

static gr_err tell_values(const gri_mark *m, const char *kind, gr_str *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_addf(out, "%s %s", gri_colour_names[m->colour], kind));
    for (int i = 0; i < m->count; i++) {
        GR_TRY(gr_str_addf(out, " %d", m->value[i]));
    }
done:
    return err;
}

static gr_err tell_mark(const gri_mark *m, gr_str *out)
{
    switch (m->kind) {
    case GRI_MARK_WORD:
        return tell_word(m->word, out);
    case GRI_MARK_BAR:
        return tell_values(m, "bar", out);
    case GRI_MARK_LINE:
        return tell_values(m, "line", out);
    case GRI_MARK_SHAPE:
        break;
    }
    return gr_str_addf(out, "%s %s %s %s at %d %d", gri_size_name(m),
                       gri_texture_names[m->texture], gri_colour_names[m->colour],
                       gri_shape_names[m->shape], tenth(m->x), tenth(m->y));
}

gr_err gri_scene_tell(const gri_problem *problem, gr_str *out)
{
    gr_err err = GR_OK;
    for (int i = 0; i < problem->count; i++) {
        GR_TRY(gr_str_add(out, i > 0 ? "; " : ""));
        GR_TRY(tell_mark(&problem->marks[i], out));
    }
    GR_TRY(gr_str_add(out, "."));
done:
    return err;
}
