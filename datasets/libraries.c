#include "datasets/libraries.h"

#include "datasets/h5.h"

#include <archive.h>

gr_err gr_datasets_libraries(gr_str *out)
{
    unsigned major = 0, minor = 0, release = 0;
    gri_h5_version(&major, &minor, &release);
    return gr_str_addf(out, "HDF5 %u.%u.%u, %s", major, minor, release,
                       archive_version_string());
}
