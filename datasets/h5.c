#include "datasets/h5.h"

#include "src/base/file.h"
#include "src/base/mem.h"

#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 1 << 20, REASON_SIZE = 256 };

struct gri_h5 {
    char *path;
    hid_t file;   ///< -1 once closed
    gr_err fault; ///< code of the library's failures
    bool torn;    ///< a write failed: see gri_h5_destroy
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void enter(void)
{
    pthread_mutex_lock(&lock);
    H5dont_atexit(); // must be before all else; see gri_h5_destroy
    // Builds with thread support keep this setting per thread, so it is made on every entry.
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void leave(void)
{
    pthread_mutex_unlock(&lock);
}

void gri_h5_version(unsigned *major, unsigned *minor, unsigned *release)
{
    enter();
    H5get_libversion(major, minor, release);
    leave();
}

/// One line of the innermost entry: of a failed system call, what the system said.
static herr_t first_of_stack(unsigned n, const H5E_error2_t *entry, void *text)
{
    if (n == 0 && entry->desc) {
        static const char before[] = "error message = '";
        const char *system = strstr(entry->desc, before);
        const char *said = system ? system + sizeof before - 1 : entry->desc;
        snprintf(text, REASON_SIZE, "%.*s", (int)strcspn(said, system ? "'\n" : "\n"), said);
    }
    return 0;
}

/// An error with the innermost entry of the library's stack, which says what was really wrong.
static gr_err complain(gri_h5 *h5, const char *what, const char *name)
{
    gr_err err = GR_OK;
    char text[REASON_SIZE] = "no reason given";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_of_stack, text);
    h5->torn = h5->fault == GR_ERR_IO;
    GR_FAIL(h5->fault, "%s: %s%s failed in HDF5: %s", h5->path, what, name, text);
done:
    return err;
}

#define H5_TRY(call, what, name)                                                               \
    do {                                                                                       \
        if ((call) < 0) {                                                                      \
            GR_TRY(complain(h5, (what), (name)));                                              \
        }                                                                                      \
    } while (0)

static hid_t disk_type(gri_h5_type type)
{
    return type == GRI_H5_U8    ? H5T_STD_U8LE
           : type == GRI_H5_I32 ? H5T_STD_I32LE
                                : H5T_STD_U64LE;
}

static hid_t memory_type(gri_h5_type type)
{
    return type == GRI_H5_U8    ? H5T_NATIVE_UINT8
           : type == GRI_H5_I32 ? H5T_NATIVE_INT32
                                : H5T_NATIVE_UINT64;
}

static hid_t access_without_locks(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(access, false, true);
#endif
    return access;
}

static gr_err open_file(const char *path, bool create, gri_h5 **out)
{
    gr_err err = GR_OK;
    gri_h5 *h5 = NULL;
    enter();
    hid_t access = access_without_locks();
    GR_ALLOC(h5, 1);
    h5->file = -1;
    h5->fault = create ? GR_ERR_IO : GR_ERR_DATA;
    GR_STRDUP(h5->path, path);
    h5->file = create ? H5Fcreate(path, H5F_ACC_EXCL, H5P_DEFAULT, access)
                      : H5Fopen(path, H5F_ACC_RDONLY, access);
    H5_TRY(h5->file, create ? "creating" : "opening", "");
    *out = h5;
    h5 = NULL;
done:
    H5Pclose(access);
    leave();
    gri_h5_destroy(&h5);
    return err;
}

gr_err gri_h5_create(const char *path, gri_h5 **out)
{
    return open_file(path, true, out);
}

gr_err gri_h5_open(const char *path, gri_h5 **out)
{
    return open_file(path, false, out);
}

gr_err gri_h5_finish(gri_h5 *h5)
{
    gr_err err = GR_OK;
    enter();
    H5_TRY(H5Fflush(h5->file, H5F_SCOPE_LOCAL), "writing", "");
    hid_t file = h5->file;
    h5->file = -1;
    H5_TRY(H5Fclose(file), "closing", "");
done:
    leave();
    return err;
}

/// A file with data that cannot be written stays open until the process ends: closing it fails halfway, and the
/// library, which then still lists what it has freed, would crash in its exit handler (so there is none, see enter).
void gri_h5_destroy(gri_h5 **h5)
{
    if (!*h5) {
        return;
    }
    if ((*h5)->file >= 0 && !(*h5)->torn) {
        enter();
        H5Fclose((*h5)->file);
        leave();
    }
    GR_FREE((*h5)->path);
    GR_FREE(*h5);
}

static gr_err put_attribute(gri_h5 *h5, const char *name, hid_t disk, hid_t memory,
                            const void *value)
{
    gr_err err = GR_OK;
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(h5->file, name, disk, space, H5P_DEFAULT, H5P_DEFAULT);
    H5_TRY(attribute, "writing attribute ", name);
    H5_TRY(H5Awrite(attribute, memory, value), "writing attribute ", name);
done:
    H5Aclose(attribute);
    H5Sclose(space);
    return err;
}

gr_err gri_h5_put_text(gri_h5 *h5, const char *name, const char *value)
{
    enter();
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(value) + 1);
    gr_err err = put_attribute(h5, name, type, type, value);
    H5Tclose(type);
    leave();
    return err;
}

