/// Read it from the bottom: the calls; above them what each asks.
#undef _FORTIFY_SOURCE
#include "tests/crash/io_shim.h"

#include "tests/crash/io_trace.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FDS = 4096, TEXT = 4352 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char root[PATH_MAX]; ///< "": nothing is watched
    int64_t calls, fired, fail_at;
    int number;
    bool stays, skip_syncs, no_exchange;
    char fired_at[TEXT];
    char tail[256]; ///< of files with a flipped bit
    int64_t flip_at;
    int list, trace;      ///< file descriptors
    char *open[MOST_FDS]; ///< paths of what is watched and open
    DIR *folders[16];     ///< the same for folders
    char *folder_paths[16];
} shim = {.list = -1, .trace = -1, .flip_at = -1};

/// The C library's own: REAL(open)(path, flags).
#define REAL(name) ((__typeof__(&name))real_##name())
#define DECLARE(name)                                                                          \
    static void *real_##name(void)                                                             \
    {                                                                                          \
        static void *found;                                                                    \
        return found ? found : (found = dlsym(RTLD_NEXT, #name));                              \
    }
DECLARE(open)
DECLARE(close)
DECLARE(read)
DECLARE(pread)
DECLARE(write)
DECLARE(writev)
DECLARE(pwrite)
DECLARE(fsync)
DECLARE(fdatasync)
DECLARE(syncfs)
DECLARE(ftruncate)
DECLARE(rename)
DECLARE(renameat2)
DECLARE(link)
DECLARE(unlink)
DECLARE(rmdir)
DECLARE(remove)
DECLARE(mkdir)
DECLARE(opendir)
DECLARE(readdir)
DECLARE(closedir)
DECLARE(stat)
DECLARE(lstat)
DECLARE(fstat)
DECLARE(lseek)
DECLARE(mmap)
DECLARE(fcntl)
DECLARE(nftw)

/// Absolute, without "." and doubled slashes. Links are not followed.
static void absolute(const char *path, char out[PATH_MAX])
{
    char joined[2 * PATH_MAX] = "/", *to = out;
    if (path[0] != '/' && !getcwd(joined, PATH_MAX)) {
        joined[0] = '\0';
    }
    size_t n = strlen(joined);
    snprintf(joined + n, sizeof joined - n, "/%s", path);
    for (const char *at = joined; *at; at++) {
        bool dot = at[0] == '/' && at[1] == '.' && (at[2] == '/' || !at[2]);
        if (dot) {
            at++;
        } else if (!(at[0] == '/' && (at[1] == '/' || !at[1])) && to < out + PATH_MAX - 1) {
            *to++ = *at;
        }
    }
    *to = '\0';
}

static bool is_below(const char *path)
{
    size_t n = strlen(shim.root);
    return n > 0 && strncmp(path, shim.root, n) == 0 && (path[n] == '/' || !path[n]);
}

static bool ends_with(const char *path, const char *tail)
{
    size_t n = strlen(path), m = strlen(tail);
    return m > 0 && n >= m && strcmp(path + n - m, tail) == 0;
}

static void list_call(const char *name, const char *path, bool fails)
{
    char line[TEXT + 64];
    if (shim.list < 0) {
        return;
    }
    int n = snprintf(line, sizeof line, "%lld %s %s%s\n", (long long)shim.calls, name, path,
                     fails ? " fails" : "");
    (void)!REAL(write)(shim.list, line, (size_t)n);
}

typedef enum use { PLAIN, NEEDS_ROOM, CAN_BE_SHORT } use;

/// Counts a call about `path`; whether it is to fail, with errno set, or to be short (*shorten).
static bool fails(const char *name, const char *path, use how, bool *shorten)
{
    bool now = false;
    pthread_mutex_lock(&lock);
    if (is_below(path)) {
        shim.calls++;
        now = shim.fail_at > 0 &&
              (shim.calls == shim.fail_at || (shim.stays && shim.fired > 0 && how != PLAIN));
        now = now && (shim.number != IO_SHIM_SHORT || (how == CAN_BE_SHORT && shorten));
        if (now) {
            shim.fired++;
            snprintf(shim.fired_at, sizeof shim.fired_at, "%s %s", name, path);
        }
        list_call(name, path, now);
    }
    pthread_mutex_unlock(&lock);
    if (now && shim.number == IO_SHIM_SHORT) {
        *shorten = true;
        return false;
    }
    if (now) {
        errno = shim.number;
    }
    return now;
}

static bool fails_at(const char *name, const char *path)
{
    char full[PATH_MAX];
    if (!shim.root[0]) {
        return false;
    }
    absolute(path, full);
    return fails(name, full, PLAIN, NULL);
}

static bool makes_fail_at(const char *name, const char *path)
{
    char full[PATH_MAX];
    if (!shim.root[0]) {
        return false;
    }
    absolute(path, full);
    return fails(name, full, NEEDS_ROOM, NULL);
}

/// Path of an open file that is watched; NULL: it is not.
static const char *path_of(int fd)
{
    return fd >= 0 && fd < MOST_FDS ? shim.open[fd] : NULL;
}

static bool fd_fails(const char *name, int fd, use how, bool *shorten)
{
    const char *path = path_of(fd);
    return path && fails(name, path, how, shorten);
}

static void opened(int fd, const char *path)
{
    if (fd >= 0 && fd < MOST_FDS && is_below(path)) {
        free(shim.open[fd]);
        shim.open[fd] = strdup(path);
    }
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/// One write for all of a record, so that it is whole.
static void record(io_op op, int fd, int flags, const char *path, const char *path2,
                   int64_t offset, const void *data, int64_t size)
{
    int before = errno;
    io_record r = {.when = now(),
                   .offset = offset,
                   .size = data ? size : 0,
                   .op = (int32_t)op,
                   .fd = fd,
                   .flags = flags,
                   .path_size = (int32_t)strlen(path) + 1,
                   .path2_size = (int32_t)strlen(path2) + 1,
                   .process = (int32_t)getpid()};
    const struct iovec pieces[] = {{&r, sizeof r},
                                   {(void *)(uintptr_t)path, (size_t)r.path_size},
                                   {(void *)(uintptr_t)path2, (size_t)r.path2_size},
                                   {(void *)(uintptr_t)data, (size_t)r.size}};
    pthread_mutex_lock(&lock);
    if (REAL(writev)(shim.trace, pieces, 4) !=
        (ssize_t)(sizeof r + (size_t)(r.path_size + r.path2_size + r.size))) {
        fprintf(stderr, "io_shim: the trace cannot be written\n");
        abort();
    }
    pthread_mutex_unlock(&lock);
    errno = before;
}

static void record_fd(io_op op, int fd, int64_t offset, const void *data, int64_t size)
{
    const char *path = path_of(fd);
    if (path && shim.trace >= 0) {
        record(op, fd, 0, path, "", offset, data, size);
    }
}

static void record_path(io_op op, const char *path, const char *path2)
{
    char full[PATH_MAX], full2[PATH_MAX] = "";
    if (shim.trace < 0) {
        return;
    }
    absolute(path, full);
    if (path2[0]) {
        absolute(path2, full2);
    }
    if (is_below(full)) {
        record(op, -1, 0, full, full2, 0, NULL, 0);
    }
}

/// What a reader sees of [offset, offset + size) of the file.
static void flip(const char *path, char *data, int64_t offset, int64_t size)
{
    pthread_mutex_lock(&lock);
    if (ends_with(path, shim.tail) && shim.flip_at >= offset && shim.flip_at < offset + size) {
        data[shim.flip_at - offset] ^= 4;
        shim.fired++;
    }
    pthread_mutex_unlock(&lock);
}

void io_shim_watch(const char *dir)
{
    shim.root[0] = '\0';
    if (dir) {
        absolute(dir, shim.root);
    } else {
        io_shim_flip(NULL, -1);
    }
    io_shim_fail(0, 0);
}

void io_shim_fail(int64_t at, int number)
{
    shim.calls = shim.fired = 0;
    shim.fail_at = at;
    shim.number = number;
    shim.stays = false;
    shim.fired_at[0] = '\0';
}

void io_shim_fail_on(void)
{
    shim.stays = true;
}

int64_t io_shim_calls(void)
{
    return shim.calls;
}

int64_t io_shim_fired(void)
{
    return shim.fired;
}

const char *io_shim_fired_at(void)
{
    return shim.fired_at;
}

void io_shim_flip(const char *tail, int64_t offset)
{
    snprintf(shim.tail, sizeof shim.tail, "%s", tail ? tail : "");
    shim.flip_at = offset;
    shim.fired = 0;
}

void io_shim_skip_syncs(bool skip)
{
    shim.skip_syncs = skip;
}

void io_shim_no_exchange(bool on)
{
    shim.no_exchange = on;
}

static int open_output(const char *path)
{
    int fd = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) {
        fprintf(stderr, "io_shim: cannot write %s\n", path);
        abort();
    }
    return fd;
}

void io_shim_record(const char *file)
{
    if (shim.trace >= 0) {
        (void)REAL(close)(shim.trace);
    }
    shim.trace = file ? open_output(file) : -1;
}

static void read_fault(const char *text)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {{"ENOSPC", ENOSPC},
                 {"EIO", EIO},
                 {"EDQUOT", EDQUOT},
                 {"EINTR", EINTR},
                 {"short", IO_SHIM_SHORT}};
    char *how = NULL;
    int64_t at = strtoll(text, &how, 10);
    for (size_t i = 0; *how == ':' && i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i].name);
        if (strncmp(how + 1, names[i].name, n) == 0) {
            io_shim_fail(at, names[i].number);
            shim.stays = how[1 + n] == '+';
            return;
        }
    }
    fprintf(stderr, "io_shim: GR_IO_FAIL=%s is none of mine\n", text);
    abort();
}

