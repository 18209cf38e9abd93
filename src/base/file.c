#include "src/base/file.h"

#include "src/base/failpoint.h"
#include "src/base/file_private.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_PIECE = 1 << 17, WRITE_PIECE = 1 << 30 };

/// What names no file that we may read; everything else is trouble with the machine.
static bool is_bad_name(int number)
{
    return number == ENOENT || number == ENOTDIR || number == ELOOP || number == ENAMETOOLONG ||
           number == EACCES;
}

gr_err gr_file_open_code(void)
{
    return errno == EMFILE || errno == ENFILE ? GR_ERR_FAILED : GR_ERR_IO;
}

gr_err gri_system_error(gri_purpose purpose, const char *verb, const char *path)
{
    gr_err err = GR_OK;
    const gr_err code = errno == ENOMEM                             ? GR_ERR_MEMORY
                        : purpose == GRI_FIND && is_bad_name(errno) ? GR_ERR_MISSING
                                                                    : gr_file_open_code();
    GR_FAIL(code, "%s: cannot %s: %s", path, verb, strerror(errno));
done:
    return err;
}

bool gr_file_exists(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        return !S_ISDIR(st.st_mode);
    }
    return (errno != ENOENT && errno != ENOTDIR) || lstat(path, &st) == 0;
}

bool gr_dir_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

gr_err gr_path_exists(const char *path, bool *there)
{
    gr_err err = GR_OK;
    struct stat st;
    bool found = lstat(path, &st) == 0;
    if (!found && errno != ENOENT && errno != ENOTDIR) {
        GR_TRY(gri_system_error(GRI_USE, "look at", path));
    }
    *there = found;
done:
    return err;
}

void gri_close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/// Opens for reading and tells what is there; refuses all but regular files. Without O_NONBLOCK a named pipe
/// would keep us waiting for its writer before we could see what it is.
gr_err gri_open_input(const char *path, int *out, struct stat *st)
{
    gr_err err = GR_OK;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, st) != 0) {
        GR_TRY(gri_system_error(GRI_FIND, "open", path));
    }
    if (S_ISDIR(st->st_mode)) {
        GR_FAIL(GR_ERR_IO, "%s: is a folder, expected a file", path);
    }
    if (!S_ISREG(st->st_mode)) {
        GR_FAIL(GR_ERR_IO, "%s: is a pipe or a device, expected a regular file", path);
    }
    *out = fd;
    fd = -1;
done:
    gri_close_fd(&fd);
    return err;
}

static gr_err read_some(int fd, const char *path, void *data, size_t size, size_t *got)
{
    gr_err err = GR_OK;
    ssize_t n;
    do {
        n = read(fd, data, size);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        GR_TRY(gri_system_error(GRI_FIND, "read", path));
    }
    *got = (size_t)n;
done:
    return err;
}

static gr_err write_all(int fd, const char *path, const void *data, size_t size)
{
    gr_err err = GR_OK;
    const char *bytes = data;
    while (size) {
        ssize_t n = write(fd, bytes, size < WRITE_PIECE ? size : WRITE_PIECE);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            GR_TRY(gri_system_error(GRI_USE, "write", path));
        }
        if (n == 0) {
            GR_FAIL(GR_ERR_IO, "%s: nothing more can be written", path);
        }
        bytes += n;
        size -= (size_t)n;
    }
done:
    return err;
}

/// An interrupted close has closed.
static gr_err close_output(int *fd, const char *path)
{
    gr_err err = GR_OK;
    int old = *fd;
    *fd = -1;
    if (close(old) != 0 && errno != EINTR) {
        GR_TRY(gri_system_error(GRI_USE, "close", path));
    }
done:
    return err;
}

/// An interrupted sync says nothing of the data; any other failure is final.
static gr_err sync_output(int fd, const char *path)
{
    gr_err err = GR_OK;
    int status;
    do {
        status = fsync(fd);
    } while (status != 0 && errno == EINTR);
    if (status != 0) {
        GR_TRY(gri_system_error(GRI_USE, "sync", path));
    }
done:
    return err;
}

