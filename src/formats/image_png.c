#include "src/base/mem.h"
#include "src/formats/image_codec.h"

#include <png.h>
#include <stdio.h>
#include <string.h>

/// One decode. libpng leaves by longjmp, so everything that must survive lives here and not in a local.
typedef struct png_job {
    const unsigned char *data;
    size_t size, at;
    png_structp png;
    png_infop info;
    bool alpha; ///< keep alpha: rows of RGBA
    png_bytepp rows;
    char problem[160];
} png_job;

static void on_error(png_structp png, png_const_charp text)
{
    png_job *job = png_get_error_ptr(png);
    snprintf(job->problem, sizeof job->problem, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    png_job *job = png_get_io_ptr(png);
    if (n > job->size - job->at) {
        png_error(png, "truncated");
    }
    memcpy(to, job->data + job->at, n);
    job->at += n;
}

/// Runs one step of libpng; false if it left by an error. Steps allocate nothing of ours.
static bool guarded(png_job *job, void (*step)(png_job *))
{
    if (setjmp(png_jmpbuf(job->png))) {
        return false;
    }
    step(job);
    return true;
}

static void step_header(png_job *job)
{
    png_read_info(job->png, job->info);
}

/// Everything becomes RGB or RGBA of 8 bits, without gamma.
static void step_transforms(png_job *job)
{
    png_set_expand(job->png); // palette, grey below 8 bits, tRNS to alpha
    png_set_strip_16(job->png);
    png_set_gray_to_rgb(job->png);
    if (job->alpha) {
        png_set_add_alpha(job->png, 255, PNG_FILLER_AFTER);
    } else {
        png_set_strip_alpha(job->png);
    }
    (void)png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
}

static void step_pixels(png_job *job)
{
    png_read_image(job->png, job->rows);
    png_read_end(job->png, NULL);
}

static bool has_alpha(const png_job *job)
{
    return (png_get_color_type(job->png, job->info) & PNG_COLOR_MASK_ALPHA) != 0 ||
           png_get_valid(job->png, job->info, PNG_INFO_tRNS) != 0;
}

/// Deflate shrinks at most 1032 to 1, so a header that promises more pixels than the file can hold is refused
/// before they are allocated.
static bool can_hold(const png_job *job, int64_t height)
{
    size_t row = png_get_rowbytes(job->png, job->info);
    return (double)row * (double)height <= 1100.0 * (double)job->size;
}

static gr_err read_pixels(const char *name, png_job *job, gr_image *image)
{
    gr_err err = GR_OK;
    unsigned char *rgba = NULL;
    int64_t pixels = image->width * image->height;
    GR_ALLOC(image->rgb, pixels * 3);
    if (job->alpha) {
        GR_ALLOC(rgba, pixels * 4);
    }
    GR_ALLOC(job->rows, image->height);
    for (int64_t y = 0; y < image->height; y++) {
        job->rows[y] = rgba ? rgba + y * image->width * 4 : image->rgb + y * image->width * 3;
    }
    if (!guarded(job, step_pixels)) {
        GR_FAIL(GR_ERR_DATA, "%s: bad PNG: %s", name, job->problem);
    }
    if (rgba) {
        gri_image_blend_white(rgba, pixels, image->rgb);
    }
done:
    GR_FREE(rgba);
    GR_FREE(job->rows);
    return err;
}

gr_err gri_png_decode(const char *name, const void *data, size_t size, unsigned how,
                      gr_image *out)
{
    gr_err err = GR_OK;
    png_job job = {.data = data, .size = size};
    gr_image image = {0};
    job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    job.info = job.png ? png_create_info_struct(job.png) : NULL;
    if (!job.info) {
        GR_FAIL(GR_ERR_MEMORY, "%s: out of memory in libpng", name);
    }
    png_set_read_fn(job.png, &job, on_read);
    png_set_user_limits(job.png, GR_IMAGE_MAX_PIXELS, GR_IMAGE_MAX_PIXELS);
    if (!guarded(&job, step_header)) {
        GR_FAIL(GR_ERR_DATA, "%s: bad PNG: %s", name, job.problem);
    }
    image.width = png_get_image_width(job.png, job.info);
    image.height = png_get_image_height(job.png, job.info);
    GR_TRY(gri_image_check_size(name, image.width, image.height));
    if (!can_hold(&job, image.height)) {
        GR_FAIL(GR_ERR_DATA, "%s: bad PNG: %lld x %lld pixels cannot be in %zu bytes", name,
                (long long)image.width, (long long)image.height, size);
    }
    if (!(how & GRI_DECODE_HEADER_ONLY)) {
        job.alpha = (how & GRI_DECODE_OVER_WHITE) && has_alpha(&job);
        if (!guarded(&job, step_transforms)) {
            GR_FAIL(GR_ERR_DATA, "%s: bad PNG: %s", name, job.problem);
        }
        GR_TRY(read_pixels(name, &job, &image));
    }
    *out = image;
    image = (gr_image){0};
done:
    if (job.png) {
        png_destroy_read_struct(&job.png, &job.info, NULL);
    }
    gr_image_fini(&image);
    return err;
}