__attribute__((constructor)) static void read_environment(void)
{
    const char *dir = getenv("GR_IO_WATCH"), *fault = getenv("GR_IO_FAIL");
    const char *list = getenv("GR_IO_LIST"), *flips = getenv("GR_IO_FLIP");
    const char *only = getenv("GR_IO_RANK"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (!dir || (only && (!rank || strcmp(only, rank) != 0))) {
        return;
    }
    io_shim_watch(dir);
    shim.no_exchange = getenv("GR_IO_NO_EXCHANGE") != NULL;
    if (fault) {
        read_fault(fault);
    }
    if (flips && strchr(flips, ':')) {
        char tail[256];
        snprintf(tail, sizeof tail, "%.*s", (int)strcspn(flips, ":"), flips);
        io_shim_flip(tail, strtoll(strchr(flips, ':') + 1, NULL, 10));
    }
    if (list) {
        shim.list = open_output(list);
    }
}

static int open_file(const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX] = "";
    if (!shim.root[0]) {
        return REAL(open)(path, flags, mode);
    }
    absolute(path, full);
    if (fails("open", full, flags & O_CREAT ? NEEDS_ROOM : PLAIN, NULL)) {
        return -1;
    }
    int fd = REAL(open)(path, flags, mode);
    opened(fd, full);
    if (path_of(fd) && shim.trace >= 0) {
        record(IO_OPEN, fd, flags, full, "", 0, NULL, 0);
    }
    return fd;
}

