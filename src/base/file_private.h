#ifndef SRC_BASE_FILE_PRIVATE_H
#define SRC_BASE_FILE_PRIVATE_H

/// Shared by file.c, file_map.c and dir.c.

#include "src/base/err.h"

#include <sys/stat.h>

typedef enum gri_purpose {
    GRI_FIND, ///< an input by its name
    GRI_USE,  ///< a file that is there, or any output
} gri_purpose;

/// "PATH: cannot VERB: what errno says"; GR_ERR_MISSING for GRI_FIND where nothing of that name may be read.
GR_MUST_CHECK gr_err gri_system_error(gri_purpose purpose, const char *verb, const char *path);

/// Opens a regular file for reading, and looks at it.
GR_MUST_CHECK gr_err gri_open_input(const char *path, int *out, struct stat *st);
/// Closes and sets to -1; nothing for -1.
void gri_close_fd(int *fd);

#endif
