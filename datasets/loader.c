#include "datasets/loader_internal.h"
#include "datasets/mixture.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/formats/pictures.h"

#include <math.h>

/// Most words that a window keeps of its samples, 32 MiB (about 2.8 million tokens).
enum { MOST_KEPT = 8 << 20 };

struct gr_loader {
    gr_loader_options options;   ///< its sources are gone, its vision points to the copy below
    const gr_dataset **datasets; ///< of the sources
    gr_vision_config vision;
    gri_pack_rules rules;
    gri_mixture *mixture;
    int64_t limit;          ///< positions of the stage; INT64_MAX: endless
    gri_prefetch *prefetch; ///< NULL until something is announced
    gri_load load;          ///< for lanes that were not announced
    bool packed;            ///< load.window is one that was packed
    gri_scratch scratch;
    gri_pack pack;
    double waited;
};

static gr_err check_options(const gr_loader_options *o)
{
    gr_err err = GR_OK;
    if (o->global_batch < 1 || o->lanes < 1 || o->lanes > o->global_batch) {
        GR_FAIL(GR_ERR_RECIPE, "a global batch of %lld in %lld lanes: each lane needs a sample",
                (long long)o->global_batch, (long long)o->lanes);
    }
    if (o->sequence_length < 1 || o->sequence_length > INT32_MAX || o->max_images < 0) {
        GR_FAIL(GR_ERR_RECIPE, "sequence_length %lld, max_images %lld: out of range",
                (long long)o->sequence_length, (long long)o->max_images);
    }
    for (int64_t s = 0; s < o->source_count; s++) {
        const gr_loader_source *source = &o->sources[s];
        if (!(source->from >= 0 && source->from < source->to && source->to <= 1)) {
            GR_FAIL(GR_ERR_RECIPE, "%s: the part from %g to %g is not inside 0 to 1",
                    gr_dataset_path(source->dataset), source->from, source->to);
        }
    }
done:
    return err;
}

static void set_rules(gr_loader *l)
{
    gr_loader_options *o = &l->options;
    int64_t image_tokens = 0;
    if (o->vision) {
        l->vision = *o->vision;
        o->vision = &l->vision;
        image_tokens = gr_image_tokens(o->vision);
    }
    l->rules = (gri_pack_rules){.tokenizer = o->tokenizer,
                                .chat = o->chat,
                                .vision = o->vision,
                                .image_tokens = image_tokens,
                                .window = {.lanes = o->lanes,
                                           .sequence_length = o->sequence_length,
                                           .max_images = o->max_images,
                                           .seed = o->seed,
                                           .stream = o->stream},
                                .drop = o->drop};
    l->rules.chat.image_tokens = image_tokens;
    if (o->vision) {
        gr_picture_values(o->vision, l->rules.pixel_values);
    }
    o->window = o->window > 0 ? o->window : 1;
}

/// How many positions the stage has, and whether the sources last.
static gr_err set_limit(gr_loader *l)
{
    gr_err err = GR_OK;
    const gr_loader_options *o = &l->options;
    int64_t end = gri_mixture_end(l->mixture);
    double wanted = o->steps > 0 ? (double)o->steps * (double)o->global_batch
                                 : round(o->epochs * (double)gri_mixture_size(l->mixture));
    if (wanted > 0x1p62) {
        GR_FAIL(GR_ERR_RECIPE, "a stage of %g samples: too many", wanted);
    }
    l->limit = o->steps > 0 || o->epochs > 0 ? (int64_t)wanted : end;
    if (l->limit > end) {
        GR_FAIL(
            GR_ERR_RECIPE,
            "the stage uses %lld samples, but max_repeats allows %lld: raise it, add data, or "
            "make the stage shorter",
            (long long)l->limit, (long long)end);
    }
done:
    return err;
}

gr_err gr_loader_create(const gr_loader_options *options, gr_loader **out)
{
    gr_err err = GR_OK;
    gr_loader *l = NULL;
    GR_TRY(check_options(options));
    GR_ALLOC(l, 1);
    l->options = *options;
    l->options.sources = NULL;
    GR_ALLOC(l->datasets, options->source_count);
    for (int64_t s = 0; s < options->source_count; s++) {
        l->datasets[s] = options->sources[s].dataset;
    }
    set_rules(l);
    GR_TRY(gr_tokenizer_text_digest(l->options.tokenizer, &l->rules.tokenizer_digest));
    GR_TRY(gri_mixture_create(options->sources, options->source_count, options->seed,
                              options->stream, options->shuffle, &l->mixture));
    GR_TRY(set_limit(l));
    *out = l;
    l = NULL;
done:
    gr_loader_destroy(&l);
    return err;
}

void gr_loader_destroy(gr_loader **loader)
{
    gr_loader *l = *loader;
    if (!l) {
        return;
    }
    gri_prefetch_destroy(&l->prefetch);
    gri_load_fini(&l->load);
    gri_scratch_fini(&l->scratch);
    gri_pack_fini(&l->pack);
    gri_mixture_destroy(&l->mixture);
    GR_FREE(l->datasets);
    GR_FREE(*loader);
}

int64_t gr_loader_epoch_size(const gr_loader *loader)
{
    return gri_mixture_size(loader->mixture);
}

int64_t gr_loader_steps(const gr_loader *loader)
{
    int64_t batch = loader->options.global_batch;
    return loader->limit == INT64_MAX ? INT64_MAX
                                      : loader->limit / batch + (loader->limit % batch != 0);
}

double gr_loader_waited(const gr_loader *loader)
{
    return loader->waited;
}

const gri_pack_rules *gri_loader_rules(const gr_loader *loader)
{
    return &loader->rules;
}