gr_err gr_file_sync_close(int *fd, const char *path)
{
    gr_err err = GR_OK;
    GR_TRY(sync_output(*fd, path));
    GR_TRY(close_output(fd, path));
done:
    gri_close_fd(fd);
    return err;
}

static gr_err too_large(const char *path, size_t max_size)
{
    gr_err err = GR_OK;
    GR_FAIL(GR_ERR_DATA, "%s: larger than %zu bytes, the most expected here", path, max_size);
done:
    return err;
}

// The size in the folder is only a first guess: it is 0 for files of /proc.
gr_err gr_file_open(const char *path, FILE **out)
{
    gr_err err = GR_OK;
    struct stat st;
    int fd = -1;
    GR_TRY(gri_open_input(path, &fd, &st));
    *out = fdopen(fd, "r");
    if (!*out) {
        GR_TRY(gri_system_error(GRI_FIND, "open", path));
    }
    fd = -1;
done:
    gri_close_fd(&fd);
    return err;
}

gr_err gr_file_read(const char *path, size_t max_size, char **data, size_t *size)
{
    gr_err err = GR_OK;
    int fd = -1;
    struct stat st;
    char *bytes = NULL;
    size_t used = 0;
    GR_TRY(gri_open_input(path, &fd, &st));
    if (max_size && st.st_size > 0 && (size_t)st.st_size > max_size) {
        GR_TRY(too_large(path, max_size));
    }
    size_t capacity = (size_t)st.st_size + 2; // one beyond the end, to see the end, and the NUL
    GR_ALLOC(bytes, capacity);
    for (size_t got = 1; got != 0; used += got) {
        if (used + 1 == capacity) {
            GR_RESIZE(bytes, capacity, 2 * capacity + COPY_PIECE);
            capacity = 2 * capacity + COPY_PIECE;
        }
        GR_TRY(read_some(fd, path, bytes + used, capacity - 1 - used, &got));
        if (max_size && used + got > max_size) {
            GR_TRY(too_large(path, max_size));
        }
    }
    bytes[used] = '\0';
    *data = bytes;
    *size = used;
    bytes = NULL;
done:
    GR_FREE(bytes);
    gri_close_fd(&fd);
    return err;
}

gr_err gr_file_target(const char *path, char **out)
{
    gr_err err = GR_OK;
    struct stat st;
    bool there = stat(path, &st) == 0;
    if (there && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        GR_FAIL(GR_ERR_IO, "%s: is a pipe or a device, expected a file or a new name", path);
    }
    if (there && lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        GR_TRY(gr_path_real(path, out));
    } else {
        GR_STRDUP(*out, path);
    }
done:
    return err;
}

gr_err gr_file_aside_begin(const char *path, gr_file_aside *out)
{
    gr_err err = GR_OK;
    gr_file_aside a = {.fd = -1};
    GR_TRY(gr_file_target(path, &a.path));
    a.aside = gr_str_format("%s.tmp.%ld", a.path, (long)getpid());
    if (!a.aside) {
        GR_TRY(GR_ERR_MEMORY);
    }
    a.fd = open(a.aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (a.fd < 0) {
        GR_TRY(gri_system_error(GRI_USE, "create", a.aside));
    }
    gr_failpoint(GR_AT_FILE_CREATED);
    *out = a;
    a = (gr_file_aside){.fd = -1};
done:
    GR_FREE(a.aside);
    GR_FREE(a.path);
    return err;
}

gr_err gr_file_aside_commit(gr_file_aside *a, bool sync)
{
    gr_err err = GR_OK;
    char *folder = NULL;
    gr_failpoint(GR_AT_FILE_WRITTEN);
    GR_TRY(gr_path_dir(a->path, &folder));
    GR_TRY(sync ? gr_file_sync_close(&a->fd, a->aside) : close_output(&a->fd, a->aside));
    gr_failpoint(GR_AT_FILE_SYNCED);
    if (rename(a->aside, a->path) != 0) {
        GR_TRY(gri_system_error(GRI_USE, "put the new file in place", a->path));
    }
    GR_FREE(a->aside);
    gr_failpoint(GR_AT_FILE_RENAMED);
    if (sync) {
        GR_TRY(gr_dir_sync(folder));
    }
    gr_failpoint(GR_AT_FILE_DONE);
done:
    GR_FREE(folder);
    return err;
}

void gr_file_aside_fini(gr_file_aside *a)
{
    gri_close_fd(&a->fd);
    if (a->aside) {
        unlink(a->aside);
    }
    GR_FREE(a->aside);
    GR_FREE(a->path);
}

static gr_err replace_file(const char *path, const void *data, size_t size, bool sync)
{
    gr_err err = GR_OK;
    gr_file_aside a = {.fd = -1};
    GR_TRY(gr_file_aside_begin(path, &a));
    GR_TRY(write_all(a.fd, a.aside, data, size));
    GR_TRY(gr_file_aside_commit(&a, sync));
done:
    gr_file_aside_fini(&a);
    return err;
}

gr_err gr_file_write(const char *path, const void *data, size_t size)
{
    return replace_file(path, data, size, true);
}

gr_err gr_file_write_unsynced(const char *path, const void *data, size_t size)
{
    return replace_file(path, data, size, false);
}

gr_err gr_file_append(const char *path, const void *data, size_t size)
{
    gr_err err = GR_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) {
        GR_TRY(gri_system_error(GRI_USE, "open", path));
    }
    gr_failpoint(GR_AT_APPEND_OPENED);
    GR_TRY(write_all(fd, path, data, size));
    gr_failpoint(GR_AT_APPENDED);
    GR_TRY(close_output(&fd, path));
done:
    gri_close_fd(&fd);
    return err;
}

