#include "stages/share.h"

#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/// Digests are made of a piece while it is in the caches, then it is written.
enum { WRITE_ELEMENTS = 64 * GR_RANGE_BLOCK };

void gri_share_add_file(gri_share *share, const char *name, gr_str *head)
{
    GR_ASSERT(share->file_count < GRI_SHARED_FILES);
    share->files[share->file_count++] = (gri_shared_file){.name = name,
                                                          .head = *head,
                                                          .bytes = (int64_t)head->size,
                                                          .first = share->section_count};
    *head = (gr_str){0};
}

void gri_share_add_section(gri_share *share, gr_owned owned, gr_range at, bool packed,
                           const float *data)
{
    GR_ASSERT(share->section_count < GRI_SECTIONS && at.begin % GR_RANGE_BLOCK == 0);
    gri_shared_file *file = &share->files[share->file_count - 1];
    share->sections[share->section_count++] = (gri_section){
        .offset = file->bytes, .owned = owned, .at = at, .packed = packed, .data = data};
    file->bytes += gr_range_count(at) * (int64_t)sizeof(float);
    file->count++;
}

/// Blocks of the section that a rank owns before element `at` of the space.
static int64_t blocks_before(const gri_section *section, int rank, int64_t at)
{
    gr_owned owned = gr_owned_by(&section->owned, rank);
    return gr_range_blocks(gr_owned_place(&owned, at) -
                           gr_owned_place(&owned, section->at.begin));
}

static int64_t blocks_of(const gri_section *section, int rank)
{
    return blocks_before(section, rank, section->at.end);
}

gr_err gri_share_prepare(gri_share *share)
{
    gr_err err = GR_OK;
    for (int rank = 0; rank < share->world->size; rank++) {
        int64_t blocks = 0;
        for (int i = 0; i < share->section_count; i++) {
            blocks += blocks_of(&share->sections[i], rank);
        }
        share->most = blocks > share->most ? blocks : share->most;
    }
    GR_ALLOC(share->mine, share->most);
    GR_ALLOC(share->all, share->most * share->world->size);
done:
    return err;
}

/// Neighbours that this rank owns. Returns through *digests where the next ones begin.
static gr_err write_piece(const gri_section *section, gr_range piece, int fd, const char *path,
                          gr_digest **digests)
{
    gr_err err = GR_OK;
    int64_t in_file = piece.begin - section->at.begin;
    int64_t in_data = section->packed ? gr_owned_place(&section->owned, piece.begin) -
                                            gr_owned_place(&section->owned, section->at.begin)
                                      : in_file;
    int64_t count = gr_range_count(piece);
    for (int64_t i = 0; i < count; i += WRITE_ELEMENTS) {
        int64_t n = count - i < WRITE_ELEMENTS ? count - i : WRITE_ELEMENTS;
        const float *data = section->data + in_data + i;
        int64_t size = n * (int64_t)sizeof *data;
        *digests += gri_digest_blocks(data, size, *digests);
        GR_TRY(gr_file_pwrite(fd, path, data, (size_t)size,
                              section->offset + (in_file + i) * (int64_t)sizeof *data));
    }
done:
    return err;
}

static gr_err write_section(const gri_section *section, int fd, const char *path,
                            gr_digest **digests)
{
    gr_err err = GR_OK;
    for (gr_range piece = {section->at.begin, section->at.begin};
         gr_owned_next(&section->owned, section->at, &piece);) {
        GR_TRY(write_piece(section, piece, fd, path, digests));
    }
done:
    return err;
}

static gr_err write_file(const gri_share *share, const gri_shared_file *file, const char *dir,
                         gr_digest **digests)
{
    gr_err err = GR_OK;
    char *path = NULL;
    int fd = -1;
    GR_TRY(gr_path_join(dir, file->name, &path));
    // Ranges of two ranks meet inside a page. A network file system's client may write its cached page as a whole, with
    // zeros for what another host wrote; never so where each write goes through.
    const int through = share->world->local_size < share->world->size ? O_DSYNC : 0;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | through, 0666);
    if (fd < 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot create: %s", path, strerror(errno));
    }
    gr_failpoint(GR_AT_SAVE_SHARE_OPENED);
    if (share->world->rank == 0) {
        GR_TRY(gr_file_pwrite(fd, path, file->head.data, file->head.size, 0));
    }
    for (int i = file->first; i < file->first + file->count; i++) {
        GR_TRY(write_section(&share->sections[i], fd, path, digests));
    }
    gr_failpoint(GR_AT_SAVE_SHARE_WRITTEN);
    GR_TRY(gr_file_sync_close(&fd, path));
    gr_failpoint(GR_AT_SAVE_SHARE_SYNCED);
done:
    if (fd >= 0) {
        close(fd);
    }
    GR_FREE(path);
    return err;
}

gr_err gri_share_write(gri_share *share, const char *dir)
{
    gr_err err = GR_OK;
    gr_digest *digests = share->mine;
    for (int i = 0; i < share->file_count; i++) {
        GR_TRY(write_file(share, &share->files[i], dir, &digests));
    }
    GR_ASSERT(digests - share->mine <= share->most);
done:
    return err;
}

gr_err gri_share_gather(gri_share *share)
{
    return gr_world_gather(share->world, share->mine, (size_t)share->most * sizeof *share->mine,
                           share->all);
}

/// Where the digests of a rank's blocks of section `which` lie.
static const gr_digest *digests_of(const gri_share *share, int rank, int which)
{
    const gr_digest *at = share->all + rank * share->most;
    for (int i = 0; i < which; i++) {
        at += blocks_of(&share->sections[i], rank);
    }
    return at;
}

/// All ranks' digests of a section, in the order of its blocks.
static void list_section(const gri_share *share, int which, gr_digest_stream *list)
{
    const gri_section *section = &share->sections[which];
    for (gr_range run = {section->at.begin, section->at.begin}; run.end < section->at.end;) {
        int rank = gr_owned_owner(&section->owned, run.end, &run);
        run = gr_range_overlap(run, section->at);
        gr_digest_stream_add(
            list, digests_of(share, rank, which) + blocks_before(section, rank, run.begin),
            (size_t)gr_range_blocks(gr_range_count(run)) * sizeof *share->all);
    }
}

gr_err gri_share_describe(const gri_share *share, int i, gri_dir_file *out)
{
    gr_err err = GR_OK;
    const gri_shared_file *file = &share->files[i];
    gri_dir_file described = {.bytes = file->bytes};
    gr_digest_stream *list = NULL;
    gr_digest *head = NULL;
    int64_t size = (int64_t)file->head.size;
    GR_ALLOC(head, size / GRI_DIGEST_BLOCK + 1);
    GR_TRY(gr_digest_stream_create(&list));
    int64_t blocks = gri_digest_blocks(file->head.data, size, head);
    gr_digest_stream_add(list, head, (size_t)blocks * sizeof *head);
    for (int s = file->first; s < file->first + file->count; s++) {
        described.cuts[described.cut_count++] = share->sections[s].offset;
        list_section(share, s, list);
    }
    snprintf(described.name, sizeof described.name, "%s", file->name);
    described.digest = gr_digest_stream_result(list);
    *out = described;
done:
    gr_digest_stream_destroy(&list);
    GR_FREE(head);
    return err;
}

void gri_share_fini(gri_share *share)
{
    for (int i = 0; i < share->file_count; i++) {
        gr_str_fini(&share->files[i].head);
    }
    GR_FREE(share->mine);
    GR_FREE(share->all);
    *share = (gri_share){.world = share->world};
}
