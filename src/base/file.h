#ifndef SRC_BASE_FILE_H
#define SRC_BASE_FILE_H

/// Files and folders. Errors name the path and what the system said; an input that is missing or
/// whose name cannot be followed (permissions, a ring of links) is GR_ERR_MISSING, everything else GR_ERR_IO.

#include "src/base/err.h"

#include <stdint.h>
#include <stdio.h>

/// "DIR/NAME" in new memory (GR_FREE); NAME alone when it is absolute or DIR is "" or NULL.
GR_MUST_CHECK gr_err gr_path_join(const char *dir, const char *name, char **out);
/// The code for a file that cannot be opened, from errno: GR_ERR_FAILED where there are too many open files, since then the file is not to
/// blame, else GR_ERR_IO.
gr_err gr_file_open_code(void);

/// Last component, a pointer into `path`.
const char *gr_path_base(const char *path);
/// Folder of `path` in new memory ("." if it has none).
GR_MUST_CHECK gr_err gr_path_dir(const char *path, char **out);
/// Absolute path of what is there, without links, in new memory.
GR_MUST_CHECK gr_err gr_path_real(const char *path, char **out);

/// Whether anything but a folder is there. What cannot be looked at counts, a link that leads nowhere too: who opens it gets
/// the error, where "absent" would mean defaults.
bool gr_file_exists(const char *path);
bool gr_dir_exists(const char *path);
/// Whether anything is there. Only "no such file" is no: what cannot be looked at (permissions, a broken disk) is an error, for those who
/// would begin anew where nothing is.
GR_MUST_CHECK gr_err gr_path_exists(const char *path, bool *there);
/// The whole file in new memory with a NUL behind it that `size` does not count (GR_FREE).
/// Refuses folders, pipes and devices and, with GR_ERR_DATA, files larger than `max_size` (0: no limit).
GR_MUST_CHECK gr_err gr_file_read(const char *path, size_t max_size, char **data, size_t *size);
/// A stream over the file for reading; the same refusals. Close it with fclose.
GR_MUST_CHECK gr_err gr_file_open(const char *path, FILE **out);
/// Where a file of this name is to be put, in new memory: PATH, or the file that a link leads to. Refuses an existing pipe or
/// device, which a renamed file would replace (/dev/null, say).
GR_MUST_CHECK gr_err gr_file_target(const char *path, char **out);
/// A file in the making: written aside as PATH.tmp.PID, then put in place of PATH, so that there is the old file or the new one.
///   gr_file_aside a = {.fd = -1};
///   GR_TRY(gr_file_aside_begin(path, &a)); write to a.fd; GR_TRY(gr_file_aside_commit(&a, true)); done: gr_file_aside_fini(&a);
typedef struct gr_file_aside {
    int fd;
    char *path, *aside; ///< owned; `aside` is for messages
} gr_file_aside;
GR_MUST_CHECK gr_err gr_file_aside_begin(const char *path, gr_file_aside *out);
/// Syncs (if asked), renames, syncs the folder.
GR_MUST_CHECK gr_err gr_file_aside_commit(gr_file_aside *aside, bool sync);
/// Removes what was not put in place.
void gr_file_aside_fini(gr_file_aside *aside);
/// The whole file so.
GR_MUST_CHECK gr_err gr_file_write(const char *path, const void *data, size_t size);
/// The same without the syncs: safe from a kill of the process, not from a crash of the machine, after which the file may be short or
/// full of zeros.
GR_MUST_CHECK gr_err gr_file_write_unsynced(const char *path, const void *data, size_t size);
/// Appends without a sync, in one write call unless the system takes less at a time; creates the file. A failure may leave a part.
GR_MUST_CHECK gr_err gr_file_append(const char *path, const void *data, size_t size);
/// Copies a file; `to` is written as gr_file_write does it.
GR_MUST_CHECK gr_err gr_file_copy(const char *from, const char *to);

/// Exactly `size` bytes at `offset`, going on after short counts and EINTR. `path` is for messages.
GR_MUST_CHECK gr_err gr_file_pread(int fd, const char *path, void *data, size_t size,
                                   int64_t offset);
GR_MUST_CHECK gr_err gr_file_pwrite(int fd, const char *path, const void *data, size_t size,
                                    int64_t offset);

/// Syncs what was written and closes; sets *fd to -1. Both may be the first to tell of a full or broken disk. After a sync that failed the
/// kernel may have dropped the data and will not tell again: nobody syncs once more, the file is abandoned.
GR_MUST_CHECK gr_err gr_file_sync_close(int *fd, const char *path);

/// A whole file mapped for reading; `data` is NULL for an empty file. unmap accepts a zeroed struct.
typedef struct gr_file_map {
    const unsigned char *data; ///< owned by the mapping, page-aligned
    size_t size;
} gr_file_map;
GR_MUST_CHECK gr_err gr_file_map_open(const char *path, gr_file_map *out);
void gr_file_map_close(gr_file_map *map);
/// A mapped file that is cut, or whose disk fails, is a SIGBUS to whoever reads it. From here on the process then says which file it
/// was and ends with this exit code. For a program; a library leaves signals alone.
void gr_file_map_guard(int exit_code);
/// Gives back the memory of `size` bytes at `at` inside the map, which were read and are not needed soon; they
/// are read from the file again when they are.
void gr_file_map_drop(const gr_file_map *map, const unsigned char *at, size_t size);

/// Creates the folder and its parents; an existing folder is fine.
GR_MUST_CHECK gr_err gr_dir_make(const char *path);
/// Syncs the folder's entries to disk.
GR_MUST_CHECK gr_err gr_dir_sync(const char *path);
/// Syncs all that this machine wrote to the file system in which the folder lies: one call for many files.
GR_MUST_CHECK gr_err gr_dir_sync_all(const char *path);
/// Names in the folder without "." and "..", sorted by bytes. Free each name and the list.
GR_MUST_CHECK gr_err gr_dir_list(const char *path, char ***names, int64_t *count);
void gr_dir_list_free(char ***names, int64_t count);
/// GR_ERR_USAGE for a folder that holds anything.
GR_MUST_CHECK gr_err gr_dir_check_empty(const char *path);
/// Removes the files NAME.tmp.PID that gr_file_write leaves in the folder when its process is killed. Nobody else may be writing there.
GR_MUST_CHECK gr_err gr_dir_remove_asides(const char *path);
/// Whether that is the name of one.
bool gr_dir_is_aside(const char *name);
/// Removes the folder and all below it, following no links; a missing one is fine.
GR_MUST_CHECK gr_err gr_dir_remove(const char *path);

#endif
