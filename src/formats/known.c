#include "src/formats/known.h"

#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/crc32c.h"
#include "src/formats/image.h"
#include "src/formats/image_tiles.h"
#include "src/formats/tokenizer_parts.h"

#include <stdio.h>
#include <string.h>

/// Appendix B.1: columns and rows for at most 12, 10 and 6 tiles of 448 pixels.
static gr_err run_tiles(void)
{
    static const int64_t most[] = {12, 10, 6};
    static const struct {
        int64_t width, height, grid[3][2];
    } table[] = {
        {448, 448, {{1, 1}, {1, 1}, {1, 1}}},   {949, 949, {{2, 2}, {2, 2}, {2, 2}}},
        {800, 600, {{4, 3}, {3, 2}, {3, 2}}},   {951, 951, {{3, 3}, {3, 3}, {2, 2}}},
        {1920, 1080, {{4, 2}, {4, 2}, {2, 1}}}, {3000, 1000, {{6, 2}, {3, 1}, {3, 1}}},
        {1080, 1920, {{2, 4}, {2, 4}, {1, 2}}}, {500, 2000, {{1, 4}, {1, 4}, {1, 4}}},
        {640, 480, {{4, 3}, {3, 2}, {3, 2}}},   {896, 448, {{2, 1}, {2, 1}, {2, 1}}},
        {633, 633, {{1, 1}, {1, 1}, {1, 1}}},   {1267, 634, {{4, 2}, {4, 2}, {2, 1}}},
        {634, 634, {{2, 2}, {2, 2}, {2, 2}}},   {224, 224, {{1, 1}, {1, 1}, {1, 1}}},
        {1280, 1024, {{4, 3}, {3, 3}, {3, 2}}}, {600, 480, {{4, 3}, {1, 1}, {1, 1}}},
        {1400, 800, {{4, 2}, {4, 2}, {3, 2}}},  {1000, 800, {{4, 3}, {3, 2}, {3, 2}}},
    };
    gr_err err = GR_OK;
    char what[96];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (int m = 0; m < 3; m++) {
            const gr_tile_rules rules = {
                .side = 448, .fewest = 1, .most = most[m], .thumbnail = true};
            const int64_t columns = table[i].grid[m][0], rows = table[i].grid[m][1];
            const int64_t tiles = columns * rows;
            gr_tile_plan plan = {0};
            GR_TRY(gr_tiles_plan(&rules, table[i].width, table[i].height, &plan));
            snprintf(what, sizeof what, "tiles of %lld x %lld, at most %lld",
                     (long long)table[i].width, (long long)table[i].height, (long long)most[m]);
            GR_TRY(gr_known_int(what, plan.first.columns, columns));
            GR_TRY(gr_known_int(what, plan.first.rows, rows));
            GR_TRY(gr_known_int(what, plan.second.columns + plan.second.rows, 0));
            GR_TRY(gr_known_int(what, plan.count, tiles + (tiles > 1))); // and the thumbnail
        }
    }
done:
    return err;
}

/// Rows of `width` grey pixels, beginning with row `row`.
static gr_err compare_grey(const gr_image *image, int64_t row, const int *want, int64_t n)
{
    gr_err err = GR_OK;
    char what[96];
    const unsigned char *rgb = image->rgb + row * image->width * 3;
    snprintf(what, sizeof what, "a pixel of Pillow's resize to %lld x %lld",
             (long long)image->width, (long long)image->height);
    for (int64_t i = 0; i < 3 * n; i++) {
        GR_TRY(gr_known_int(what, rgb[i], want[i / 3]));
    }
done:
    return err;
}

/// Appendix B.3: the grey picture (37 i i + 11 i) mod 256, 8 wide and 6 high, to 5 x 4 and to 11 x 7.
static gr_err compare_resize(gr_image_filter filter, const int small[20], const int first[11],
                             const int last[11])
{
    gr_err err = GR_OK;
    gr_image in = {.width = 8, .height = 6}, out = {0};
    GR_ALLOC(in.rgb, 8 * 6 * 3);
    for (int i = 0; i < 48; i++) {
        memset(in.rgb + 3 * i, (37 * i * i + 11 * i) % 256, 3);
    }
    GR_TRY(gr_image_resize(&in, filter, 5, 4, &out));
    GR_TRY(compare_grey(&out, 0, small, 20));
    gr_image_fini(&out);
    GR_TRY(gr_image_resize(&in, filter, 11, 7, &out));
    GR_TRY(compare_grey(&out, 0, first, 11));
    GR_TRY(compare_grey(&out, 6, last, 11));
done:
    gr_image_fini(&out);
    gr_image_fini(&in);
    return err;
}

static gr_err run_resize(void)
{
    static const int small[] = {40,  149, 138, 196, 109, 131, 172, 196, 200, 143,
                                105, 167, 161, 150, 88,  200, 157, 128, 161, 122};
    static const int first[] = {0, 19, 89, 169, 118, 106, 144, 211, 146, 101, 99};
    static const int last[] = {255, 211, 188, 192, 39, 89, 184, 157, 205, 156, 65};
    return compare_resize(GR_IMAGE_BICUBIC, small, first, last);
}

