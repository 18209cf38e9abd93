#include "src/ops/tally.h"

#include <string.h>

const gr_tally_item *gr_tally_find(const gr_tally *tally, const char *op,
                                   const int64_t width[2])
{
    for (int i = 0; i < tally->count; i++) {
        const gr_tally_item *item = &tally->items[i];
        if (item->width[0] == width[0] && item->width[1] == width[1] &&
            strcmp(item->op, op) == 0) {
            return item;
        }
    }
    return NULL;
}

void gr_tally_end(gr_tally *tally)
{
    if (tally->open && tally->now) {
        tally->open->seconds += tally->now() - tally->since;
    }
    tally->open = NULL;
}

void gr_tally_begin(gr_tally *tally, const char *op, int64_t width0, int64_t width1,
                    double amount, double flops)
{
    const int64_t width[2] = {width0, width1};
    gr_tally_end(tally);
    const gr_tally_item *found = gr_tally_find(tally, op, width);
    if (!found) {
        GR_ASSERT(tally->count < GR_TALLY_MOST);
        tally->items[tally->count] = (gr_tally_item){.op = op, .width = {width0, width1}};
        found = &tally->items[tally->count++];
    }
    gr_tally_item *item = &tally->items[found - tally->items];
    item->calls++;
    item->amount += amount;
    item->flops += flops;
    tally->open = item;
    tally->since = tally->now ? tally->now() : 0;
}

double gr_tally_flops(const gr_tally *tally)
{
    double flops = 0;
    for (int i = 0; i < tally->count; i++) {
        flops += tally->items[i].flops;
    }
    return flops;
}
