#include "src/base/file.h"

#include "src/base/file_private.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/// A page of a mapped file that can't be read any more is a signal, not an error: what the handler needs to name the file.
/// Files beyond the table are mapped all the same, and not named.
enum { WATCHED = 512, PATH_KEPT = 256 };
typedef struct watched {
    _Atomic uintptr_t data; ///< 0: free
    size_t size;
    char path[PATH_KEPT]; ///< its end, where it is longer
} watched;

static watched maps[WATCHED];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of those who write
static int lost_exit_code;

static void watch(const gr_file_map *map, const char *path)
{
    if (!map->data) {
        return;
    }
    const size_t length = strlen(path);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < WATCHED; i++) {
        if (!atomic_load(&maps[i].data)) {
            maps[i].size = map->size;
            snprintf(maps[i].path, PATH_KEPT, "%s",
                     length < PATH_KEPT ? path : path + length - PATH_KEPT + 1);
            atomic_store(&maps[i].data, (uintptr_t)map->data);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}

static void unwatch(const gr_file_map *map)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < WATCHED; i++) {
        if (atomic_load(&maps[i].data) == (uintptr_t)map->data) {
            atomic_store(&maps[i].data, 0);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}

static const char *path_at(uintptr_t place)
{
    for (int i = 0; i < WATCHED; i++) {
        const uintptr_t data = atomic_load(&maps[i].data);
        if (data && place >= data && place - data < maps[i].size) {
            return maps[i].path;
        }
    }
    return NULL;
}

static void say(const char *text)
{
    // Nothing can be done about words that nobody takes.
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void lost_page(int number, siginfo_t *info, void *context)
{
    (void)context;
    const char *path = path_at((uintptr_t)info->si_addr);
    if (!path) {
        signal(number, SIG_DFL); // not ours: as if nobody had asked
        return;
    }
    say("gradus: input/output error: ");
    say(path);
    say(": cannot be read any more: it was cut while it was in use, or its disk or server failed; put it right and run the command "
        "again\n");
    _exit(lost_exit_code);
}

void gr_file_map_guard(int exit_code)
{
    struct sigaction action = {.sa_sigaction = lost_page, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    lost_exit_code = exit_code;
    sigaction(SIGBUS, &action, NULL);
}

gr_err gr_file_map_open(const char *path, gr_file_map *out)
{
    gr_err err = GR_OK;
    int fd = -1;
    struct stat st;
    void *data = NULL;
    GR_TRY(gri_open_input(path, &fd, &st));
    if (st.st_size > 0) {
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            GR_TRY(gri_system_error(GRI_FIND, "map", path));
        }
    }
    *out = (gr_file_map){.data = data, .size = (size_t)st.st_size};
    watch(out, path);
done:
    gri_close_fd(&fd);
    return err;
}

void gr_file_map_close(gr_file_map *map)
{
    if (map->data) {
        unwatch(map);
        munmap((void *)(uintptr_t)map->data, map->size);
    }
    *map = (gr_file_map){0};
}

void gr_file_map_drop(const gr_file_map *map, const unsigned char *at, size_t size)
{
    GR_ASSERT(at >= map->data && size <= map->size - (size_t)(at - map->data));
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t from = ((size_t)(at - map->data) + page - 1) / page * page;
    size_t end = ((size_t)(at - map->data) + size) / page * page;
    if (from < end) {
        madvise((void *)(uintptr_t)(map->data + from), end - from, MADV_DONTNEED);
    }
}