/// The same by Pillow's bilinear filter (Pillow 11.3.0: Image.resize((w, h), Image.BILINEAR)), for SigLIP 2.
static gr_err run_bilinear(void)
{
    static const int small[] = {50,  146, 141, 188, 112, 129, 170, 188, 192, 138,
                                112, 164, 159, 153, 96,  192, 159, 133, 156, 122};
    static const int first[] = {0, 28, 87, 167, 124, 117, 144, 208, 148, 110, 98};
    static const int last[] = {248, 210, 187, 186, 61, 101, 175, 157, 190, 152, 74};
    return compare_resize(GR_IMAGE_BILINEAR, small, first, last);
}

/// The pieces of a text, joined by '|'.
static gr_err join_pieces(gri_pieces *pieces, const gri_splitter *splitter, const char *text,
                          gr_str *out)
{
    gr_err err = GR_OK;
    const char *piece = NULL;
    size_t size = strlen(text), n = 0;
    gr_str_clear(out);
    GR_TRY(gr_str_add(out, ""));
    GR_TRY(gri_pieces_normalize(pieces, splitter, text, size, &text, &size));
    gri_pieces_begin(pieces, splitter, text, size);
    for (;;) {
        GR_TRY(gri_pieces_next(pieces, &piece, &n));
        if (n == 0) {
            break;
        }
        GR_TRY(gr_str_add(out, out->size ? "|" : ""));
        GR_TRY(gr_str_add_bytes(out, piece, n));
    }
done:
    return err;
}

/// Appendix B.4.
static gr_err run_pieces(void)
{
    static const char *const table[][2] = {
        {"Hello world", "Hello| world"},
        {"I'm  fine,\n\n  ok 123!", "I|'m| | fine|,\n\n| | ok| |1|2|3|!"},
        {"DON'T you'll", "DON|'T| you|'ll"},
        {"你好，世界 2024年", "你好|，世界| |2|0|2|4|年"},
        {"a\t b   c  ", "a|\t| b|  | c|  "},
        {"x=1;\n\ty", "x|=|1|;\n|\ty"},
        {"foo_bar(baz)...\r\n\r\nend", "foo|_bar|(baz|)...\r\n\r\n|end"},
        {"  \n lead", "  \n| lead"},
        {"Ⅷ½ ٣", "Ⅷ|½| |٣"},
        {"e\u0301té", "été"},
    };
    gr_err err = GR_OK;
    gri_splitter *splitter = NULL;
    gri_pieces pieces = {0};
    gr_str got = {0};
    GR_TRY(gri_splitter_create_qwen2(&splitter));
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        GR_TRY(join_pieces(&pieces, splitter, table[i][0], &got));
        GR_TRY(gr_known_text("Qwen2's pieces of a text", got.data, table[i][1]));
    }
done:
    gr_str_fini(&got);
    gri_pieces_fini(&pieces);
    gri_splitter_destroy(&splitter);
    return err;
}

/// Appendix B.4: bytes and the characters that stand for them, and back.
static gr_err run_symbols(void)
{
    static const struct {
        unsigned char byte;
        const char *symbol;
    } table[] = {{0, "\u0100"},   {10, "\u010A"},  {32, "\u0120"}, {127, "\u0121"},
                 {160, "\u0142"}, {173, "\u0143"}, {255, "\u00FF"}};
    gr_err err = GR_OK;
    char symbol[GRI_SYMBOLS_SIZE(1)], back[GRI_SYMBOLS_SIZE(1)];
    size_t n = 0;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        (void)gri_symbols_of(&table[i].byte, 1, symbol);
        GR_TRY(gr_known_text("the symbol of a byte", symbol, table[i].symbol));
        bool known = gri_symbols_to_bytes(symbol, back, &n) && n == 1;
        GR_TRY(gr_known_int("the byte of a symbol", known ? (unsigned char)back[0] : -1,
                            table[i].byte));
    }
done:
    return err;
}

/// RFC 3720, appendix B.4: zeros, ones, counting up and down, a SCSI read command.
static gr_err run_crc32c(void)
{
    static const unsigned char read_command[48] = {
        0x01,        0xc0,        [16] = 0x14, [22] = 0x04,
        [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};
    gr_err err = GR_OK;
    unsigned char up[32], down[32], zeros[32] = {0}, ones[32];
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) {
        up[i] = (unsigned char)i;
        down[i] = (unsigned char)(31 - i);
    }
    GR_TRY(gr_known_int("CRC-32C of 32 zeros", gr_crc32c(zeros, 32), 0x8a9136aa));
    GR_TRY(gr_known_int("CRC-32C of 32 ones", gr_crc32c(ones, 32), 0x62a8ab43));
    GR_TRY(gr_known_int("CRC-32C of 0 to 31", gr_crc32c(up, 32), 0x46dd794e));
    GR_TRY(gr_known_int("CRC-32C of 31 to 0", gr_crc32c(down, 32), 0x113fdb5c));
    GR_TRY(gr_known_int("CRC-32C of a read command", gr_crc32c(read_command, 48), 0xd9963a56));
done:
    return err;
}

static const gr_known table[] = {{"tiles", run_tiles},       {"resize", run_resize},
                                 {"bilinear", run_bilinear}, {"pieces", run_pieces},
                                 {"symbols", run_symbols},   {"crc32c", run_crc32c}};

const gr_known *gr_formats_known(int64_t *count)
{
    *count = sizeof table / sizeof table[0];
    return table;
}
