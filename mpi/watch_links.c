/// Read it from the bottom: gri_links_open, then sending and receiving.

#include "mpi/watch_links.h"

#include "mpi/internal.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/sockios.h>

enum { MOST_ADDRESSES = 16, CONNECT_MS = 1000, HELLO_MS = 2000, QUEUE = 4096 };
static const double gather_seconds = 20; ///< in which all ranks must have come

/// Where rank 0 is.
typedef struct door {
    uint64_t run;
    uint32_t addresses[MOST_ADDRESSES]; ///< network order, loopback last
    int32_t count, node;
    uint16_t port;
} door;

uint64_t gri_process_started(int pid)
{
    char path[32], text[1024];
    unsigned long long started = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f) {
        return 0;
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *rest = strrchr(text, ')'); // names may hold anything; 19 fields later
    return rest && sscanf(
                       rest + 1,
                       " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                       "%*d %*d %llu",
                       &started) == 1
               ? started
               : 0;
}

static gr_err system_error(const char *what)
{
    return gr_err_set(GR_ERR_UNAVAILABLE, __FILE__, __LINE__, __func__, "%s: %s", what,
                      strerror(errno));
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/// A socket at any address; *port in host order.
static gr_err open_socket(int type, int *fd, uint16_t *port)
{
    gr_err err = GR_OK;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t size = sizeof at;
    int s = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(s, (struct sockaddr *)&at, &size) != 0) {
        GR_TRY(system_error("cannot open a socket"));
    }
    *fd = s;
    *port = ntohs(at.sin_port);
    s = -1;
done:
    close_fd(&s);
    return err;
}

/// This machine's addresses and masks, loopback last.
static int list_addresses(uint32_t *addresses, uint32_t *masks)
{
    struct ifaddrs *all = NULL;
    int count = 0;
    if (getifaddrs(&all) != 0) {
        return 0;
    }
    for (int loopback = 0; loopback < 2; loopback++) {
        for (struct ifaddrs *i = all; i && count < MOST_ADDRESSES; i = i->ifa_next) {
            if (i->ifa_addr && i->ifa_netmask && i->ifa_addr->sa_family == AF_INET &&
                (i->ifa_flags & IFF_UP) && !(i->ifa_flags & IFF_LOOPBACK) == !loopback) {
                addresses[count] = ((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr.s_addr;
                masks[count++] =
                    ((struct sockaddr_in *)(void *)i->ifa_netmask)->sin_addr.s_addr;
            }
        }
    }
    freeifaddrs(all);
    return count;
}

static bool is_loopback(uint32_t ip)
{
    return ntohl(ip) >> 24 == 127;
}

/// Lower is tried first: this machine's own loopback where rank 0 is here, then a network that both are in.
static int rank_address(uint32_t ip, bool here, const uint32_t *mine, const uint32_t *masks,
                        int count)
{
    if (is_loopback(ip)) {
        return here ? 0 : 3;
    }
    for (int i = 0; i < count; i++) {
        if (!is_loopback(mine[i]) && (mine[i] & masks[i]) == (ip & masks[i])) {
            return 1;
        }
    }
    return 2;
}

static bool ready(int fd, short events, int milliseconds)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, milliseconds) > 0;
}

/// A whole piece within the time, on a socket that does not block.
static bool read_all(int fd, void *data, size_t size, int milliseconds)
{
    char *at = data;
    while (size > 0 && ready(fd, POLLIN, milliseconds)) {
        ssize_t n = recv(fd, at, size, 0);
        if (n <= 0) {
            return false;
        }
        at += n;
        size -= (size_t)n;
    }
    return size == 0;
}

static bool send_all(int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/// The first thing on a connection.
typedef struct hello {
    uint64_t run;
    int32_t rank;
    gri_member member;
} hello;

/// One try; -1 if nobody of this run answers there.
static int try_address(const door *d, uint32_t ip, const hello *mine)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = ip, .sin_port = htons(d->port)};
    uint64_t answer = 0;
    int error = 0;
    socklen_t size = sizeof error;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 &&
        (connect(fd, (struct sockaddr *)&at, sizeof at) == 0 || errno == EINPROGRESS) &&
        ready(fd, POLLOUT, CONNECT_MS) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0 &&
        send_all(fd, mine, sizeof *mine) && read_all(fd, &answer, sizeof answer, HELLO_MS) &&
        answer == d->run) {
        return fd;
    }
    close_fd(&fd);
    return -1;
}

/// Rank 0's connection, by the first of its addresses at which it answers.
static void reach(gri_links *l, const door *d, const hello *mine)
{
    uint32_t addresses[MOST_ADDRESSES], masks[MOST_ADDRESSES];
    int count = list_addresses(addresses, masks);
    bool here = mine->member.node == d->node;
    int *fd = &l->connections[0].fd;
    for (int turn = 0; turn < 4 && *fd < 0; turn++) {
        for (int i = 0; i < d->count && *fd < 0; i++) {
            if (rank_address(d->addresses[i], here, addresses, masks, count) == turn) {
                *fd = try_address(d, d->addresses[i], mine);
                l->to[0].sin_addr.s_addr = d->addresses[i];
            }
        }
    }
}