/// The mode is there only where a file may be made.
#define OPEN(name)                                                                             \
    int name(const char *path, int flags, ...);                                                \
    int name(const char *path, int flags, ...)                                                 \
    {                                                                                          \
        va_list ap;                                                                            \
        va_start(ap, flags);                                                                   \
        mode_t mode = flags & O_CREAT ? (mode_t)va_arg(ap, int) : 0;                           \
        va_end(ap);                                                                            \
        return open_file(path, flags, mode);                                                   \
    }
OPEN(open)
OPEN(open64)

int close(int fd)
{
    bool bad = fd_fails("close", fd, PLAIN, NULL);
    record_fd(IO_CLOSE, fd, 0, NULL, 0);
    if (path_of(fd)) {
        free(shim.open[fd]);
        shim.open[fd] = NULL;
    }
    int status = REAL(close)(fd);
    if (bad) {
        errno = shim.number;
    }
    return bad ? -1 : status;
}

static size_t half_of(size_t size, bool shorten)
{
    return shorten && size > 1 ? size / 2 : size;
}

ssize_t read(int fd, void *data, size_t size)
{
    bool shorten = false;
    if (fd_fails("read", fd, CAN_BE_SHORT, &shorten)) {
        return -1;
    }
    off_t at = path_of(fd) ? REAL(lseek)(fd, 0, SEEK_CUR) : 0;
    ssize_t n = REAL(read)(fd, data, half_of(size, shorten));
    if (n > 0 && path_of(fd)) {
        flip(path_of(fd), data, at, n);
    }
    return n;
}

