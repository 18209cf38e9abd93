#include "datasets/loader_internal.h"
#include "datasets/order.h"
#include "src/base/log.h"
#include "src/base/mem.h"

struct gr_loader {
    gr_loader_options options; ///< its sources and vision point to the copies below
    gr_loader_source *sources; ///< [source_count]
    int64_t *first; ///< [source_count + 1]: numbers the samples of all sources end to end
    gr_vision_config vision;
    gri_pack_rules rules;
    int64_t *index; ///< [size]: numbers of the samples in use
    int64_t size, capacity;
    gri_prefetch *prefetch; ///< NULL until something is announced
    gri_pack pack;          ///< for lanes that were not announced
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

static gr_err add_number(gr_loader *l, int64_t number)
{
    gr_err err = GR_OK;
    if (l->size == l->capacity) {
        int64_t capacity = l->capacity ? 2 * l->capacity : 1024;
        GR_RESIZE(l->index, l->capacity, capacity);
        l->capacity = capacity;
    }
    l->index[l->size++] = number;
done:
    return err;
}

static gr_err index_source(gr_loader *l, const gr_loader_source *source, int64_t first)
{
    gr_err err = GR_OK;
    bool all = source->from <= 0 && source->to >= 1; // then no shard need be opened now
    for (int64_t i = 0; i < gr_dataset_count(source->dataset); i++) {
        gr_digest id = {0};
        if (!all) {
            GR_TRY(gr_dataset_id(source->dataset, i, &id));
        }
        double place = gr_order_place(id);
        if (all || (place >= source->from && place < source->to)) {
            GR_TRY(add_number(l, first + i));
        }
    }
done:
    return err;
}

static gr_err build_index(gr_loader *l)
{
    gr_err err = GR_OK;
    int64_t count = l->options.source_count;
    for (int64_t s = 0; s < count; s++) {
        GR_TRY(index_source(l, &l->sources[s], l->first[s]));
        l->first[s + 1] = l->first[s] + gr_dataset_count(l->sources[s].dataset);
    }
    if (l->size == 0) {
        GR_FAIL(GR_ERR_DATA,
                "no samples: %lld data sets with %lld samples, none in the parts asked for%s%s",
                (long long)count, (long long)l->first[count], count ? "; the first is " : "",
                count ? gr_dataset_path(l->sources[0].dataset) : "");
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
                                .sequence_length = o->sequence_length,
                                .max_images = o->max_images};
    l->rules.chat.image_tokens = image_tokens;
}

gr_err gr_loader_create(const gr_loader_options *options, gr_loader **out)
{
    gr_err err = GR_OK;
    gr_loader *l = NULL;
    GR_TRY(check_options(options));
    GR_ALLOC(l, 1);
    l->options = *options;
    GR_ALLOC(l->sources, options->source_count);
    GR_ALLOC(l->first, options->source_count + 1);
    for (int64_t s = 0; s < options->source_count; s++) {
        l->sources[s] = options->sources[s];
    }
    l->options.sources = l->sources;
    set_rules(l);
    GR_TRY(build_index(l));
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
    gri_pack_fini(&l->pack);
    GR_FREE(l->index);
    GR_FREE(l->first);
    GR_FREE(l->sources);
    GR_FREE(*loader);
}

int64_t gr_loader_epoch_size(const gr_loader *loader)
{
    return loader->size;
}

double gr_loader_waited(const gr_loader *loader)
{
    return loader->waited;
}

gri_span gri_loader_span(const gr_loader *loader, int64_t step, int64_t lane)
{
    int64_t batch = loader->options.global_batch, lanes = loader->options.lanes;
    return (gri_span){step * batch + lane * batch / lanes,
                      step * batch + (lane + 1) * batch / lanes};
}

/// The number of the sample at a position of the stage's order.
static int64_t number_at(const gr_loader *l, int64_t position)
{
    int64_t epoch = position / l->size, i = position % l->size;
    if (l->options.shuffle) {
        i = gr_order(l->options.seed, l->options.stream, epoch, l->size, i);
    }
    return l->index[i];
}

gr_err gri_loader_fill(const gr_loader *loader, gri_span span, const atomic_bool *stop,
                       gri_pack *pack)
{
    gr_err err = GR_OK;
    gri_pack_begin(pack);
    for (int64_t position = span.begin; position < span.end; position++) {
        if (stop && atomic_load(stop)) {
            GR_FAIL(GR_ERR_STOPPED, "stopped reading ahead");
        }
        int64_t number = number_at(loader, position), source = 0;
        while (number >= loader->first[source + 1]) {
            source++;
        }
        GR_TRY(gri_pack_add(pack, &loader->rules, loader->sources[source].dataset,
                            number - loader->first[source]));
    }
    gri_pack_end(pack, &loader->rules);
done:
    return err;
}

gr_err gr_loader_expect(gr_loader *loader, int64_t step, int64_t last_step, int64_t first,
                        int64_t count)
{
    gr_err err = GR_OK;
    GR_ASSERT(step >= 0 && step <= last_step && first >= 0 && count >= 1 &&
              first + count <= loader->options.lanes);
    if (!loader->prefetch) {
        GR_TRY(gri_prefetch_create(loader, &loader->prefetch));
    }
    gri_prefetch_start(loader->prefetch, (gri_plan){step, last_step, first, count});
done:
    return err;
}

static gr_err get_lane(gr_loader *l, gri_span span, gri_pack **out)
{
    gr_err err = GR_OK;
    gri_pack *pack = NULL;
    if (l->prefetch) {
        GR_TRY(gri_prefetch_take(l->prefetch, span, &pack));
    }
    if (!pack) {
        pack = &l->pack;
        GR_TRY(gri_loader_fill(l, span, NULL, pack));
    }
    *out = pack;
done:
    return err;
}

gr_err gr_loader_lane(gr_loader *loader, int64_t step, int64_t lane, int64_t limit,
                      const gr_lane_batch **out)
{
    gr_err err = GR_OK;
    gri_pack *pack = NULL;
    double start = gr_clock();
    GR_ASSERT(step >= 0 && lane >= 0 && lane < loader->options.lanes && limit >= 0);
    gri_span span = gri_loader_span(loader, step, lane);
    if (limit > 0 && span.end > limit) {
        span.end = span.begin < limit ? limit : span.begin;
    }
    GR_TRY(get_lane(loader, span, &pack));
    *out = &pack->view;
done:
    loader->waited += gr_clock() - start;
    return err;
}