int64_t gri_loader_window_of(const gr_loader *loader, int64_t step)
{
    return step / loader->options.window;
}

int64_t gri_loader_window_steps(const gr_loader *loader)
{
    return loader->options.window;
}

gri_ref gri_loader_sample(const gr_loader *loader, int64_t number)
{
    const gri_draw draw = gri_mixture_sample(loader->mixture, number);
    return (gri_ref){loader->datasets[draw.source], draw.index};
}

/// Makes the store as large as the window before this one needed it; the first has none.
static gr_err reserve_store(gri_store *store)
{
    gr_err err = GR_OK;
    int64_t need = atomic_exchange(&store->need, 0);
    need = need < MOST_KEPT ? need + need / 4 : MOST_KEPT;
    need = need < MOST_KEPT ? need : MOST_KEPT;
    if (need > store->capacity) {
        store->capacity = 0;
        GR_FREE(store->words);
        GR_ALLOC(store->words, need);
        store->capacity = need;
    }
done:
    return err;
}

void gri_load_fini(gri_load *load)
{
    gri_window_fini(&load->window);
    GR_FREE(load->store.words);
    load->store.capacity = 0;
    GR_FREE(load->kept);
    GR_FREE(load->refs);
    load->capacity = 0;
}

gr_err gri_loader_begin(const gr_loader *loader, int64_t number, gri_load *load)
{
    gr_err err = GR_OK;
    int64_t batch = loader->options.global_batch, size = loader->options.window * batch;
    int64_t begin = number * size;
    int64_t left = loader->limit > begin ? loader->limit - begin : 0;
    int64_t count = left < size ? left : size;
    GR_TRY(reserve_store(&load->store));
    if (count > load->capacity) {
        GR_RESIZE(load->refs, load->capacity, count);
        GR_RESIZE(load->kept, load->capacity, count);
        load->capacity = count;
    }
    for (int64_t i = 0; i < count; i++) {
        load->kept[i] = (gri_kept){0};
    }
    GR_TRY(gri_window_begin(&load->window, &loader->rules.window, number, count,
                            (count + batch - 1) / batch));
    for (int64_t i = 0; i < count; i++) {
        gri_draw draw = gri_mixture_at(loader->mixture, begin + i);
        load->refs[i] = (gri_ref){loader->datasets[draw.source], draw.index};
    }
done:
    return err;
}

gr_err gri_loader_measure(const gr_loader *loader, gri_load *load, int64_t i, bool by_counts,
                          gri_scratch *scratch)
{
    return gri_pack_measure(&loader->rules, load->refs[i], scratch, &load->window.sizes[i],
                            &load->store, by_counts, &load->kept[i]);
}

gr_err gri_loader_seat(const gr_loader *loader, const gri_load *load, int64_t step,
                       int64_t lane, gri_pack *pack)
{
    int64_t k = step % loader->options.window, cell = k * loader->options.lanes + lane;
    static const int64_t no_cells[2] = {0, 0};
    const gri_window nothing = {.cells = (int64_t *)no_cells};
    bool there = k < load->window.steps;
    return gri_pack_begin(pack, &loader->rules, there ? &load->window : &nothing,
                          there ? cell : 0, load->refs, load->kept);
}

gr_err gr_loader_expect(gr_loader *loader, int64_t step, int64_t last_step, int64_t first,
                        int64_t count)
{
    gr_err err = GR_OK;
    GR_ASSERT(step >= 0 && step <= last_step && first >= 0 && count >= 1 &&
              first + count <= loader->options.lanes);
    if (!loader->prefetch) {
        int threads = loader->options.threads > 0 ? loader->options.threads : 1;
        GR_TRY(gri_prefetch_create(loader, threads, &loader->prefetch));
    }
    gri_prefetch_start(loader->prefetch, (gri_plan){step, last_step, first, count});
done:
    return err;
}

/// Packs the window of a lane that was not announced, unless it is the one before.
static gr_err pack_window(gr_loader *l, int64_t number)
{
    gr_err err = GR_OK;
    if (l->packed && l->load.window.number == number) {
        goto done;
    }
    l->packed = false;
    GR_TRY(gri_loader_begin(l, number, &l->load));
    for (int64_t i = 0; i < l->load.window.count; i++) {
        GR_TRY(gri_loader_measure(l, &l->load, i, false, &l->scratch));
    }
    GR_TRY(gri_window_pack(&l->load.window, &l->rules.window));
    l->packed = true;
done:
    return err;
}

static gr_err get_lane(gr_loader *l, int64_t step, int64_t lane, gri_pack **out)
{
    gr_err err = GR_OK;
    gri_pack *pack = NULL;
    if (l->prefetch) {
        GR_TRY(gri_prefetch_take(l->prefetch, step, lane, &pack));
    }
    if (!pack) {
        pack = &l->pack;
        GR_TRY(pack_window(l, gri_loader_window_of(l, step)));
        GR_TRY(gri_loader_seat(l, &l->load, step, lane, pack));
        for (int64_t i = 0; i < pack->seat_count; i++) {
            gri_pack_fill(pack, &l->rules, i, &l->scratch);
        }
        GR_TRY(gri_pack_end(pack, &l->rules));
    }
    *out = pack;
done:
    return err;
}

gr_err gr_loader_lane(gr_loader *loader, int64_t step, int64_t lane, const gr_lane_batch **out)
{
    gr_err err = GR_OK;
    gri_pack *pack = NULL;
    double start = gr_clock();
    GR_ASSERT(step >= 0 && lane >= 0 && lane < loader->options.lanes);
    GR_TRY(get_lane(loader, step, lane, &pack));
    *out = &pack->view;
done:
    loader->waited += gr_clock() - start;
    return err;
}
