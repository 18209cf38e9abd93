// Paths and folders; file.c has the files.
#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/file_private.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_FOLDERS = 16 };

gr_err gr_path_join(const char *dir, const char *name, char **out)
{
    gr_err err = GR_OK;
    bool alone = !dir || !dir[0] || name[0] == '/';
    const char *slash = alone || dir[strlen(dir) - 1] == '/' ? "" : "/";
    char *path = gr_str_format("%s%s%s", alone ? "" : dir, slash, name);
    if (!path) {
        GR_TRY(GR_ERR_MEMORY);
    }
    *out = path;
done:
    return err;
}

const char *gr_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

gr_err gr_path_dir(const char *path, char **out)
{
    gr_err err = GR_OK;
    char *dir = NULL;
    const char *base = gr_path_base(path);
    GR_STRDUP(dir, base == path ? "." : path);
    if (base != path) {
        size_t n = (size_t)(base - path);
        dir[n > 1 ? n - 1 : 1] = '\0'; // the slash of "/name" stays
    }
    *out = dir;
done:
    return err;
}

gr_err gr_path_real(const char *path, char **out)
{
    gr_err err = GR_OK;
    char *real = realpath(path, NULL); // the system's own memory
    if (!real) {
        GR_TRY(gri_system_error(GRI_FIND, "open", path));
    }
    GR_STRDUP(*out, real);
done:
    free(real);
    return err;
}

static gr_err make_one(const char *path)
{
    gr_err err = GR_OK;
    char *parent = NULL;
    GR_TRY(gr_path_dir(path, &parent));
    if (mkdir(path, 0777) == 0) {
        gr_failpoint(GR_AT_FOLDER_MADE);
        GR_TRY(gr_dir_sync(parent)); // or what is synced inside may be gone with the folder
    } else if (errno != EEXIST || !gr_dir_exists(path)) {
        GR_TRY(gri_system_error(GRI_USE, "make the folder", path));
    }
done:
    GR_FREE(parent);
    return err;
}

gr_err gr_dir_make(const char *path)
{
    gr_err err = GR_OK;
    char *copy = NULL;
    GR_STRDUP(copy, path);
    for (char *p = copy; *p; p++) {
        if (*p == '/' && p != copy && p[-1] != '/') {
            *p = '\0';
            GR_TRY(make_one(copy));
            *p = '/';
        }
    }
    GR_TRY(make_one(copy));
done:
    GR_FREE(copy);
    return err;
}

static gr_err sync_folder(const char *path, int (*sync)(int))
{
    gr_err err = GR_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        GR_TRY(gri_system_error(GRI_FIND, "open the folder", path));
    }
    // Some file systems have nothing to sync in a folder and say EINVAL.
    int status;
    do {
        status = sync(fd);
    } while (status != 0 && errno == EINTR);
    if (status != 0 && errno != EINVAL) {
        GR_TRY(gri_system_error(GRI_USE, "sync the folder", path));
    }
    gr_failpoint(GR_AT_FOLDER_SYNCED);
done:
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

gr_err gr_dir_sync(const char *path)
{
    return sync_folder(path, fsync);
}

gr_err gr_dir_sync_all(const char *path)
{
    return sync_folder(path, syncfs);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/// Appends a copy of `name` to the list of `*count` of `*capacity` names.
static gr_err add_name(const char *name, char ***names, int64_t *count, int64_t *capacity)
{
    gr_err err = GR_OK;
    if (*count == *capacity) {
        GR_RESIZE(*names, *capacity, 2 * *capacity + 16);
        *capacity = 2 * *capacity + 16;
    }
    GR_STRDUP((*names)[*count], name);
    *count += 1;
done:
    return err;
}

gr_err gr_dir_list(const char *path, char ***names, int64_t *count)
{
    gr_err err = GR_OK;
    char **list = NULL;
    int64_t n = 0, capacity = 0;
    struct dirent *entry;
    DIR *dir = opendir(path);
    if (!dir) {
        GR_TRY(gri_system_error(GRI_FIND, "open the folder", path));
    }
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            GR_TRY(add_name(entry->d_name, &list, &n, &capacity));
        }
    }
    if (errno) {
        GR_TRY(gri_system_error(GRI_FIND, "read the folder", path));
    }
    if (n) {
        qsort(list, (size_t)n, sizeof *list, by_bytes);
    }
    *names = list;
    *count = n;
    list = NULL;
done:
    gr_dir_list_free(&list, n);
    if (dir) {
        closedir(dir);
    }
    return err;
}

void gr_dir_list_free(char ***names, int64_t count)
{
    for (int64_t i = 0; *names && i < count; i++) {
        GR_FREE((*names)[i]);
    }
    GR_FREE(*names);
}

gr_err gr_dir_check_empty(const char *path)
{
    gr_err err = GR_OK;
    char **names = NULL;
    int64_t count = 0;
    GR_TRY(gr_dir_list(path, &names, &count));
    if (count > 0) {
        GR_FAIL(GR_ERR_USAGE, "%s is not empty (it holds \"%s\"): give a new folder", path,
                names[0]);
    }
done:
    gr_dir_list_free(&names, count);
    return err;
}

bool gr_dir_is_aside(const char *name)
{
    const char *last = strrchr(name, '.');
    size_t n = last ? (size_t)(last - name) : 0;
    return n > 4 && strncmp(last - 4, ".tmp", 4) == 0 && last[1] &&
           !last[1 + strspn(last + 1, "0123456789")];
}

gr_err gr_dir_remove_asides(const char *path)
{
    gr_err err = GR_OK;
    char **names = NULL, *file = NULL;
    int64_t count = 0;
    GR_TRY(gr_dir_list(path, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        GR_FREE(file);
        GR_TRY(gr_path_join(path, names[i], &file));
        if (gr_dir_is_aside(names[i]) && gr_file_exists(file) && unlink(file) != 0) {
            GR_TRY(gri_system_error(GRI_USE, "remove", file));
        }
    }
done:
    GR_FREE(file);
    gr_dir_list_free(&names, count);
    return err;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    int status = remove(path);
    gr_failpoint(GR_AT_ENTRY_REMOVED);
    return status;
}

gr_err gr_dir_remove(const char *path)
{
    gr_err err = GR_OK;
    struct stat st;
    if (lstat(path, &st) != 0) {
        if (errno != ENOENT) {
            GR_TRY(gri_system_error(GRI_USE, "remove", path));
        }
        goto done;
    }
    if (!S_ISDIR(st.st_mode)) {
        GR_FAIL(GR_ERR_IO, "%s: is no folder, not removed", path);
    }
    if (nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0) {
        GR_TRY(gri_system_error(GRI_USE, "remove", path));
    }
done:
    return err;
}
