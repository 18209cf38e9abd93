#include "datasets/order.h"
#include "datasets/shard.h"
#include "src/base/file.h"
#include "src/cli/args.h"
#include "src/cli/command.h"

#include <stdio.h>
#include <string.h>

static gr_err show_image(const gr_sample *sample, int64_t image, const char *out)
{
    gr_err err = GR_OK;
    const char *end = strrchr(out, '.');
    if (!end || strcmp(end, ".webp") != 0) {
        GR_FAIL(
            GR_ERR_USAGE,
            "data show: --out: pictures are written as they are stored, so the name must end "
            "in .webp, got \"%s\"",
            out);
    }
    if (image >= sample->images) {
        GR_FAIL(GR_ERR_USAGE, "data show: --image: the sample has %lld pictures, got %lld",
                (long long)sample->images, (long long)image);
    }
    GR_TRY(gr_file_write(out, sample->image[image], sample->image_size[image]));
done:
    return err;
}

gr_err gri_data_show(int argc, char **argv)
{
    gr_err err = GR_OK;
    gr_dataset *data = NULL;
    gr_sample *sample = NULL;
    char id[GR_DIGEST_TEXT];
    const char *dir = NULL, *out = NULL;
    int64_t index = 0, image = 0;
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("DIR", &dir, "data set", .required = true),
        GRI_INT("index", "I", &index, 0, INT64_MAX, "number of the sample, from 0",
                .required = true),
        GRI_TEXT("out", "FILE.webp", &out, "writes a picture of the sample, as it is stored"),
        GRI_INT("image", "K", &image, 0, INT64_MAX, "which picture, from 0 (default: 0)"),
    };
    GR_TRY(GRI_ARGS_PARSE("data show", "Prints one sample and writes its picture.", args, argc,
                          argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_dataset_open(dir, &data));
    if (index >= gr_dataset_count(data)) {
        GR_FAIL(
            GR_ERR_USAGE,
            "data show: --index: expected 0 to %lld (the data set has %lld samples), got %lld",
            (long long)gr_dataset_count(data) - 1, (long long)gr_dataset_count(data),
            (long long)index);
    }
    GR_TRY(gr_dataset_read(data, index, &sample));
    if (out) {
        GR_TRY(show_image(sample, image, out));
    }
    gr_digest_format(sample->id, id);
    printf("id %s\nplace %.6f\nsource %s\nimages %lld\n", id, gr_order_place(sample->id),
           sample->source, (long long)sample->images);
    for (int64_t i = 0; i < sample->images; i++) {
        printf("image %lld: %d x %d pixels, %zu bytes\n", (long long)i, sample->pixels[i][0],
               sample->pixels[i][1], sample->image_size[i]);
    }
    printf("%.*s\n", (int)sample->text_size, sample->text);
done:
    gr_sample_destroy(&sample);
    gr_dataset_close(&data);
    return err;
}