static ssize_t pread_file(int fd, void *data, size_t size, off_t offset)
{
    bool shorten = false;
    if (fd_fails("pread", fd, CAN_BE_SHORT, &shorten)) {
        return -1;
    }
    ssize_t n = REAL(pread)(fd, data, half_of(size, shorten), offset);
    if (n > 0 && path_of(fd)) {
        flip(path_of(fd), data, offset, n);
    }
    return n;
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
    return pread_file(fd, data, size, offset);
}

ssize_t pread64(int fd, void *data, size_t size, off_t offset)
{
    return pread_file(fd, data, size, offset);
}

ssize_t write(int fd, const void *data, size_t size)
{
    bool shorten = false;
    if (fd_fails("write", fd, CAN_BE_SHORT, &shorten)) {
        return -1;
    }
    ssize_t n = REAL(write)(fd, data, half_of(size, shorten));
    if (n > 0 && path_of(fd) && shim.trace >= 0) {
        record_fd(IO_WRITE, fd, REAL(lseek)(fd, 0, SEEK_CUR) - n, data, n);
    }
    return n;
}

static ssize_t pwrite_file(int fd, const void *data, size_t size, off_t offset)
{
    bool shorten = false;
    if (fd_fails("pwrite", fd, CAN_BE_SHORT, &shorten)) {
        return -1;
    }
    ssize_t n = REAL(pwrite)(fd, data, half_of(size, shorten), offset);
    if (n > 0) {
        record_fd(IO_WRITE, fd, offset, data, n);
    }
    return n;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite_file(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite_file(fd, data, size, offset);
}

static int sync_file(const char *name, int fd, int (*real)(int), io_op op)
{
    if (fd_fails(name, fd, NEEDS_ROOM, NULL)) {
        return -1;
    }
    int status = shim.skip_syncs && path_of(fd) ? 0 : real(fd);
    if (status == 0) {
        record_fd(op, fd, 0, NULL, 0);
    }
    return status;
}

int fsync(int fd)
{
    return sync_file("fsync", fd, REAL(fsync), IO_SYNC);
}

int fdatasync(int fd)
{
    return sync_file("fdatasync", fd, REAL(fdatasync), IO_SYNC);
}

int syncfs(int fd)
{
    return sync_file("syncfs", fd, REAL(syncfs), IO_SYNC_ALL);
}

static int truncate_file(int fd, off_t length)
{
    if (fd_fails("ftruncate", fd, NEEDS_ROOM, NULL)) {
        return -1;
    }
    int status = REAL(ftruncate)(fd, length);
    if (status == 0) {
        record_fd(IO_TRUNCATE, fd, length, NULL, 0);
    }
    return status;
}

int ftruncate(int fd, off_t length)
{
    return truncate_file(fd, length);
}

int ftruncate64(int fd, off_t length)
{
    return truncate_file(fd, length);
}

int rename(const char *from, const char *to)
{
    if (makes_fail_at("rename", from)) {
        return -1;
    }
    int status = REAL(rename)(from, to);
    if (status == 0) {
        record_path(IO_RENAME, from, to);
    }
    return status;
}

int renameat2(int dir, const char *from, int dir2, const char *to, unsigned flags)
{
    if (makes_fail_at("renameat2", from)) {
        return -1;
    }
    if (shim.no_exchange && flags & RENAME_EXCHANGE) {
        errno = EINVAL;
        return -1;
    }
    int status = REAL(renameat2)(dir, from, dir2, to, flags);
    if (status == 0) {
        record_path(flags & RENAME_EXCHANGE ? IO_EXCHANGE : IO_RENAME, from, to);
    }
    return status;
}

int link(const char *from, const char *to)
{
    if (makes_fail_at("link", to)) {
        return -1;
    }
    int status = REAL(link)(from, to);
    if (status == 0) {
        record_path(IO_LINK, from, to);
    }
    return status;
}

static int remove_name(const char *name, const char *path, int (*real)(const char *))
{
    if (fails_at(name, path)) {
        return -1;
    }
    int status = real(path);
    if (status == 0) {
        record_path(IO_REMOVE, path, "");
    }
    return status;
}

int unlink(const char *path)
{
    return remove_name("unlink", path, REAL(unlink));
}

int rmdir(const char *path)
{
    return remove_name("rmdir", path, REAL(rmdir));
}

int remove(const char *path)
{
    return remove_name("remove", path, REAL(remove));
}

int mkdir(const char *path, mode_t mode)
{
    if (makes_fail_at("mkdir", path)) {
        return -1;
    }
    int status = REAL(mkdir)(path, mode);
    if (status == 0) {
        record_path(IO_MKDIR, path, "");
    }
    return status;
}

int nftw(const char *path, __nftw_func_t each, int fds, int flags)
{
    return fails_at("nftw", path) ? -1 : REAL(nftw)(path, each, fds, flags);
}

static int folder_of(const DIR *dir)
{
    for (int i = 0; i < 16; i++) {
        if (shim.folders[i] == dir) {
            return i;
        }
    }
    return -1;
}

DIR *opendir(const char *path)
{
    char full[PATH_MAX];
    if (fails_at("opendir", path)) {
        return NULL;
    }
    DIR *dir = REAL(opendir)(path);
    pthread_mutex_lock(&lock);
    int i = dir && shim.root[0] ? folder_of(NULL) : -1;
    if (i >= 0) {
        absolute(path, full);
        shim.folders[i] = dir;
        shim.folder_paths[i] = strdup(full);
    }
    pthread_mutex_unlock(&lock);
    return dir;
}

struct dirent *readdir(DIR *dir)
{
    int i = folder_of(dir);
    return i >= 0 && fails("readdir", shim.folder_paths[i], PLAIN, NULL) ? NULL
                                                                         : REAL(readdir)(dir);
}

int closedir(DIR *dir)
{
    pthread_mutex_lock(&lock);
    int i = folder_of(dir);
    if (i >= 0) {
        free(shim.folder_paths[i]);
        shim.folders[i] = NULL;
    }
    pthread_mutex_unlock(&lock);
    return REAL(closedir)(dir);
}

int stat(const char *path, struct stat *st)
{
    return fails_at("stat", path) ? -1 : REAL(stat)(path, st);
}

int lstat(const char *path, struct stat *st)
{
    return fails_at("lstat", path) ? -1 : REAL(lstat)(path, st);
}

int fstat(int fd, struct stat *st)
{
    return fd_fails("fstat", fd, PLAIN, NULL) ? -1 : REAL(fstat)(fd, st);
}

off_t lseek(int fd, off_t offset, int whence)
{
    return fd_fails("lseek", fd, PLAIN, NULL) ? -1 : REAL(lseek)(fd, offset, whence);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fd_fails("mmap", fd, PLAIN, NULL)) {
        return MAP_FAILED;
    }
    void *data = REAL(mmap)(at, size, protection, flags, fd, offset);
    if (data != MAP_FAILED && path_of(fd) && ends_with(path_of(fd), shim.tail) &&
        flags & MAP_PRIVATE && mprotect(data, size, PROT_READ | PROT_WRITE) == 0) {
        flip(path_of(fd), data, offset, (int64_t)size);
    }
    return data;
}

/// Locks only.
int fcntl(int fd, int command, ...)
{
    va_list ap;
    va_start(ap, command);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    bool locks = command == F_OFD_SETLK || command == F_SETLK || command == F_SETLKW;
    return locks && fd_fails("fcntl", fd, PLAIN, NULL) ? -1
                                                       : REAL(fcntl)(fd, command, argument);
}
