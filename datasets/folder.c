#include "datasets/folder.h"

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/// Whether the locked file is still the one at `path`: who had the lock before may have removed it.
static bool still_there(int fd, const char *path)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

/// Locks the file of this name, made if need be. *there: it was still there then.
static gr_err try_lock(const gri_folder *f, const char *path, int *out, bool *there)
{
    gr_err err = GR_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 && errno != ENOENT) { // ENOENT: .work was just removed
        GR_FAIL(GR_ERR_IO, "%s: cannot create it: %s", path, strerror(errno));
    }
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            GR_FAIL(GR_ERR_USAGE,
                    "%s: another process is writing a data set there: wait for it, or name "
                    "another folder",
                    f->dir);
        }
        gr_log_warn("%s: this file system has no locks (%s): make sure that nobody else writes "
                    "there",
                    f->dir, strerror(errno));
    }
    *there = fd >= 0 && still_there(fd, path);
    if (*there) {
        *out = fd;
        fd = -1;
    }
done:
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

static gr_err take_lock(gri_folder *f)
{
    gr_err err = GR_OK;
    char *path = NULL;
    bool there = false;
    GR_TRY(gr_path_join(f->work, "lock", &path));
    while (!there) {
        GR_TRY(gr_dir_make(f->work));
        GR_TRY(try_lock(f, path, &f->lock, &there));
    }
done:
    GR_FREE(path);
    return err;
}

/// Whether the name is that of a file that gr_file_write had aside when its process was killed.
static bool is_aside(const char *name)
{
    return gr_starts_with(name, "manifest.json.tmp.") ||
           gr_starts_with(name, "rejects.jsonl.tmp.") ||
           gr_starts_with(name, "duplicates.jsonl.tmp.");
}

static bool is_known(const char *name, bool unfinished)
{
    bool list = strcmp(name, ".work") == 0 || strcmp(name, "rejects.jsonl") == 0 ||
                strcmp(name, "duplicates.jsonl") == 0;
    bool rest = gr_starts_with(name, "shard-") || strcmp(name, "manifest.json") == 0;
    return list || (unfinished && rest);
}

static gr_err check_contents(const gri_folder *f, bool unfinished)
{
    gr_err err = GR_OK;
    char **names = NULL, *path = NULL;
    int64_t count = 0;
    GR_TRY(gr_dir_list(f->dir, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        if (is_aside(names[i])) {
            GR_TRY(gr_path_join(f->dir, names[i], &path));
            unlink(path);
            GR_FREE(path);
        } else if (!unfinished && strcmp(names[i], "manifest.json") == 0) {
            GR_FAIL(GR_ERR_USAGE, "%s is a data set already: name a new folder", f->dir);
        } else if (!is_known(names[i], unfinished)) {
            GR_FAIL(GR_ERR_USAGE,
                    "%s is not empty (%s): name a new folder, or remove what an interrupted "
                    "run left there",
                    f->dir, names[i]);
        }
    }
done:
    GR_FREE(path);
    gr_dir_list_free(&names, count);
    return err;
}

gr_err gri_folder_claim(const char *dir, bool *unfinished, gri_folder *out)
{
    gr_err err = GR_OK;
    gri_folder f = {.lock = -1};
    char *plan = NULL;
    GR_STRDUP(f.dir, dir);
    GR_TRY(gr_path_join(dir, ".work", &f.work));
    GR_TRY(take_lock(&f));
    GR_TRY(gr_path_join(f.work, GRI_FOLDER_PLAN, &plan));
    *unfinished = gr_file_exists(plan);
    GR_TRY(check_contents(&f, *unfinished));
    *out = f;
    f = (gri_folder){.lock = -1};
done:
    if (err != GR_OK && plan && !*unfinished) {
        gri_folder_clean(&f); // nothing in it can be gone on with
    }
    gri_folder_leave(&f);
    GR_FREE(plan);
    return err;
}

void gri_folder_clean(gri_folder *folder)
{
    if (!folder->dir || folder->lock < 0) {
        return;
    }
    if (gr_dir_remove(folder->work) != GR_OK) {
        gr_log_warn("%s: cannot remove it; it may be removed by hand", folder->work);
        gr_err_clear();
    }
    rmdir(folder->dir); // fails when anything is in it, as it should
}

void gri_folder_leave(gri_folder *folder)
{
    if (folder->dir && folder->lock >= 0) {
        close(folder->lock);
    }
    GR_FREE(folder->dir);
    GR_FREE(folder->work);
    *folder = (gri_folder){.lock = -1};
}
