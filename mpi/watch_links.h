#ifndef MPI_WATCH_LINKS_H
#define MPI_WATCH_LINKS_H

/// How the watchdogs of the ranks talk, without MPI: rank 0 has one TCP connection with each other rank, and every rank one UDP
/// socket. A connection tells at once when its process ends, and whether the host at its other end still takes what it is
/// sent, also for a process that is stopped. Datagrams arrive again as soon as the network does, where a connection
/// first waits out its own repetitions. IPv4. Nothing here ever blocks once it is open. Inside this room.

#include "mpi/watch_rules.h"
#include "mpi/world.h"

#include <netinet/in.h>

typedef enum gri_note_kind {
    GRI_NOTE_SIGN,    ///< alive, and where
    GRI_NOTE_LEAVING, ///< ends well: watch me no more
    GRI_NOTE_FAILING, ///< ends the job, and has said why: nobody else need say anything; value: exit code
    GRI_NOTE_VERDICT, ///< a rank was given up and named: all end now; value: which
    GRI_NOTE_ASK,     ///< rank 0 is gone: do you live, who are lower than I and should say so?
    GRI_NOTE_ANSWER,  ///< yes
} gri_note_kind;

typedef struct gri_note {
    uint64_t run; ///< number of this run: what strangers send is not ours
    int32_t kind, rank, value;
    gri_sign sign;
} gri_note;

/// What all know of a rank.
typedef struct gri_member {
    uint64_t
        started; ///< of its process, as the kernel counts: a number that was given again is another process
    int32_t pid, node; ///< node: lowest rank there
    uint32_t ip;       ///< as rank 0 sees it, in network order
    uint16_t port;     ///< of its datagrams
    char host[66];
} gri_member;

typedef struct gri_connection {
    int fd;     ///< -1: none
    bool full;  ///< a note was sent in part: nothing more can be
    bool ended; ///< closed by the other side
    size_t received;
    gri_note note;
} gri_connection;

typedef struct gri_links {
    int rank, size, udp;
    uint64_t run;
    gri_member *members;         ///< [size]
    gri_connection *connections; ///< [size]; of other ranks than 0 only [0] is used
    struct sockaddr_in *to;      ///< [size] where datagrams go
    struct pollfd *polled;
} gri_links;

/// Collective. One rank alone has no network. An error is known on all ranks: some rank does not reach rank 0.
GR_MUST_CHECK gr_err gri_links_open(const gr_world *world, gri_links *out);
/// May be called on a zeroed struct.
void gri_links_close(gri_links *links);

/// Sends as datagram, and on the connection if `surely` and there is one.
void gri_links_tell(gri_links *links, int rank, const gri_note *note, bool surely);
/// Waits until something comes, `wake` can be read, or time is over; hands every note to `take`.
void gri_links_listen(gri_links *links, int milliseconds, int wake,
                      void (*take)(void *context, const gri_note *note), void *context);
/// Whether the host of a rank has acknowledged all that was sent to it on its connection.
bool gri_links_acknowledged(const gri_links *links, int rank);
bool gri_links_ended(const gri_links *links, int rank);

/// When the process started, as /proc/PID/stat has it; 0: there is none.
uint64_t gri_process_started(int pid);

#endif
