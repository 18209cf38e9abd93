#include "stages/flip.h"

#include "src/base/log.h"
#include "src/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"", "gradient", "sum", "weights"};

gr_err gr_flip_read(const gr_params *params, gr_flip *out)
{
    gr_err err = GR_OK;
    const char *text = getenv("GR_FLIP");
    char kind[16] = "", tensor[256] = "";
    long long place = 0, update = 0, element = 0;
    int bit = 0, end = 0;
    *out = (gr_flip){.kind = GR_FLIP_NONE};
    if (!text) {
        goto done;
    }
    if (sscanf(text, "%15[^:]:%lld:%lld:%255[^:]:%lld:%d%n", kind, &place, &update, tensor,
               &element, &bit, &end) == 6 &&
        !text[end]) {
        for (int k = GR_FLIP_GRADIENT; k <= GR_FLIP_WEIGHTS; k++) {
            out->kind = strcmp(kind, kinds[k]) == 0 ? (gr_flip_kind)k : out->kind;
        }
    }
    const gr_param *p = gr_params_find(params, tensor);
    if (out->kind == GR_FLIP_NONE || !p || element < 0 || element >= p->count || bit < 0 ||
        bit > 31) {
        out->kind = GR_FLIP_NONE;
        GR_FAIL(
            GR_ERR_USAGE,
            "GR_FLIP=%s: expected gradient:LANE, sum:RANK or weights:RANK, then :UPDATE:TENSOR:ELEMENT:BIT "
            "of a tensor of the model%s",
            text, p ? "" : ", and it has none of that name");
    }
    out->place = place;
    out->update = update;
    out->tensor = p;
    out->element = element;
    out->bit = bit;
done:
    return err;
}

void gr_flip_apply(const gr_flip *flip, gr_flip_kind kind, int64_t place, int64_t update,
                   float *values)
{
    if (!flip || flip->kind != kind || flip->place != place || flip->update != update ||
        !values) {
        return;
    }
    uint32_t bits = 0;
    float *at = values + flip->tensor->offset + flip->element;
    memcpy(&bits, at, sizeof bits);
    bits ^= UINT32_C(1) << flip->bit;
    memcpy(at, &bits, sizeof bits);
    gr_progress_end();
    gr_log_warn("GR_FLIP: update %lld, %s of %s %lld: bit %d of element %lld of %s is flipped",
                (long long)update, kinds[kind], kind == GR_FLIP_GRADIENT ? "lane" : "rank",
                (long long)place, flip->bit, (long long)flip->element, flip->tensor->name);
}
