#include "src/ops/libraries.h"

#include <cblas.h>
#include <string.h>

gr_err gr_ops_libraries(gr_str *out)
{
    const char *text = openblas_get_config();
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == ' ') {
        size--;
    }
    return gr_str_add_bytes(out, text, size);
}
