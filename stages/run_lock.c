#include "stages/run_lock.h"

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HOLDER = 320 };

/// Who holds it, for the message; "another process" when the file does not say.
static void read_holder(int fd, char text[HOLDER])
{
    ssize_t n = pread(fd, text, HOLDER - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (text[0] == '\0') {
        snprintf(text, HOLDER, "another process");
    }
}

/// For people only, so a full disk is no reason to stop here.
static void write_holder(int fd)
{
    char host[HOLDER - 32] = "?";
    char text[HOLDER];
    (void)gethostname(host, sizeof host - 1);
    int n = snprintf(text, sizeof text, "%s pid %ld\n", host, (long)getpid());
    (void)!ftruncate(fd, 0);
    (void)!pwrite(fd, text, (size_t)n, 0);
}

static gr_err lock(int fd, const char *run, const char *path)
{
    gr_err err = GR_OK;
    // Of the open file, not of the process: closing some other descriptor of it does not give it back.
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0) {
        write_holder(fd);
    } else if (errno == EAGAIN || errno == EACCES) {
        char holder[HOLDER];
        read_holder(fd, holder);
        GR_FAIL(GR_ERR_USAGE,
                "%s is in use by %s: wait for that job, stop it, or give another --run", run,
                holder);
    } else {
        gr_log_warn("%s: the file system gives no locks (%s): nothing keeps a second job away",
                    path, strerror(errno));
    }
done:
    return err;
}

gr_err gr_run_lock_take(const char *run, int *fd)
{
    gr_err err = GR_OK;
    char *path = NULL;
    int file = -1;
    GR_TRY(gr_path_join(run, "lock", &path));
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    GR_TRY(lock(file, run, path));
    *fd = file;
    file = -1;
done:
    gr_run_lock_release(&file);
    GR_FREE(path);
    return err;
}

void gr_run_lock_release(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}
