#include "src/base/build.h"

extern const char gri_build_commit[]; // cmake/GradusCommit.cmake writes it

const gr_build *gr_build_get(void)
{
    static const gr_build build = {.version = GRADUS_VERSION,
                                   .commit = gri_build_commit,
                                   .compiler = GRADUS_COMPILER,
                                   .flags = GRADUS_FLAGS};
    return &build;
}
