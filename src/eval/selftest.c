#include "src/eval/selftest.h"

#include "mpi/gather.h"
#include "mpi/lanes.h"
#include "src/base/mem.h"
#include "src/model/model.h"
#include "src/ops/loss.h"

#include <math.h>
#include <string.h>

// Conversations of 5 to 8 tokens; every third has no picture.
enum { CONVERSATIONS = 8, LONGEST = 8, IMAGE_TOKENS = 4, PIXELS = 3 * 8 * 8, VOCABULARY = 10 };

static const gr_model_config config = {.parts = GR_PARTS_ALL,
                                       .vision = {.kind = GR_VISION_AIMV2,
                                                  .image_size = 8,
                                                  .patch_size = 2,
                                                  .channels = 3,
                                                  .width = 8,
                                                  .heads = 2,
                                                  .mlp_width = 12,
                                                  .blocks = 1,
                                                  .norm_eps = 1e-5,
                                                  .initializer_range = 0.3,
                                                  .image_std = {1, 1, 1}},
                                       .connector = {.norm_eps = 1e-5},
                                       .language = {.kind = GR_LANGUAGE_QWEN2,
                                                    .vocabulary = VOCABULARY,
                                                    .width = 12,
                                                    .blocks = 2,
                                                    .heads = 3,
                                                    .kv_heads = 1,
                                                    .head_size = 4,
                                                    .mlp_width = 20,
                                                    .max_positions = 64,
                                                    .rope_theta = 1e6,
                                                    .norm_eps = 1e-6,
                                                    .tied = true,
                                                    .initializer_range = 0.3}};

// Conversations packed into one row, as the loader packs them.
typedef struct pack {
    gr_batch batch;
    int32_t ids[CONVERSATIONS * LONGEST], targets[CONVERSATIONS * LONGEST];
    int32_t positions[CONVERSATIONS * LONGEST], cu_seqlens[CONVERSATIONS + 1];
    int32_t image_rows[CONVERSATIONS * IMAGE_TOKENS];
    float pixels[CONVERSATIONS * PIXELS];
} pack;

static void pack_add_image(pack *p, int conversation, int32_t row)
{
    gr_batch *b = &p->batch;
    for (int i = 0; i < IMAGE_TOKENS; i++) {
        p->image_rows[b->images * IMAGE_TOKENS + i] = row + i;
    }
    for (int i = 0; i < PIXELS; i++) {
        p->pixels[b->images * PIXELS + i] = (float)sin(0.37 * i + 1.7 * conversation);
    }
    b->images++;
}

static void pack_add(pack *p, int conversation)
{
    gr_batch *b = &p->batch;
    const int length = 5 + conversation % 4;
    const int32_t first = (int32_t)b->tokens;
    for (int i = 0; i < length; i++) {
        p->ids[first + i] = (3 * conversation + 7 * i) % VOCABULARY;
        p->targets[first + i] = i >= IMAGE_TOKENS && i + 1 < length
                                    ? (3 * conversation + 7 * (i + 1)) % VOCABULARY
                                    : GR_NO_TARGET;
        p->positions[first + i] = i;
    }
    p->targets[first + IMAGE_TOKENS] = conversation % VOCABULARY; // each has a target
    if (conversation % 3) {
        pack_add_image(p, conversation, first);
    }
    b->tokens += length;
    p->cu_seqlens[++b->sequences] = (int32_t)b->tokens;
}

// Conversations first .. end - 1.
static void pack_make(pack *p, int first, int end)
{
    memset(p, 0, sizeof *p);
    p->batch = (gr_batch){.ids = p->ids,
                          .targets = p->targets,
                          .positions = p->positions,
                          .cu_seqlens = p->cu_seqlens,
                          .pixels = {.values = p->pixels},
                          .image_rows = p->image_rows};
    for (int i = first; i < end; i++) {
        pack_add(p, i);
    }
}

// A model, and its gradient as one vector [n] with the parts end to end.
typedef struct bench {
    gr_exec *ex;
    gr_model *model;
    int64_t n;
    pack *pack;
} bench;

static void bench_fini(bench *b)
{
    GR_FREE(b->pack);
    gr_model_destroy(&b->model);
    gr_exec_destroy(&b->ex);
}

static gr_err bench_init(bench *b, int threads)
{
    gr_err err = GR_OK;
    GR_TRY(gr_exec_create_cpu(threads, (int64_t)64 << 20, &b->ex));
    GR_TRY(gr_model_create(&config, b->ex, &b->model));
    gr_model_init(b->model, GR_PARTS_ALL, 1);
    GR_ALLOC(b->pack, 1);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        b->n += gr_model_get_params(b->model)->size[p];
    }
done:
    return err;
}

// Adds loss and gradient of conversations first .. end - 1, in packs of `size`.
static gr_err add_gradient(bench *b, int first, int end, int size, float *gradient,
                           double *loss)
{
    gr_err err = GR_OK;
    float *grads[GR_PART_COUNT];
    int64_t offset = 0;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        grads[p] = gradient + offset;
        offset += gr_model_get_params(b->model)->size[p];
    }
    for (int at = first; at < end; at += size) {
        double more = 0;
        pack_make(b->pack, at, at + size < end ? at + size : end);
        GR_TRY(gr_model_loss_grad(b->model, &b->pack->batch, GR_PARTS_ALL, grads, &more));
        *loss += more;
    }
done:
    return err;
}

