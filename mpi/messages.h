#ifndef MPI_MESSAGES_H
#define MPI_MESSAGES_H

/// How long messages are and how many rounds of them are under way: it changes the speed, never a bit. What is best
/// depends on the transport: short and shallow in shared memory, long where a network has a price a message
/// (docs/measurements.md). Set before what sends is created; the same on every rank.

#include "mpi/world.h"

typedef struct gr_messages {
    int64_t piece; ///< elements of one message at most
    int depth;     ///< rounds of messages under way, 1 to GR_MESSAGES_DEEPEST
} gr_messages;

enum { GR_MESSAGES_DEEPEST = 16 };

/// From now on; 0 in either: as the transport wants it.
void gr_messages_set(gr_messages messages);
/// As set, and what was left open by whether all ranks are on one node.
gr_messages gr_messages_of(const gr_world *world);

/// Most elements of one call of the MPI library, INT_MAX at first: its counts are ints. Longer ones are cut. Tests
/// lower it, so that small data cross it.
void gr_messages_set_most(int64_t count);
int64_t gr_messages_most(void);

#endif
