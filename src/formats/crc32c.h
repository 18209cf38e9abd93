#ifndef SRC_FORMATS_CRC32C_H
#define SRC_FORMATS_CRC32C_H

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4): polynomial 0x1EDC6F41 in reflected order, begun with and turned over by all ones.

#include <stddef.h>
#include <stdint.h>

uint32_t gr_crc32c(const void *data, size_t size);

#endif
