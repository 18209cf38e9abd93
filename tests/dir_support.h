#ifndef TESTS_DIR_SUPPORT_H
#define TESTS_DIR_SUPPORT_H

/// Folders and files of a test, named in memory that is used again after a few calls.

#include "src/base/file.h"
#include "tests/check.h"

#include <stdio.h>
#include <string.h>

/// "SCRATCH/NAME" as an existing empty folder; several may be in use.
static inline const char *fresh_dir(const char *name)
{
    static char paths[8][1024];
    static int turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", gr_test_dir(), name);
    GR_CHECK_OK(gr_dir_remove(path));
    GR_CHECK_OK(gr_dir_make(path));
    return path;
}

/// "DIR/NAME"; several may be in use.
static inline const char *in_dir(const char *dir, const char *name)
{
    static char paths[4][1100];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static inline void write_text(const char *dir, const char *name, const char *text)
{
    GR_CHECK_OK(gr_file_write(in_dir(dir, name), text, strlen(text)));
}

#endif