// Distance from the reference, relative; also remembered in *worst.
static gr_err judge(const char *what, const float *got, const float *want, int64_t n,
                    double *worst)
{
    gr_err err = GR_OK;
    double distance = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        distance += d * d;
        norm += (double)want[i] * (double)want[i];
    }
    distance = sqrt(distance / norm);
    if (!(distance <= GR_SPLIT_BOUND)) { // NaN fails too
        GR_FAIL(GR_ERR_FAILED,
                "self-test: gradient of %s: off by %.2e from that of one row, allowed %.0e",
                what, distance, GR_SPLIT_BOUND);
    }
    *worst = distance > *worst ? distance : *worst;
done:
    return err;
}

gr_err gr_selftest_threads(int threads)
{
    gr_err err = GR_OK;
    bench one = {0}, many = {0};
    float *want = NULL, *got = NULL;
    double want_loss = 0, got_loss = 0;
    GR_TRY(bench_init(&one, 1));
    GR_TRY(bench_init(&many, threads));
    GR_ALLOC(want, one.n);
    GR_ALLOC(got, one.n);
    GR_TRY(add_gradient(&one, 0, CONVERSATIONS, CONVERSATIONS, want, &want_loss));
    GR_TRY(add_gradient(&many, 0, CONVERSATIONS, CONVERSATIONS, got, &got_loss));
    for (int64_t i = 0; i < one.n; i++) {
        if (memcmp(&want[i], &got[i], sizeof want[i]) != 0) {
            GR_FAIL(GR_ERR_FAILED,
                    "self-test: gradient element %lld: %.9g with 1 thread, %.9g with %d",
                    (long long)i, (double)want[i], (double)got[i], threads);
        }
    }
    if (memcmp(&want_loss, &got_loss, sizeof want_loss) != 0) {
        GR_FAIL(GR_ERR_FAILED, "self-test: loss: %.17g with 1 thread, %.17g with %d", want_loss,
                got_loss, threads);
    }
done:
    GR_FREE(want);
    GR_FREE(got);
    bench_fini(&one);
    bench_fini(&many);
    return err;
}

// Packs of 1, 2, 3 and 5 conversations, one after the other into one gradient.
static gr_err compare_packs(bench *b, const float *want, float *got, double *worst)
{
    static const struct {
        int size;
        const char *what;
    } cuts[] = {
        {1, "single conversations"}, {2, "packs of 2"}, {3, "packs of 3"}, {5, "packs of 5"}};
    gr_err err = GR_OK;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        double loss = 0;
        memset(got, 0, (size_t)b->n * sizeof *got);
        GR_TRY(add_gradient(b, 0, CONVERSATIONS, cuts[i].size, got, &loss));
        GR_TRY(judge(cuts[i].what, got, want, b->n, worst));
    }
done:
    return err;
}

// The conversations over `count` lanes, as equally as they go, added by the tree and across the ranks.
static gr_err compare_lanes(bench *b, const gr_world *world, int64_t count, const float *want,
                            double *worst)
{
    gr_err err = GR_OK;
    gr_lanes *lanes = NULL;
    gr_gather *gather = NULL;
    float *sum = NULL;
    double loss = 0;
    GR_TRY(gr_lanes_create(world, count, b->n, &lanes));
    GR_TRY(gr_world_agree(world, gr_gather_create(world, b->n, &gather)));
    gr_lanes_begin(lanes);
    for (int64_t i = 0; i < gr_lanes_count(lanes); i++) {
        int64_t lane = gr_lanes_first(lanes) + i;
        int first = (int)(lane * CONVERSATIONS / count);
        int end = (int)((lane + 1) * CONVERSATIONS / count);
        GR_TRY(add_gradient(b, first, end, 2, gr_lanes_next(lanes), &loss));
    }
    GR_TRY(gr_lanes_reduce(lanes, &sum));
    GR_TRY(gr_gather_run(gather, &(gr_gather_part){{0, b->n}, .values = sum}));
    GR_TRY(judge(count == CONVERSATIONS ? "a lane each" : "several lanes", sum, want, b->n,
                 worst));
done:
    gr_lanes_destroy(&lanes);
    gr_gather_destroy(&gather);
    return err;
}

gr_err gr_selftest_split(const gr_world *world, double *worst)
{
    gr_err err = GR_OK;
    bench b = {0};
    float *want = NULL, *got = NULL;
    double loss = 0;
    GR_TRY(bench_init(&b, 1));
    GR_ALLOC(want, b.n);
    GR_ALLOC(got, b.n);
    GR_TRY(add_gradient(&b, 0, CONVERSATIONS, CONVERSATIONS, want, &loss));
    err = compare_packs(&b, want, got, worst);
    for (int64_t lanes = CONVERSATIONS; world && lanes >= 2; lanes--) {
        // Every rank runs the same comparisons; the first failure decides for all.
        GR_TRY(gr_world_agree(world, err));
        if (lanes >= world->size) {
            err = compare_lanes(&b, world, lanes, want, worst);
        }
    }
    GR_TRY(world ? gr_world_agree(world, err) : err);
    if (world && world->size > CONVERSATIONS) { // some lanes then hold nothing
        err = compare_lanes(&b, world, world->size, want, worst);
        GR_TRY(gr_world_agree(world, err));
    }
done:
    GR_FREE(want);
    GR_FREE(got);
    bench_fini(&b);
    return err;
}
