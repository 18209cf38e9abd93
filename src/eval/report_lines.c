/// What the sections share: lines of a chart as they come together, tables, members of documents.

#include "src/base/mem.h"
#include "src/eval/report_private.h"

const char gri_nats[] = "nats per target token";

void gri_put_name(gri_page *p, gri_runs runs, int64_t i)
{
    if (runs.count > 1) {
        gri_putf(p, "<i class=\"swatch c%d\"></i>", (int)(i % 8));
    }
    gri_text(p, runs.items[i].name);
}

void gri_lines_add(gri_lines *l, gri_line line)
{
    gr_err err = l->err;
    if (err != GR_OK || line.data->count == 0) {
        return;
    }
    if (l->count == l->room) {
        const int64_t room = l->room ? 2 * l->room : 16;
        GR_RESIZE(l->items, l->room, room);
        l->room = room;
    }
    l->items[l->count++] = line;
done:
    l->err = err;
}

void gri_lines_put(gri_page *p, gri_chart chart, gri_lines *l)
{
    chart.lines = l->items;
    chart.count = l->count;
    p->err = p->err ? p->err : l->err;
    gri_chart_put(p, &chart);
    l->count = 0;
}

gri_line gri_line_of(gri_runs runs, int64_t run, const gri_series *data, const char *what,
                     int what_colour, int dash)
{
    const bool several = runs.count > 1;
    return (gri_line){.data = data,
                      .label = several ? runs.items[run].name : what,
                      .more = several && dash > 0 ? what : NULL,
                      .colour = several ? (int)run : what_colour,
                      .dash = several ? dash : 0};
}

void gri_put_table(gri_page *p, gri_runs runs)
{
    gri_put(p, "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>");
    gri_put(p, runs.count > 1 ? "<th scope=\"col\">Run</th>" : "");
}

void gri_end_table(gri_page *p)
{
    gri_put(p, "</tbody></table></div>");
}

void gri_begin_row(gri_page *p, gri_runs runs, int64_t run)
{
    gri_put(p, "<tr>");
    if (runs.count > 1) {
        gri_put(p, "<td>");
        gri_put_name(p, runs, run);
        gri_put(p, "</td>");
    }
}

const char *gri_text_of(const gr_node *map, const char *key)
{
    const gr_node *n = map && map->type == GR_DOC_MAP ? gr_node_find(map, key) : NULL;
    return n && n->type == GR_DOC_STRING ? n->u.string.data : "";
}

const gr_node *gri_map_of(const gr_node *map, const char *key)
{
    const gr_node *n = map && map->type == GR_DOC_MAP ? gr_node_find(map, key) : NULL;
    return n && n->type == GR_DOC_MAP ? n : NULL;
}

const gr_node *gri_list_of(const gr_node *map, const char *key)
{
    const gr_node *n = map && map->type == GR_DOC_MAP ? gr_node_find(map, key) : NULL;
    return n && n->type == GR_DOC_LIST ? n : NULL;
}

int64_t gri_int_of(const gr_node *map, const char *key)
{
    const gr_node *n = map && map->type == GR_DOC_MAP ? gr_node_find(map, key) : NULL;
    return n && n->type == GR_DOC_INT ? n->u.integer : 0;
}

double gri_real_of(const gr_node *map, const char *key)
{
    const gr_node *n = map && map->type == GR_DOC_MAP ? gr_node_find(map, key) : NULL;
    return n && n->type == GR_DOC_REAL  ? n->u.real
           : n && n->type == GR_DOC_INT ? (double)n->u.integer
                                        : 0;
}