/// Takes in one that came, if it is one of us.
static bool welcome(gri_links *l, int listener)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    hello h;
    int fd = accept4(listener, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    bool ours = fd >= 0 && read_all(fd, &h, sizeof h, HELLO_MS) && h.run == l->run &&
                h.rank > 0 && h.rank < l->size && l->connections[h.rank].fd < 0 &&
                send_all(fd, &l->run, sizeof l->run);
    if (!ours) {
        close_fd(&fd);
        return false;
    }
    l->connections[h.rank].fd = fd;
    l->members[h.rank] = h.member;
    l->members[h.rank].ip = from.sin_addr.s_addr;
    return true;
}

/// Rank 0: until all have come, or time is over. The first that has not; 0: none.
static int32_t receive_all(gri_links *l, int listener)
{
    double start = gr_clock();
    int missing = l->size - 1;
    while (missing > 0 && gr_clock() - start < gather_seconds) {
        if (ready(listener, POLLIN, 100)) {
            missing -= welcome(l, listener);
        }
    }
    for (int r = 1; r < l->size; r++) {
        if (l->connections[r].fd < 0) {
            return r;
        }
    }
    return 0;
}

/// Lowest rank of this node. Collective.
static gr_err find_node(const gr_world *world, int32_t *node)
{
    gr_err err = GR_OK;
    int32_t lowest = world->rank;
    MPI_Comm comm = MPI_COMM_NULL;
    GRI_MPI(MPI_Comm_split_type, gri_comm(world), MPI_COMM_TYPE_SHARED, world->rank,
            MPI_INFO_NULL, &comm);
    GRI_MPI(MPI_Bcast, &lowest, 1, MPI_INT32_T, 0, comm);
    *node = lowest;
done:
    if (comm != MPI_COMM_NULL) {
        (void)MPI_Comm_free(&comm);
    }
    return err;
}

static uint64_t random_number(void)
{
    uint64_t n = 0;
    if (getrandom(&n, sizeof n, GRND_NONBLOCK) != (ssize_t)sizeof n) {
        n = (uint64_t)getpid() << 32 ^ (uint64_t)time(NULL);
    }
    return n;
}

/// Rank 0 has a descriptor a rank: the soft limit is often 1024, the hard one far more.
static void raise_descriptors(int ranks)
{
    struct rlimit limit;
    rlim_t want = (rlim_t)ranks + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < want) {
        limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/// Memory and what does not depend on others.
static gr_err prepare(const gr_world *world, gri_links *l)
{
    gr_err err = GR_OK;
    l->rank = world->rank;
    l->size = world->size;
    l->udp = -1;
    GR_ALLOC(l->members, world->size);
    GR_ALLOC(l->connections, world->size);
    for (int r = 0; r < world->size; r++) {
        l->connections[r].fd = -1;
    }
    GR_ALLOC(l->to, world->size);
    GR_ALLOC(l->polled, world->size + 2);
    gri_member *me = &l->members[world->rank];
    me->pid = getpid();
    me->started = gri_process_started(me->pid);
    (void)gethostname(me->host, sizeof me->host - 1);
    if (world->size > 1) {
        GR_TRY(open_socket(SOCK_DGRAM, &l->udp, &me->port));
    }
done:
    return err;
}

/// Rank 0's door is known to all. Collective.
static gr_err open_door(const gr_world *world, gri_links *l, int *listener, door *d)
{
    gr_err err = GR_OK;
    uint32_t masks[MOST_ADDRESSES];
    if (world->rank == 0) {
        raise_descriptors(world->size);
        d->run = random_number();
        d->count = list_addresses(d->addresses, masks);
        err = open_socket(SOCK_STREAM, listener, &d->port);
        if (err == GR_OK && listen(*listener, QUEUE) != 0) {
            err = system_error("cannot listen");
        }
    }
    GR_TRY(gr_world_agree(world, err));
    GR_TRY(gr_world_broadcast(world, d, sizeof *d, 0));
    l->run = d->run;
done:
    return err;
}

/// Where each rank's datagrams go: a rank on rank 0's node came there by loopback, others find it where they find rank 0.
static void set_targets(gri_links *l)
{
    bool here = l->members[l->rank].node == l->members[0].node;
    for (int r = 0; r < l->size; r++) {
        uint32_t ip = r == 0 ? l->to[0].sin_addr.s_addr : l->members[r].ip;
        if (l->rank != 0 && !here && is_loopback(ip)) {
            ip = l->to[0].sin_addr.s_addr;
        }
        l->to[r] = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_addr.s_addr = ip,
                                        .sin_port = htons(l->members[r].port)};
    }
}