gr_err gri_h5_put_int(gri_h5 *h5, const char *name, int32_t value)
{
    enter();
    gr_err err = put_attribute(h5, name, H5T_STD_I32LE, H5T_NATIVE_INT32, &value);
    leave();
    return err;
}

/// Reads a scalar attribute of this class into `value` as `memory`.
static gr_err get_attribute(gri_h5 *h5, const char *name, H5T_class_t class, hid_t memory,
                            void *value)
{
    gr_err err = GR_OK;
    hid_t type = -1, space = -1;
    hid_t attribute = H5Aopen(h5->file, name, H5P_DEFAULT);
    H5_TRY(attribute, "reading attribute ", name);
    H5_TRY(type = H5Aget_type(attribute), "reading attribute ", name);
    H5_TRY(space = H5Aget_space(attribute), "reading attribute ", name);
    if (H5Tget_class(type) != class || H5Tis_variable_str(type) > 0 ||
        H5Sget_simple_extent_npoints(space) != 1) {
        GR_FAIL(GR_ERR_DATA, "%s: attribute %s is not a single %s", h5->path, name,
                class == H5T_STRING ? "fixed-length string" : "integer");
    }
    H5_TRY(H5Aread(attribute, memory, value), "reading attribute ", name);
done:
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return err;
}

gr_err gri_h5_get_text(gri_h5 *h5, const char *name, char *value, size_t size)
{
    enter();
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size);
    gr_err err = get_attribute(h5, name, H5T_STRING, type, value);
    value[size - 1] = '\0';
    H5Tclose(type);
    leave();
    return err;
}

gr_err gri_h5_get_int(gri_h5 *h5, const char *name, int32_t *value)
{
    enter();
    gr_err err = get_attribute(h5, name, H5T_INTEGER, H5T_NATIVE_INT32, value);
    leave();
    return err;
}

/// Contiguous, space taken at once, no fill, no time stamps: the same samples give the same file.
static gr_err create_dataset(gri_h5 *h5, const char *name, gri_h5_type type, int64_t rows,
                             int64_t columns, hid_t *out)
{
    gr_err err = GR_OK;
    hid_t space = -1;
    hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    H5_TRY(H5Pset_layout(layout, H5D_CONTIGUOUS), "creating dataset ", name);
    H5_TRY(H5Pset_alloc_time(layout, H5D_ALLOC_TIME_EARLY), "creating dataset ", name);
    H5_TRY(H5Pset_fill_time(layout, H5D_FILL_TIME_NEVER), "creating dataset ", name);
    H5_TRY(H5Pset_obj_track_times(layout, false), "creating dataset ", name);
    const hsize_t dims[2] = {(hsize_t)rows, (hsize_t)columns};
    space = H5Screate_simple(columns ? 2 : 1, dims, NULL);
    hid_t set =
        H5Dcreate2(h5->file, name, disk_type(type), space, H5P_DEFAULT, layout, H5P_DEFAULT);
    H5_TRY(set, "creating dataset ", name);
    *out = set;
done:
    H5Sclose(space);
    H5Pclose(layout);
    return err;
}

gr_err gri_h5_write(gri_h5 *h5, const char *name, gri_h5_type type, int64_t rows,
                    int64_t columns, const void *data)
{
    gr_err err = GR_OK;
    hid_t set = -1;
    enter();
    GR_TRY(create_dataset(h5, name, type, rows, columns, &set));
    if (rows > 0) {
        H5_TRY(H5Dwrite(set, memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data),
               "writing dataset ", name);
    }
done:
    H5Dclose(set);
    leave();
    return err;
}

/// Writes `n` bytes at `at` of an opened uint8 dataset.
static gr_err write_piece(gri_h5 *h5, const char *name, hid_t set, int64_t at, int64_t n,
                          const void *data)
{
    gr_err err = GR_OK;
    const hsize_t start = (hsize_t)at, count = (hsize_t)n;
    hid_t there = H5Dget_space(set);
    hid_t here = H5Screate_simple(1, &count, NULL);
    H5_TRY(H5Sselect_hyperslab(there, H5S_SELECT_SET, &start, NULL, &count, NULL),
           "writing dataset ", name);
    H5_TRY(H5Dwrite(set, H5T_NATIVE_UINT8, here, there, H5P_DEFAULT, data), "writing dataset ",
           name);
done:
    H5Sclose(here);
    H5Sclose(there);
    return err;
}

