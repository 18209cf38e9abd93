#include "src/ops/libraries.h"

#include "src/ops/exec.h"

#include <cblas.h>
#include <string.h>

gr_err gr_ops_libraries(gr_str *out)
{
    const char *text = openblas_get_config();
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == ' ') {
        size--;
    }
    gr_err err = GR_OK;
    GR_TRY(gr_str_add_bytes(out, text, size));
    if (gr_onednn_version()) {
        GR_TRY(gr_str_addf(out, ", oneDNN %s", gr_onednn_version()));
    }
done:
    return err;
}
