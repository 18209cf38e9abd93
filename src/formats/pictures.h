#ifndef SRC_FORMATS_PICTURES_H
#define SRC_FORMATS_PICTURES_H

/// From picture files to what a model sees, for training and answering alike: decode, fit to the model's square or cut into
/// tiles (gr_picture_rules of src/model/config.h), resample as Pillow, normalise. A picture becomes one or more tiles
/// of S x S pixels, S the model's image_size. `how` is a set of GR_IMAGE_* (image.h).

#include "src/formats/image.h"
#include "src/model/config.h"

/// How many tiles the picture becomes; reads its header only, so that text can be laid out before it is decoded.
GR_MUST_CHECK gr_err gr_picture_tiles(const gr_vision_config *vision, unsigned how,
                                      const char *name, const void *data, size_t size,
                                      int64_t *tiles);
/// The same for a picture of this width and height.
GR_MUST_CHECK gr_err gr_picture_tiles_of(const gr_vision_config *vision, int64_t width,
                                         int64_t height, int64_t *tiles);
/// The same for a file. GR_ERR_MISSING, GR_ERR_DATA name it.
GR_MUST_CHECK gr_err gr_picture_file_tiles(const gr_vision_config *vision, unsigned how,
                                           const char *path, int64_t *tiles);
/// Writes the tiles before they are normalised, bytes [tiles, S, S, 3], in the order of gr_tiles_cut; `tiles` is what
/// gr_picture_tiles said. A broken picture is GR_ERR_DATA.
GR_MUST_CHECK gr_err gr_picture_bytes(const gr_vision_config *vision, unsigned how,
                                      const char *name, const void *data, size_t size,
                                      int64_t tiles, unsigned char *out);
/// What normalising makes of each byte of each channel.
void gr_picture_values(const gr_vision_config *vision, float value[3][256]);
/// Both: the normalised tiles, fp32 [tiles, 3, S, S].
GR_MUST_CHECK gr_err gr_picture_pixels(const gr_vision_config *vision, unsigned how,
                                       const char *name, const void *data, size_t size,
                                       int64_t tiles, float *out);

/// Several pictures, end to end.
typedef struct gr_pictures {
    float *pixels;  ///< [count, 3, S, S]
    int64_t count;  ///< tiles of all pictures
    int64_t *tiles; ///< of each picture
} gr_pictures;
/// Reads these files. GR_ERR_MISSING, GR_ERR_DATA name the file.
GR_MUST_CHECK gr_err gr_pictures_load(const gr_vision_config *vision, unsigned how,
                                      const char *const *paths, int64_t count,
                                      gr_pictures *out);
void gr_pictures_fini(gr_pictures *pictures);

#endif
