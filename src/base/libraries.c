#include "src/base/libraries.h"

#include <jansson.h>
#include <xxhash.h>
#include <yaml.h>

gr_err gr_base_libraries(gr_str *out)
{
    unsigned xxh = XXH_versionNumber();
    return gr_str_addf(out, "jansson %s, libyaml %s, xxHash %u.%u.%u", jansson_version_str(),
                       yaml_get_version_string(), xxh / 10000, xxh / 100 % 100, xxh % 100);
}
