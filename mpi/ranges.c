#include "mpi/ranges.h"

#include "src/base/err.h"

static int64_t run_blocks = GR_OWNED_BLOCKS;

int64_t gr_range_blocks(int64_t n)
{
    return n / GR_RANGE_BLOCK + (n % GR_RANGE_BLOCK != 0);
}

gr_range gr_range_overlap(gr_range a, gr_range b)
{
    int64_t begin = a.begin > b.begin ? a.begin : b.begin;
    int64_t end = a.end < b.end ? a.end : b.end;
    return (gr_range){.begin = begin, .end = end > begin ? end : begin};
}

int64_t gr_range_count(gr_range range)
{
    return range.end - range.begin;
}

void gr_owned_set_blocks(int64_t blocks)
{
    GR_ASSERT(blocks > 0);
    run_blocks = blocks;
}

gr_owned gr_owned_of(int64_t n, int rank, int size)
{
    return (gr_owned){.n = n, .rank = rank, .size = size, .run = run_blocks * GR_RANGE_BLOCK};
}

gr_owned gr_owned_by(const gr_owned *owned, int rank)
{
    gr_owned other = *owned;
    other.rank = rank;
    return other;
}

int64_t gr_owned_stripes(const gr_owned *owned)
{
    int64_t stripe = owned->run * owned->size;
    return owned->n / stripe + (owned->n % stripe != 0);
}

gr_range gr_owned_stripe(const gr_owned *owned, int64_t stripe)
{
    int64_t length = owned->run * owned->size;
    return gr_range_overlap((gr_range){stripe * length, (stripe + 1) * length},
                            (gr_range){0, owned->n});
}

/// Where in the last stripe, of `blocks` blocks, rank `rank` begins.
static int64_t last_border(int64_t blocks, int rank, int size)
{
    return blocks * rank / size * GR_RANGE_BLOCK;
}

gr_range gr_owned_run(const gr_owned *owned, int64_t stripe)
{
    gr_range whole = gr_owned_stripe(owned, stripe);
    int64_t begin = owned->run * owned->rank, end = begin + owned->run;
    if (gr_range_count(whole) < owned->run * owned->size) {
        int64_t blocks = gr_range_blocks(gr_range_count(whole));
        begin = last_border(blocks, owned->rank, owned->size);
        end = last_border(blocks, owned->rank + 1, owned->size);
    }
    return gr_range_overlap((gr_range){whole.begin + begin, whole.begin + end}, whole);
}

int64_t gr_owned_place(const gr_owned *owned, int64_t at)
{
    int64_t stripe = at / (owned->run * owned->size);
    gr_range run = gr_owned_run(owned, stripe);
    gr_range before = gr_range_overlap(run, (gr_range){0, at});
    return stripe * owned->run + gr_range_count(before);
}

int64_t gr_owned_count(const gr_owned *owned)
{
    return gr_owned_place(owned, owned->n);
}

int64_t gr_owned_longest(const gr_owned *owned)
{
    int64_t longest = owned->n < owned->run * owned->size ? 0 : owned->run;
    for (int rank = 0; rank < owned->size && longest < owned->run; rank++) {
        gr_owned other = gr_owned_by(owned, rank);
        int64_t count = gr_range_count(gr_owned_run(&other, 0));
        longest = count > longest ? count : longest;
    }
    return longest;
}

int64_t gr_owned_most(int64_t n, int size)
{
    int64_t most = 0;
    for (int rank = 0; rank < size; rank++) {
        gr_owned owned = gr_owned_of(n, rank, size);
        int64_t count = gr_owned_count(&owned);
        most = count > most ? count : most;
    }
    return most;
}

bool gr_owned_next(const gr_owned *owned, gr_range in, gr_range *piece)
{
    gr_range rest = {piece->end, in.end};
    for (int64_t s = rest.begin / (owned->run * owned->size); gr_range_count(rest) > 0; s++) {
        *piece = gr_range_overlap(gr_owned_run(owned, s), rest);
        if (gr_range_count(*piece) > 0) {
            return true;
        }
        rest.begin = gr_owned_stripe(owned, s).end;
    }
    return false;
}

int gr_owned_owner(const gr_owned *owned, int64_t at, gr_range *run)
{
    int64_t stripe = at / (owned->run * owned->size);
    GR_ASSERT(at >= 0 && at < owned->n);
    for (int rank = 0;; rank++) {
        gr_owned other = gr_owned_by(owned, rank);
        *run = gr_owned_run(&other, stripe);
        if (at < run->end) {
            return rank;
        }
    }
}
