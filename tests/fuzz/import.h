#ifndef TESTS_FUZZ_IMPORT_H
#define TESTS_FUZZ_IMPORT_H

/// Importers: the bytes are a file of the source. Every record is walked to and read, twice; what is accepted is a conversation, and both
/// walks see the same.

#include "datasets/source.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline void check_record(const gri_record *record)
{
    gr_doc *doc = NULL;
    const gr_node *turns = NULL;
    GR_ASSERT(record->sample.source && record->sample.task);
    GR_ASSERT(gr_doc_parse_json("text", record->sample.text, record->sample.text_size,
                                GR_ERR_DATA, &doc) == GR_OK);
    GR_ASSERT(gr_node_get_list(gr_doc_root(doc), "conversations", &turns) == GR_OK);
    GR_ASSERT(turns->u.list.count > 0);
    for (int64_t i = 0; i < record->sample.images; i++) {
        GR_ASSERT(record->sample.pixels[i][0] > 0 && record->sample.image_size[i] > 0);
    }
    gr_doc_destroy(&doc);
}

/// Walks the file; a digest of what the good records hold.
static inline gr_digest walk(const gri_source_file *file, const gr_import_options *options,
                             int64_t *count, gr_err *end)
{
    gri_reader *reader = NULL;
    gr_digest sum = {0};
    bool there = true;
    *count = 0;
    *end = gri_reader_open(file, options, &reader);
    while (*end == GR_OK && there) {
        gri_record record = {0};
        *end = reader->next(reader, true, &there);
        if (*end == GR_OK && there) {
            gr_err err = reader->read(reader, &record);
            GR_ASSERT(err == GR_OK || err == GR_ERR_DATA || err == GR_ERR_MISSING);
            if (err == GR_OK) {
                check_record(&record);
                gr_digest id = gr_sample_id(&record.sample);
                sum.high = sum.high * 31 + id.high;
                sum.low += id.low;
            }
            *count += 1;
        }
        gri_record_fini(&record);
    }
    GR_ASSERT(*end == GR_OK || *end == GR_ERR_DATA);
    gri_reader_close(&reader);
    return sum;
}

/// `extension` decides how llava reads it.
static inline void fuzz_import(const uint8_t *data, size_t size, gr_import_form form,
                               const char *extension)
{
    // A name with an extension for a file in memory.
    static char path[64];
    char target[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    GR_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    snprintf(path, sizeof path, "/tmp/gradus-fuzz-%ld%s", (long)getpid(), extension);
    unlink(path);
    GR_ASSERT(symlink(target, path) == 0);
    const gr_import_options options = {.form = form, .source = path, .quality = 0};
    char folder[] = "/nonexistent", task[] = "t";
    const gri_source_file file = {path, folder, task};
    int64_t used = gr_mem_used(), count = 0, again = 0;
    gr_err end = GR_OK, end_again = GR_OK;
    gr_digest first = walk(&file, &options, &count, &end);
    gr_digest second = walk(&file, &options, &again, &end_again);
    GR_ASSERT(count == again && end == end_again && gr_digest_equal(first, second));
    GR_ASSERT(gr_mem_used() == used);
    unlink(path);
    close(fd);
}

#endif
