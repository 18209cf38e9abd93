#include "mpi/ranges.h"

int64_t gr_range_blocks(int64_t n)
{
    return n / GR_RANGE_BLOCK + (n % GR_RANGE_BLOCK != 0);
}

/// Where rank `rank` begins, `size` being the end of the last one. blocks * rank may overflow; blocks = q size + rest
/// does not.
static int64_t border(int64_t n, int rank, int size)
{
    int64_t blocks = gr_range_blocks(n);
    int64_t q = blocks / size, rest = blocks % size;
    int64_t block = q * rank + rest * rank / size;
    return block < blocks ? block * GR_RANGE_BLOCK : n;
}

gr_range gr_range_of_rank(int64_t n, int rank, int size)
{
    return (gr_range){.begin = border(n, rank, size), .end = border(n, rank + 1, size)};
}

int64_t gr_range_longest(int64_t n, int size)
{
    int64_t longest = 0;
    for (int rank = 0; rank < size; rank++) {
        int64_t count = gr_range_count(gr_range_of_rank(n, rank, size));
        longest = count > longest ? count : longest;
    }
    return longest;
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