static gr_err copy_bytes(int in, const char *from, int out, const char *to)
{
    gr_err err = GR_OK;
    char *piece = NULL;
    size_t got = 0;
    GR_ALLOC(piece, COPY_PIECE);
    do {
        GR_TRY(read_some(in, from, piece, COPY_PIECE, &got));
        GR_TRY(write_all(out, to, piece, got));
    } while (got);
done:
    GR_FREE(piece);
    return err;
}

gr_err gr_file_copy(const char *from, const char *to)
{
    gr_err err = GR_OK;
    int in = -1;
    gr_file_aside out = {.fd = -1};
    struct stat source, target;
    GR_TRY(gri_open_input(from, &in, &source));
    if (stat(to, &target) == 0 && target.st_dev == source.st_dev &&
        target.st_ino == source.st_ino) {
        GR_FAIL(GR_ERR_IO, "%s and %s are the same file", from, to);
    }
    GR_TRY(gr_file_aside_begin(to, &out));
    GR_TRY(copy_bytes(in, from, out.fd, out.aside));
    GR_TRY(gr_file_aside_commit(&out, true));
done:
    gri_close_fd(&in);
    gr_file_aside_fini(&out);
    return err;
}

gr_err gr_file_pread(int fd, const char *path, void *data, size_t size, int64_t offset)
{
    gr_err err = GR_OK;
    size_t done_bytes = 0;
    while (done_bytes < size) {
        ssize_t n = pread(fd, (char *)data + done_bytes, size - done_bytes,
                          (off_t)(offset + (int64_t)done_bytes));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            GR_TRY(gri_system_error(GRI_USE, "read", path));
        }
        if (n == 0) {
            GR_FAIL(GR_ERR_IO, "%s: ends after %zu of the %zu bytes expected at offset %lld",
                    path, done_bytes, size, (long long)offset);
        }
        done_bytes += (size_t)n;
    }
done:
    return err;
}

gr_err gr_file_pwrite(int fd, const char *path, const void *data, size_t size, int64_t offset)
{
    gr_err err = GR_OK;
    size_t done_bytes = 0;
    while (done_bytes < size) {
        ssize_t n = pwrite(fd, (const char *)data + done_bytes, size - done_bytes,
                           (off_t)(offset + (int64_t)done_bytes));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            GR_TRY(gri_system_error(GRI_USE, "write", path));
        }
        if (n == 0) {
            GR_FAIL(GR_ERR_IO, "%s: nothing more can be written at offset %lld", path,
                    (long long)(offset + (int64_t)done_bytes));
        }
        done_bytes += (size_t)n;
    }
    gr_failpoint(GR_AT_PIECE_WRITTEN);
done:
    return err;
}
