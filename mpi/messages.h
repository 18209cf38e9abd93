#ifndef MPI_MESSAGES_H
#define MPI_MESSAGES_H

/// How long messages are, how many rounds of them are under way, and when: it changes the speed, never a bit. What is best
/// depends on the transport: short and shallow in shared memory, long where a network has a price a message
/// (docs/measurements.md). Set before what sends is created; the same on every rank.

#include "mpi/world.h"

/// Whether sums and parameters move while the rest is computed. In shared memory moving them is work for the same cores, and nothing
/// is won.
typedef enum gr_overlap {
    GR_OVERLAP_AUTO, ///< where ranks are on several nodes
    GR_OVERLAP_ALWAYS,
    GR_OVERLAP_NEVER
} gr_overlap;

typedef struct gr_messages {
    int64_t piece; ///< elements of one message at most
    int depth;     ///< rounds of messages under way, 1 to GR_MESSAGES_DEEPEST
    gr_overlap overlap;
} gr_messages;

enum { GR_MESSAGES_DEEPEST = 16 };

/// From now on; 0 in any: as the transport wants it.
void gr_messages_set(gr_messages messages);
/// As set, and what was left open by whether all ranks are on one node; `overlap` is GR_OVERLAP_ALWAYS or GR_OVERLAP_NEVER.
gr_messages gr_messages_of(const gr_world *world);

/// What something takes from a rank: bytes of memory for as long as it lives, and bytes that it sends each time.
typedef struct gr_cost {
    int64_t memory, sent;
} gr_cost;
/// Bytes of sums and parameters that this process sent so far (agreements and reports are not counted).
int64_t gr_messages_sent(void);

/// Most elements of one call of the MPI library, INT_MAX at first: its counts are ints. Longer ones are cut. Tests
/// lower it, so that small data cross it.
void gr_messages_set_most(int64_t count);
int64_t gr_messages_most(void);

#endif