gr_err gri_h5_write_file(gri_h5 *h5, const char *name, int fd, const char *fd_path,
                         int64_t size)
{
    gr_err err = GR_OK;
    hid_t set = -1;
    unsigned char *piece = NULL;
    enter();
    GR_ALLOC(piece, PIECE);
    GR_TRY(create_dataset(h5, name, GRI_H5_U8, size, 0, &set));
    for (int64_t at = 0; at < size; at += PIECE) {
        int64_t n = size - at < PIECE ? size - at : PIECE;
        GR_TRY(gr_file_pread(fd, fd_path, piece, (size_t)n, at));
        GR_TRY(write_piece(h5, name, set, at, n, piece));
    }
done:
    H5Dclose(set);
    leave();
    GR_FREE(piece);
    return err;
}

/// Opens a dataset and checks its class, element size and shape (rows -1: any); dims[0] gets its rows.
static gr_err open_dataset(gri_h5 *h5, const char *name, gri_h5_type type, int64_t rows,
                           int64_t columns, hid_t *out, hsize_t dims[2])
{
    gr_err err = GR_OK;
    hid_t stored = -1, space = -1;
    hid_t set = H5Dopen2(h5->file, name, H5P_DEFAULT);
    H5_TRY(set, "opening dataset ", name);
    H5_TRY(stored = H5Dget_type(set), "opening dataset ", name);
    H5_TRY(space = H5Dget_space(set), "opening dataset ", name);
    if (H5Tequal(stored, disk_type(type)) <= 0) {
        GR_FAIL(GR_ERR_DATA, "%s: dataset %s has another element type than the schema",
                h5->path, name);
    }
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank != (columns ? 2 : 1)) {
        GR_FAIL(GR_ERR_DATA, "%s: dataset %s has %d dimensions, expected %d", h5->path, name,
                rank, columns ? 2 : 1);
    }
    H5_TRY(H5Sget_simple_extent_dims(space, dims, NULL), "opening dataset ", name);
    if ((rows >= 0 && dims[0] != (hsize_t)rows) || (columns && dims[1] != (hsize_t)columns)) {
        GR_FAIL(GR_ERR_DATA, "%s: dataset %s has %llu rows, expected %lld", h5->path, name,
                (unsigned long long)dims[0], (long long)rows);
    }
    *out = set;
    set = -1;
done:
    H5Sclose(space);
    H5Tclose(stored);
    H5Dclose(set);
    return err;
}

/// Contiguous and inside this file, not in an external one.
static bool lies_in_file(hid_t set)
{
    hid_t layout = H5Dget_create_plist(set);
    bool ok = H5Pget_layout(layout) == H5D_CONTIGUOUS && H5Pget_external_count(layout) == 0;
    H5Pclose(layout);
    return ok;
}

/// Where an open dataset of `bytes` bytes begins; 0 when it is empty.
static gr_err locate(gri_h5 *h5, const char *name, hid_t set, hsize_t bytes, int64_t *offset)
{
    gr_err err = GR_OK;
    hsize_t file_size = 0;
    if (!lies_in_file(set)) {
        GR_FAIL(GR_ERR_DATA,
                "%s: dataset %s is not contiguous in this file (h5repack -l CONTI)", h5->path,
                name);
    }
    haddr_t at = bytes ? H5Dget_offset(set) : 0;
    H5_TRY(H5Fget_filesize(h5->file, &file_size), "reading dataset ", name);
    if (at == HADDR_UNDEF || at > file_size || bytes > file_size - at) {
        GR_FAIL(GR_ERR_DATA, "%s: dataset %s (%llu bytes) reaches beyond the end of the file",
                h5->path, name, (unsigned long long)bytes);
    }
    *offset = (int64_t)at;
done:
    return err;
}

gr_err gri_h5_locate(gri_h5 *h5, const char *name, int64_t *offset, int64_t *size)
{
    gr_err err = GR_OK;
    hid_t set = -1;
    hsize_t dims[2] = {0, 0};
    enter();
    GR_TRY(open_dataset(h5, name, GRI_H5_U8, -1, 0, &set, dims));
    GR_TRY(locate(h5, name, set, dims[0], offset));
    *size = (int64_t)dims[0];
done:
    H5Dclose(set);
    leave();
    return err;
}

gr_err gri_h5_locate_table(gri_h5 *h5, const char *name, gri_h5_type type, int64_t rows,
                           int64_t columns, int64_t *offset)
{
    gr_err err = GR_OK;
    hid_t set = -1;
    hsize_t dims[2] = {0, 0};
    enter();
    GR_TRY(open_dataset(h5, name, type, rows, columns, &set, dims));
    hsize_t width = H5Tget_size(memory_type(type)) * (columns ? (hsize_t)columns : 1);
    GR_TRY(locate(h5, name, set, dims[0] * width, offset));
done:
    H5Dclose(set);
    leave();
    return err;
}