/// All come to rank 0, which tells all of all. Collective.
static gr_err meet(const gr_world *world, gri_links *l)
{
    gr_err err = GR_OK;
    int listener = -1;
    int32_t missing = 0;
    door d = {0};
    GR_TRY(find_node(world, &l->members[world->rank].node));
    GR_TRY(open_door(world, l, &listener, &d));
    if (world->rank == 0) {
        missing = receive_all(l, listener);
    } else {
        const hello mine = {l->run, world->rank, l->members[world->rank]};
        reach(l, &d, &mine);
    }
    GR_TRY(gr_world_broadcast(world, &missing, sizeof missing, 0));
    if (missing > 0) {
        GR_FAIL(GR_ERR_UNAVAILABLE,
                "rank %d does not reach rank 0 by TCP at any of its %d IPv4 addresses, port %u",
                missing, d.count, d.port);
    }
    GR_TRY(gr_world_broadcast(world, l->members, (size_t)world->size * sizeof *l->members, 0));
    set_targets(l);
    for (int r = 0; r < world->size; r++) {
        int yes = 1, fd = l->connections[r].fd;
        if (fd >= 0) {
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        }
    }
done:
    close_fd(&listener);
    return err;
}

gr_err gri_links_open(const gr_world *world, gri_links *out)
{
    gr_err err = GR_OK;
    gri_links l = {.udp = -1};
    GR_TRY(gr_world_agree(world, prepare(world, &l)));
    if (world->size > 1) {
        GR_TRY(meet(world, &l));
    }
    *out = l;
    l = (gri_links){.udp = -1};
done:
    gri_links_close(&l);
    return err;
}

void gri_links_close(gri_links *l)
{
    for (int r = 0; l->connections && r < l->size; r++) {
        close_fd(&l->connections[r].fd);
    }
    if (l->members) { // else it was never opened
        close_fd(&l->udp);
    }
    GR_FREE(l->members);
    GR_FREE(l->connections);
    GR_FREE(l->to);
    GR_FREE(l->polled);
}

void gri_links_tell(gri_links *l, int rank, const gri_note *note, bool surely)
{
    gri_note n = *note;
    gri_connection *c = &l->connections[rank];
    n.run = l->run;
    n.rank = l->rank;
    if (rank == l->rank || l->udp < 0) {
        return;
    }
    // What does not go out is missed by nobody: the next one follows.
    (void)!sendto(l->udp, &n, sizeof n, MSG_NOSIGNAL, (struct sockaddr *)&l->to[rank],
                  sizeof l->to[rank]);
    if (surely && c->fd >= 0 && !c->full && !c->ended) {
        ssize_t sent = send(c->fd, &n, sizeof n, MSG_NOSIGNAL);
        c->full =
            sent !=
            (ssize_t)sizeof n; // the rest would have to follow; a whole buffer is long out of date
    }
}

bool gri_links_acknowledged(const gri_links *l, int rank)
{
    int left = 0;
    const gri_connection *c = &l->connections[rank];
    return c->fd >= 0 && !c->full && ioctl(c->fd, SIOCOUTQ, &left) == 0 && left == 0;
}

bool gri_links_ended(const gri_links *l, int rank)
{
    return l->connections[rank].ended;
}

typedef void taker(void *context, const gri_note *note);

static void take_note(const gri_links *l, const gri_note *n, taker *take, void *context)
{
    if (n->run == l->run && n->rank >= 0 && n->rank < l->size) {
        gri_note clean = *n; // texts of others end where they must
        clean.sign.place[sizeof clean.sign.place - 1] = '\0';
        clean.sign.sample[sizeof clean.sign.sample - 1] = '\0';
        take(context, &clean);
    }
}

static void read_datagrams(gri_links *l, taker *take, void *context)
{
    gri_note n;
    ssize_t size;
    while ((size = recv(l->udp, &n, sizeof n, 0)) >= 0 || errno == ECONNREFUSED) {
        if (size == (ssize_t)sizeof n) {
            take_note(l, &n, take, context);
        }
    }
}

static void read_connection(gri_links *l, gri_connection *c, taker *take, void *context)
{
    for (;;) {
        char *to = (char *)&c->note + c->received;
        ssize_t n = recv(c->fd, to, sizeof c->note - c->received, 0);
        if (n > 0) {
            c->received += (size_t)n;
            if (c->received == sizeof c->note) {
                c->received = 0;
                take_note(l, &c->note, take, context);
            }
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        // Closed, by the process or for it. A connection that the network broke says nothing about the process.
        c->ended = n == 0 || errno == ECONNRESET || errno == EPIPE;
        close_fd(&c->fd);
        return;
    }
}

void gri_links_listen(gri_links *l, int milliseconds, int wake, taker *take, void *context)
{
    struct pollfd *p = l->polled;
    p[0] = (struct pollfd){.fd = wake, .events = POLLIN};
    p[1] = (struct pollfd){.fd = l->udp, .events = POLLIN};
    for (int r = 0; r < l->size; r++) {
        p[r + 2] = (struct pollfd){.fd = l->connections[r].fd, .events = POLLIN};
    }
    if (poll(p, (nfds_t)l->size + 2, milliseconds) <= 0) {
        return;
    }
    if (p[1].revents) {
        read_datagrams(l, take, context);
    }
    for (int r = 0; r < l->size; r++) {
        if (p[r + 2].fd >= 0 && p[r + 2].revents) {
            read_connection(l, &l->connections[r], take, context);
        }
    }
}
