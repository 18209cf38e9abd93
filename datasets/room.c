#include "datasets/room.h"

#include "src/base/mem.h"

#include <string.h>

enum { NONE = -1 };

/// What the trees find.
enum {
    FEWEST_TOKENS, ///< of all rows
    FEWEST_IMAGES, ///< of the open rows
    NEXT_TO_OPEN,  ///< fewest tokens of the closed rows
};

/// The winner of two, NONE loses.
static int64_t better(const gri_row *rows, int tree, int64_t a, int64_t b)
{
    if (a == NONE || b == NONE) {
        return a == NONE ? b : a;
    }
    if (tree == FEWEST_IMAGES && rows[a].images != rows[b].images) {
        return rows[a].images < rows[b].images ? a : b;
    }
    if (rows[a].tokens != rows[b].tokens) {
        return rows[a].tokens < rows[b].tokens ? a : b;
    }
    return a < b ? a : b;
}

static void play(gri_room *room, int tree, int64_t node)
{
    int64_t *t = room->tree[tree];
    t[node] = better(room->rows, tree, t[2 * node], t[2 * node + 1]);
}

/// Row r takes part or not, or has changed.
static void set(gri_room *room, int tree, int64_t r, bool takes_part)
{
    room->tree[tree][room->count + r] = takes_part ? r : NONE;
    for (int64_t node = (room->count + r) / 2; node > 0; node /= 2) {
        play(room, tree, node);
    }
}

static int64_t winner(const gri_room *room, int tree)
{
    return room->tree[tree][1];
}

gr_err gri_room_begin(gri_room *room, const gri_window_rules *rules, gri_row *rows,
                      int64_t count)
{
    gr_err err = GR_OK;
    if (count > room->capacity) {
        for (int tree = 0; tree < GRI_ROOM_TREES; tree++) {
            GR_RESIZE(room->tree[tree], 2 * room->capacity, 2 * count);
        }
        room->capacity = count;
    }
    room->rules = rules;
    room->rows = rows;
    room->count = count;
    room->longest = INT64_MAX;
    memset(rows, 0, (size_t)count * sizeof *rows);
    for (int tree = 0; tree < GRI_ROOM_TREES; tree++) {
        for (int64_t r = 0; r < count; r++) {
            room->tree[tree][count + r] = tree == NEXT_TO_OPEN ? NONE : r;
        }
        for (int64_t node = count - 1; node > 0; node--) {
            play(room, tree, node);
        }
    }
done:
    return err;
}

static void open_or_close(gri_room *room, int64_t r, bool open)
{
    set(room, FEWEST_IMAGES, r, open);
    set(room, NEXT_TO_OPEN, r, !open);
}

int64_t gri_room_put(gri_room *room, gri_size size)
{
    GR_ASSERT(size.tokens <= room->longest);
    room->longest = size.tokens;
    gri_row *rows = room->rows;
    int64_t most = room->rules->sequence_length - size.tokens; // that a row may hold before
    int64_t r = winner(room, NEXT_TO_OPEN);
    while (r != NONE && rows[r].tokens <= most) {
        open_or_close(room, r, true);
        r = winner(room, NEXT_TO_OPEN);
    }
    r = winner(room, size.images > 0 ? FEWEST_IMAGES : FEWEST_TOKENS);
    if (r == NONE || !gri_size_fits(room->rules, (gri_size){rows[r].tokens + size.tokens,
                                                            rows[r].images + size.images})) {
        return NONE;
    }
    rows[r].tokens += size.tokens;
    rows[r].images += size.images;
    set(room, FEWEST_TOKENS, r, true);
    open_or_close(room, r, rows[r].tokens <= most);
    return r;
}

void gri_room_fini(gri_room *room)
{
    for (int tree = 0; tree < GRI_ROOM_TREES; tree++) {
        GR_FREE(room->tree[tree]);
    }
    *room = (gri_room){0};
}
