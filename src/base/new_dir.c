#include "src/base/new_dir.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/// Whether the locked folder is still the one at this path: who had the lock before may have renamed or removed it.
static bool still_there(int fd, const char *path)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

/// Locks the folder `work`; *lock stays -1 if there is none, or if it went away meanwhile. Without `must`, a file system without locks is no error.
static gr_err lock_work(const gr_new_dir *d, bool must, int *lock)
{
    gr_err err = GR_OK;
    int fd = open(d->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        goto done;
    }
    if (fd < 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot open the folder: %s", d->work, strerror(errno));
    }
    const bool taken = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!taken && errno == EWOULDBLOCK) {
        GR_FAIL(GR_ERR_USAGE,
                "%s: another process is writing it (%s): wait for that, or give another folder",
                d->path, d->work);
    }
    if (!taken && must) {
        GR_FAIL(
            GR_ERR_USAGE,
            "%s: an interrupted call left %s, or another process is writing it: if not, remove that folder",
            d->path, d->work);
    }
    if (still_there(fd, d->work)) {
        *lock = fd;
        fd = -1;
    }
done:
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

/// Removes what a killed process left.
static gr_err remove_leftover(const gr_new_dir *d)
{
    gr_err err = GR_OK;
    int lock = -1;
    GR_TRY(lock_work(d, true, &lock));
    if (lock >= 0) {
        GR_TRY(gr_dir_remove(d->work));
    }
done:
    if (lock >= 0) {
        close(lock);
    }
    return err;
}

static gr_err fill_in_place(gr_new_dir *d)
{
    gr_err err = GR_OK;
    d->in_place = true;
    GR_FREE(d->work);
    GR_STRDUP(d->work, d->path);
    GR_TRY(gr_dir_make(d->work));
done:
    return err;
}

/// Makes `work`, or moves the empty folder there.
static gr_err make_work(gr_new_dir *d)
{
    gr_err err = GR_OK;
    if (strlen(gr_path_base(d->work)) > NAME_MAX) {
        GR_TRY(fill_in_place(d));
        goto done;
    }
    GR_TRY(remove_leftover(d));
    if (!d->found) {
        GR_TRY(gr_dir_make(d->work));
    } else if (rename(d->path, d->work) != 0) {
        GR_TRY(fill_in_place(d));
    }
done:
    return err;
}

gr_err gr_new_dir_begin(const char *path, gr_new_dir *d)
{
    gr_err err = GR_OK;
    d->lock = -1;
    d->found = gr_dir_exists(path);
    if (d->found) {
        GR_TRY(gr_path_real(path, &d->path)); // a link keeps its place; so does "."
        GR_TRY(gr_dir_check_empty(d->path));
    } else if (gr_file_exists(path)) {
        GR_FAIL(GR_ERR_IO, "%s: is a file, expected a new folder", path);
    } else {
        GR_STRDUP(d->path, path);
        for (size_t n = strlen(path); n > 1 && d->path[n - 1] == '/'; n--) {
            d->path[n - 1] = '\0';
        }
    }
    d->work = gr_str_format("%s.gradus-unfinished", d->path);
    if (!d->work) {
        GR_TRY(GR_ERR_MEMORY);
    }
    while (d->lock < 0) { // again when another process took it away
        GR_TRY(make_work(d));
        GR_TRY(lock_work(d, false, &d->lock));
    }
    d->begun = true;
done:
    return err;
}

/// The finished folder gets its name.
static gr_err put_in_place(const gr_new_dir *d)
{
    gr_err err = GR_OK;
    char *parent = NULL;
    GR_TRY(gr_path_dir(d->path, &parent));
    GR_TRY(gr_dir_sync(d->work));
    if (!d->in_place && rename(d->work, d->path) != 0) {
        GR_FAIL(GR_ERR_IO, "%s is complete, but cannot be renamed to %s: %s", d->work, d->path,
                strerror(errno));
    }
    GR_TRY(gr_dir_sync(parent));
done:
    GR_FREE(parent);
    return err;
}

static gr_err empty_files(const char *path)
{
    gr_err err = GR_OK;
    char **names = NULL, *file = NULL;
    int64_t count = 0;
    GR_TRY(gr_dir_list(path, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        GR_FREE(file);
        GR_TRY(gr_path_join(path, names[i], &file));
        unlink(file);
    }
done:
    GR_FREE(file);
    gr_dir_list_free(&names, count);
    return err;
}

/// Things are as they were before.
static gr_err take_back(const gr_new_dir *d)
{
    gr_err err = GR_OK;
    if (d->in_place) {
        goto done;
    }
    if (!d->found) {
        GR_TRY(gr_dir_remove(d->work));
        goto done;
    }
    GR_TRY(empty_files(d->work));
    if (rename(d->work, d->path) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot be renamed to %s: %s", d->work, d->path,
                strerror(errno));
    }
done:
    return err;
}

gr_err gr_new_dir_end(gr_new_dir *d, gr_err err)
{
    if (d->begun && err == GR_OK) {
        err = put_in_place(d);
    } else if (d->begun) {
        char first[1024];
        snprintf(first, sizeof first, "%s", gr_err_message());
        if (take_back(d) != GR_OK) {
            (void)gr_err_set(err, __FILE__, __LINE__, __func__, "%s (then: %s)", first,
                             gr_err_message());
        }
    }
    if (d->begun && d->lock >= 0) {
        close(d->lock);
    }
    GR_FREE(d->path);
    GR_FREE(d->work);
    *d = (gr_new_dir){0};
    return err;
}
