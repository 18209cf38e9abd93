#include "stages/checkpoint_dir.h"

#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char in_work[] = ".tmp", replaced[] = ".old";

static gr_err rename_folder(const char *from, const char *to)
{
    gr_err err = GR_OK;
    if (rename(from, to) != 0) {
        GR_FAIL(GR_ERR_IO, "cannot rename %s to %s: %s", from, to, strerror(errno));
    }
done:
    return err;
}

/// PATH with an ending, in new memory.
static gr_err name_beside(const char *path, const char *ending, char **out)
{
    char *name = gr_str_format("%s%s", path, ending);
    if (name) {
        *out = name;
    }
    return name ? GR_OK : GR_ERR_MEMORY;
}

/// What stands beside `path`.
static gr_err settle_one(const char *path)
{
    gr_err err = GR_OK;
    char *old = NULL, *temporary = NULL;
    bool there = false, left = false;
    GR_TRY(name_beside(path, replaced, &old));
    GR_TRY(name_beside(path, in_work, &temporary));
    GR_TRY(gr_path_exists(path, &there));
    GR_TRY(gr_path_exists(old, &left));
    if (left && !there) {
        GR_TRY(rename_folder(old, path));
    } else {
        GR_TRY(gr_dir_remove(old));
    }
    GR_TRY(gr_dir_remove(temporary));
done:
    GR_FREE(old);
    GR_FREE(temporary);
    return err;
}

/// Of a checkpoint, or of the model at the end of a run.
static bool is_name(const char *name, size_t length)
{
    return strncmp(name, "update-", 7) == 0 || (length == 5 && strncmp(name, "final", 5) == 0);
}

gr_err gri_checkpoint_dir_settle(const char *parent)
{
    gr_err err = GR_OK;
    char **names = NULL;
    char *path = NULL;
    int64_t count = 0;
    bool there = false;
    GR_TRY(gr_path_exists(parent, &there));
    if (!there) {
        goto done;
    }
    GR_TRY(gr_dir_list(parent, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        size_t n = strlen(names[i]), ending = sizeof in_work - 1;
        if (n > ending && is_name(names[i], n - ending) &&
            (strcmp(names[i] + n - ending, in_work) == 0 ||
             strcmp(names[i] + n - ending, replaced) == 0)) {
            names[i][n - ending] = '\0';
            GR_FREE(path);
            GR_TRY(gr_path_join(parent, names[i], &path));
            GR_TRY(settle_one(path));
        }
    }
done:
    GR_FREE(path);
    gr_dir_list_free(&names, count);
    return err;
}

gr_err gri_checkpoint_dir_begin(const char *path, char **temporary)
{
    gr_err err = GR_OK;
    char *name = NULL, *inner = NULL, *parent = NULL;
    GR_TRY(name_beside(path, in_work, &name));
    GR_TRY(gr_path_dir(path, &parent));
    GR_TRY(gri_checkpoint_dir_settle(parent));
    GR_TRY(settle_one(path)); // whatever its name
    GR_TRY(gr_path_join(name, "gradus", &inner));
    GR_TRY(gr_dir_make(inner));
    *temporary = name;
    name = NULL;
done:
    GR_FREE(inner);
    GR_FREE(parent);
    GR_FREE(name);
    return err;
}

/// In two steps, between which a kill leaves the old one as `old`.
static gr_err replace(const char *temporary, const char *path, const char *old)
{
    gr_err err = GR_OK;
    GR_TRY(rename_folder(path, old));
    err = rename_folder(temporary, path);
    if (err != GR_OK) {
        (void)rename(old, path); // if this fails, too, the next begin does it
    }
    GR_TRY(err);
done:
    return err;
}

/// Afterwards `path` is the new folder, and the one that stood there, if any, is `temporary` or `old`: at no moment is there neither.
static gr_err put_in_place(const char *temporary, const char *path, const char *old)
{
    gr_err err = GR_OK;
    if (rename(temporary, path) == 0) {
        return GR_OK; // nothing stood there
    }
    if (errno != EEXIST && errno != ENOTEMPTY) {
        GR_FAIL(GR_ERR_IO, "cannot rename %s to %s: %s", temporary, path, strerror(errno));
    }
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        return GR_OK;
    }
    if (errno != EINVAL && errno != ENOSYS) { // what network file systems say that cannot
        GR_FAIL(GR_ERR_IO, "cannot exchange %s and %s: %s", temporary, path, strerror(errno));
    }
    GR_TRY(replace(temporary, path, old));
done:
    return err;
}

/// The new one is complete, so this is no reason to stop; the next begin tries again.
static void remove_replaced(const char *path)
{
    if (gr_dir_remove(path) != GR_OK) {
        gr_log_warn("a replaced checkpoint stays: %s", gr_err_message());
        gr_err_clear();
    }
}

gr_err gri_checkpoint_dir_commit(const char *temporary, const char *path,
                                 const gri_dir_file *known, int known_count)
{
    gr_err err = GR_OK;
    char *parent = NULL, *inner = NULL, *old = NULL;
    GR_TRY(name_beside(path, replaced, &old));
    GR_TRY(gri_manifest_write(temporary, known, known_count));
    gr_failpoint(GR_AT_SAVE_MANIFEST_DONE);
    GR_TRY(gr_path_join(temporary, "gradus", &inner));
    GR_TRY(gr_dir_sync(inner));
    GR_TRY(gr_dir_sync(temporary));
    gr_failpoint(GR_AT_SAVE_FOLDER_SYNCED);
    GR_TRY(gr_path_dir(path, &parent));
    GR_TRY(put_in_place(temporary, path, old));
    gr_failpoint(GR_AT_SAVE_RENAMED);
    GR_TRY(gr_dir_sync(parent));
    gr_failpoint(GR_AT_SAVE_COMMITTED);
    remove_replaced(temporary);
    remove_replaced(old);
done:
    GR_FREE(inner);
    GR_FREE(parent);
    GR_FREE(old);
    return err;
}

gr_err gri_checkpoint_dir_remove(const char *path)
{
    gr_err err = GR_OK;
    char *temporary = NULL;
    GR_TRY(name_beside(path, in_work, &temporary));
    GR_TRY(gr_dir_remove(temporary));
    GR_TRY(rename_folder(path, temporary));
    gr_failpoint(GR_AT_SAVE_OLD_MOVED);
    GR_TRY(gr_dir_remove(temporary));
done:
    GR_FREE(temporary);
    return err;
}
