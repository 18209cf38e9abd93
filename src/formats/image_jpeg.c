#include "src/base/mem.h"
#include "src/formats/image_codec.h"

#include <setjmp.h>
#include <stdio.h> // jpeglib.h needs FILE

#include <jpeglib.h>

#include <jerror.h>

/// Encoders write about ten scans. A file may have thousands, over the whole picture in a few bytes each, and take minutes;
/// libjpeg-turbo's own fuzzers stop at as many.
enum { MOST_SCANS = 100 };

/// One decode. libjpeg's error handler may not return, so everything that must survive the longjmp lives here and not
/// in a local.
typedef struct jpeg_job {
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    jmp_buf back;
    const unsigned char *data;
    size_t size;
    int channels; ///< 3, or 4 for CMYK
    gr_image image;
    unsigned char *row; ///< one row of CMYK
    char problem[JMSG_LENGTH_MAX];
} jpeg_job;

static void on_error(j_common_ptr common)
{
    jpeg_job *job = common->client_data;
    common->err->format_message(common, job->problem);
    longjmp(job->back, 1);
}

/// Warnings mean damaged pixels, except those that only concern bytes between the parts.
static void on_message(j_common_ptr common, int level)
{
    int code = common->err->msg_code;
    bool harmless =
        code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM;
    if (level < 0 && !harmless) {
        on_error(common);
    }
}

/// libjpeg calls it before each piece of input that it takes in while it puts scans together.
static void on_progress(j_common_ptr common)
{
    jpeg_job *job = common->client_data;
    if (job->jpeg.input_scan_number > MOST_SCANS) {
        snprintf(job->problem, sizeof job->problem,
                 "more than %d scans, as no encoder writes them; save the picture again",
                 MOST_SCANS);
        longjmp(job->back, 1);
    }
}

/// Runs one step of libjpeg; false if it left by an error. Steps allocate nothing of ours.
static bool guarded(jpeg_job *job, void (*step)(jpeg_job *))
{
    if (setjmp(job->back)) {
        return false;
    }
    step(job);
    return true;
}

static void step_header(jpeg_job *job)
{
    jpeg_create_decompress(&job->jpeg);
    job->jpeg.progress = &job->progress;
    jpeg_mem_src(&job->jpeg, job->data, (unsigned long)job->size);
    (void)jpeg_read_header(&job->jpeg, TRUE);
    J_COLOR_SPACE space = job->jpeg.jpeg_color_space;
    bool cmyk = space == JCS_CMYK || space == JCS_YCCK;
    job->jpeg.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    job->channels = cmyk ? 4 : 3;
}

/// a * b / 255, rounded to nearest.
static unsigned char scaled(unsigned a, unsigned b)
{
    return (unsigned char)((a * b + 127) / 255);
}

/// CMYK in JPEG is stored inverted (Adobe's convention, which Pillow takes for granted too).
static void cmyk_to_rgb(const unsigned char *cmyk, int64_t pixels, unsigned char *rgb)
{
    for (int64_t i = 0; i < pixels; i++) {
        unsigned k = cmyk[4 * i + 3];
        for (int64_t c = 0; c < 3; c++) {
            rgb[3 * i + c] = (unsigned char)(k - scaled(255U - cmyk[4 * i + c], k));
        }
    }
}

static void step_pixels(jpeg_job *job)
{
    (void)jpeg_start_decompress(&job->jpeg);
    while (job->jpeg.output_scanline < job->jpeg.output_height) {
        int64_t y = job->jpeg.output_scanline;
        unsigned char *to = job->image.rgb + y * job->image.width * 3;
        JSAMPROW row = job->row ? job->row : to;
        (void)jpeg_read_scanlines(&job->jpeg, &row, 1);
        if (job->row) {
            cmyk_to_rgb(job->row, job->image.width, to);
        }
    }
    (void)jpeg_finish_decompress(&job->jpeg);
}

/// A Huffman-coded block of at most 32 x 32 pixels takes at least one bit, so a header that promises more pixels than the
/// file can hold is refused before they are allocated.
static bool can_hold(const jpeg_job *job)
{
    int64_t pixels = job->image.width * job->image.height;
    return job->jpeg.arith_code || (double)pixels <= 8192.0 * (double)job->size;
}

static gr_err read_jpeg(const char *name, unsigned how, jpeg_job *job)
{
    gr_err err = GR_OK;
    if (!guarded(job, step_header)) {
        GR_FAIL(GR_ERR_DATA, "%s: bad JPEG: %s", name, job->problem);
    }
    job->image.width = job->jpeg.image_width;
    job->image.height = job->jpeg.image_height;
    GR_TRY(gri_image_check_size(name, job->image.width, job->image.height));
    if (!can_hold(job)) {
        GR_FAIL(GR_ERR_DATA, "%s: bad JPEG: %lld x %lld pixels cannot be in %zu bytes", name,
                (long long)job->image.width, (long long)job->image.height, job->size);
    }
    if (how & GRI_DECODE_HEADER_ONLY) {
        goto done;
    }
    GR_ALLOC(job->image.rgb, job->image.width * job->image.height * 3);
    if (job->channels == 4) {
        GR_ALLOC(job->row, job->image.width * 4);
    }
    if (!guarded(job, step_pixels)) {
        GR_FAIL(GR_ERR_DATA, "%s: bad JPEG: %s", name, job->problem);
    }
done:
    return err;
}

gr_err gri_jpeg_decode(const char *name, const void *data, size_t size, unsigned how,
                       gr_image *out)
{
    gr_err err = GR_OK;
    jpeg_job *job = NULL;
    GR_ALLOC(job, 1);
    job->data = data;
    job->size = size;
    job->jpeg.err = jpeg_std_error(&job->errors);
    job->jpeg.client_data = job;
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    job->progress.progress_monitor = on_progress;
    GR_TRY(read_jpeg(name, how, job));
    *out = job->image;
    job->image = (gr_image){0};
done:
    if (job) {
        jpeg_destroy_decompress(&job->jpeg);
        gr_image_fini(&job->image);
        GR_FREE(job->row);
    }
    GR_FREE(job);
    return err;
}
