#include "mpi/messages.h"

#include "mpi/requests.h"

#include <limits.h>
#include <stdatomic.h>

// Measured (docs/measurements.md): in shared memory a message should stay in the caches; a network needs long ones.
static const gr_messages in_memory = {
    .piece = INT64_C(1) << 15, .depth = 4, .overlap = GR_OVERLAP_NEVER};
static const gr_messages on_network = {
    .piece = INT64_C(1) << 17, .depth = 8, .overlap = GR_OVERLAP_ALWAYS};

static gr_messages chosen;
static int64_t most_count = INT_MAX;
static atomic_llong sent;

void gr_messages_set(gr_messages messages)
{
    GR_ASSERT(messages.piece >= 0 && messages.depth >= 0 &&
              messages.depth <= GR_MESSAGES_DEEPEST);
    chosen = messages;
}

gr_messages gr_messages_of(const gr_world *world)
{
    gr_messages m = world->local_size == world->size ? in_memory : on_network;
    m.piece = chosen.piece > 0 ? chosen.piece : m.piece;
    m.piece = m.piece < most_count ? m.piece : most_count;
    m.depth = chosen.depth > 0 ? chosen.depth : m.depth;
    m.overlap = chosen.overlap != GR_OVERLAP_AUTO ? chosen.overlap : m.overlap;
    m.overlap = world->size > 1 ? m.overlap : GR_OVERLAP_NEVER;
    return m;
}

int64_t gr_messages_sent(void)
{
    return atomic_load(&sent);
}

void gri_messages_count(int64_t bytes)
{
    atomic_fetch_add(&sent, bytes);
}

void gr_messages_set_most(int64_t count)
{
    GR_ASSERT(count > 0 && count <= INT_MAX);
    most_count = count;
}

int64_t gr_messages_most(void)
{
    return most_count;
}
