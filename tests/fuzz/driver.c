// Runs a fuzz target without a fuzzer: its seeds, then mutations of them that are the same on every machine.
// usage: fuzz_NAME [--mutations N] [--trace] SEED...
// --trace says each run before it begins, so that the last line names the one that crashed.
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 16, MOST_CHANGES = 6 };

typedef struct seed {
    char *data;
    size_t size;
} seed;

typedef struct bytes {
    uint8_t data[2 * MOST_BYTES];
    size_t size;
} bytes;

// Draws of one mutation, one after another.
typedef struct dice {
    uint64_t run, draws;
} dice;

static uint64_t draw(dice *d, uint64_t below)
{
    return below > 0 ? gr_rng_u64(11, d->run, d->draws++) % below : 0;
}

static void flip_bit(bytes *b, dice *d)
{
    if (b->size > 0) {
        size_t at = (size_t)draw(d, b->size);
        b->data[at] = (uint8_t)(b->data[at] ^ 1U << draw(d, 8));
    }
}

// Bytes at which readers tend to trip.
static void set_byte(bytes *b, dice *d)
{
    static const uint8_t values[] = {0,   1,   0x7F, 0x80, 0xFF, '0', '9', '-', '"',
                                     '{', '}', '[',  ']',  ',',  ':', 'e', '.', '\n'};
    if (b->size > 0) {
        b->data[draw(d, b->size)] = values[draw(d, sizeof values)];
    }
}

static void cut(bytes *b, dice *d)
{
    b->size = (size_t)draw(d, b->size + 1);
}

static void remove_piece(bytes *b, dice *d)
{
    size_t at = (size_t)draw(d, b->size + 1), n = (size_t)draw(d, b->size - at + 1);
    n = n > 64 ? n % 64 : n;
    memmove(b->data + at, b->data + at + n, b->size - at - n);
    b->size -= n;
}

// A piece of the seed itself, anywhere: what is said twice, or in the wrong place.
static void copy_piece(bytes *b, dice *d)
{
    uint8_t piece[64];
    size_t from = (size_t)draw(d, b->size + 1), n = (size_t)draw(d, b->size - from + 1);
    n = n > sizeof piece ? n % sizeof piece : n;
    size_t at = (size_t)draw(d, b->size + 1);
    if (b->size + n <= sizeof b->data) {
        memcpy(piece, b->data + from, n);
        memmove(b->data + at + n, b->data + at, b->size - at);
        memcpy(b->data + at, piece, n);
        b->size += n;
    }
}

static void mutate(bytes *b, dice *d)
{
    static void (*const ways[])(bytes *, dice *) = {flip_bit, flip_bit,     set_byte,  set_byte,
                                                    cut,      remove_piece, copy_piece};
    for (uint64_t i = 1 + draw(d, MOST_CHANGES); i > 0; i--) {
        ways[draw(d, sizeof ways / sizeof ways[0])](b, d);
    }
}

// The target gets a block of exactly this size, so that a sanitizer sees a read behind it.
static void run(const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    GR_ASSERT(copy);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    GR_ASSERT(LLVMFuzzerTestOneInput(copy, size) == 0);
    free(copy);
}

static void run_mutations(const seed *seeds, int64_t count, int64_t mutations, bool trace)
{
    static bytes b;
    for (int64_t i = 0; i < mutations; i++) {
        const seed *s = &seeds[i % count];
        dice d = {.run = (uint64_t)i};
        b.size = s->size < MOST_BYTES ? s->size : MOST_BYTES;
        memcpy(b.data, s->data, b.size);
        mutate(&b, &d);
        if (trace) {
            fprintf(stderr, "mutation %lld of seed %lld, %zu bytes\n", (long long)i,
                    (long long)(i % count), b.size);
        }
        run(b.data, b.size);
    }
}

int main(int argc, char **argv)
{
    int64_t mutations = 0, count = 0;
    bool trace = false;
    seed *seeds = calloc((size_t)argc, sizeof *seeds);
    GR_ASSERT(seeds);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutations") == 0 && i + 1 < argc) {
            mutations = strtoll(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--trace") == 0) {
            trace = true;
        } else if (gr_file_read(argv[i], 0, &seeds[count].data, &seeds[count].size) == GR_OK) {
            count++;
        } else {
            fprintf(stderr, "%s\n", gr_err_message());
            return 1;
        }
    }
    if (count == 0) {
        fprintf(stderr, "%s: no seeds\n", argv[0]);
        return 1;
    }
    run("", 0);
    for (int64_t i = 0; i < count; i++) {
        if (trace) {
            fprintf(stderr, "seed %lld\n", (long long)i);
        }
        run(seeds[i].data, seeds[i].size);
    }
    run_mutations(seeds, count, mutations, trace);
    printf("%lld seeds, %lld mutations: no finding\n", (long long)count, (long long)mutations);
    for (int64_t i = 0; i < count; i++) {
        GR_FREE(seeds[i].data);
    }
    free(seeds);
    return 0;
}
