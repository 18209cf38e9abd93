/// The section about with what a run was computed.

#include "src/eval/report_private.h"

static const gr_node *starts_of(const gri_run *run)
{
    return run->capsule ? gri_list_of(gr_doc_root(run->capsule), "starts") : NULL;
}

static void put_start_row(gri_page *p, gri_runs runs, int64_t r, const gr_node *start)
{
    const gr_node *hosts = gri_list_of(start, "hosts");
    gri_begin_row(p, runs, r);
    gri_put(p, "<th scope=\"row\">");
    gri_date(p, gri_real_of(start, "time"));
    gri_put(p, "</th><td class=\"n\">");
    gri_count(p, gri_int_of(start, "update"));
    gri_put(p, "</td><td class=\"n\">");
    gri_count(p, gri_int_of(start, "ranks"));
    gri_put(p, "&nbsp;&times;&nbsp;");
    gri_count(p, gri_int_of(start, "threads"));
    gri_put(p, "</td><td>");
    for (int64_t i = 0; hosts && i < hosts->u.list.count && i < 4; i++) {
        gri_put(p, i > 0 ? ", " : "");
        gri_text(p, gri_text_of(&hosts->u.list.items[i], "name"));
    }
    if (hosts && hosts->u.list.count > 4) {
        gri_put(p, " and ");
        gri_count(p, hosts->u.list.count - 4);
        gri_put(p, " more");
    }
    gri_put(p, "</td><td>");
    gri_text(p, gri_text_of(gri_map_of(start, "machine"), "processor"));
    gri_put(p, "</td><td>");
    gri_text(p, gri_text_of(start, "kernel"));
    gri_put(p, ", ");
    gri_text(p, gri_text_of(start, "precision"));
    gri_putf(p, "</td><td class=\"n\">%.4g</td><td>", gri_real_of(start, "peak") / 1e9);
    gri_text(p, gri_text_of(gri_map_of(start, "environment"), "SLURM_JOB_ID"));
    gri_put(p, "</td></tr>");
}

/// All members of a map, as a list of definitions; what lies deeper as JSON.
static void put_map(gri_page *p, const gr_node *map)
{
    gri_put(p, "<dl class=\"facts\">");
    for (int64_t i = 0; i < map->u.list.count; i++) {
        const gr_node *n = &map->u.list.items[i];
        gri_put(p, "<dt>");
        gri_text(p, n->key);
        gri_put(p, "</dt><dd>");
        if (n->type == GR_DOC_STRING) {
            gri_text(p, n->u.string.data);
        } else if (n->type == GR_DOC_MAP) {
            put_map(p, n);
        } else {
            gr_json json = {0};
            gr_json_list_begin(&json, NULL);
            gr_node copy = *n;
            copy.key = NULL;
            gr_node_write(&json, &copy);
            gr_json_list_end(&json);
            p->err = p->err ? p->err : gr_json_finish(&json);
            if (p->err == GR_OK) {
                json.text.data[json.text.size - 1] = '\0'; // the list around it
                gri_text(p, json.text.data + 1);
            }
            gr_json_fini(&json);
        }
        gri_put(p, "</dd>");
    }
    gri_put(p, "</dl>");
}

void gri_put_starts(gri_page *p, gri_runs runs)
{
    gri_put(
        p,
        "<section id=\"starts\"><h2>Starts</h2><p>With what the run was computed, each time it was started.</p>");
    gri_put_table(p, runs);
    gri_put(
        p,
        "<th scope=\"col\">Started</th><th scope=\"col\" class=\"n\">At step</th><th scope=\"col\" class=\"n\">Ranks &times; threads</th>"
        "<th scope=\"col\">Hosts</th><th scope=\"col\">Processor</th><th scope=\"col\">Kernels</th><th scope=\"col\" class=\"n\">Peak, GFLOP/s</th>"
        "<th scope=\"col\">Slurm job</th></tr></thead><tbody>");
    int64_t rows = 0;
    for (int64_t r = 0; r < runs.count; r++) {
        const gr_node *starts = starts_of(&runs.items[r]);
        for (int64_t i = 0; starts && i < starts->u.list.count; i++, rows++) {
            put_start_row(p, runs, r, &starts->u.list.items[i]);
        }
    }
    gri_put(p, rows == 0 ? "<tr><td colspan=\"9\">There is no capsule.json.</td></tr>" : "");
    gri_end_table(p);
    for (int64_t r = 0; r < runs.count; r++) {
        const gr_node *starts = starts_of(&runs.items[r]);
        const int64_t count = starts ? starts->u.list.count : 0;
        if (count > 0 && starts->u.list.items[count - 1].type == GR_DOC_MAP) {
            gri_put(p, "<details><summary>The last start");
            if (runs.count > 1) {
                gri_put(p, " of ");
                gri_put_name(p, runs, r);
            }
            gri_put(p, ", in full</summary>");
            put_map(p, &starts->u.list.items[count - 1]);
            gri_put(p, "</details>");
        }
    }
    gri_put(p, "</section>");
}
