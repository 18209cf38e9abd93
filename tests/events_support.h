#ifndef TESTS_EVENTS_SUPPORT_H
#define TESTS_EVENTS_SUPPORT_H

/// A reader of TensorBoard's event files for the tests: every checksum is compared, every field must be one that we write. It shares no
/// code with the writer: its CRC-32C goes bit by bit.

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { EVENT_SCALARS = 32, EVENT_TAG = 256 };

typedef struct event {
    double wall_time;
    int64_t step;
    char version[32]; ///< "" unless the record has it
    int session;      ///< status of a session log, 0: none
    int64_t count;
    struct {
        char tag[EVENT_TAG];
        float value;
    } scalars[EVENT_SCALARS];
} event;

typedef struct event_bytes {
    const unsigned char *at, *end;
    bool bad;
} event_bytes;

static inline uint32_t event_crc(const unsigned char *data, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
        }
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static inline uint64_t event_fixed(event_bytes *b, int count)
{
    uint64_t value = 0;
    if (b->end - b->at < count) {
        b->bad = true;
        return 0;
    }
    for (int i = 0; i < count; i++) {
        value |= (uint64_t)*b->at++ << 8 * i;
    }
    return value;
}

static inline uint64_t event_varint(event_bytes *b)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const uint64_t byte = event_fixed(b, 1);
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    b->bad = true;
    return 0;
}

/// The bytes of a field with a length.
static inline event_bytes event_part(event_bytes *b)
{
    const uint64_t size = event_varint(b);
    event_bytes part = {b->at, b->at, false};
    if (size > (uint64_t)(b->end - b->at)) {
        b->bad = true;
    } else {
        part.end = b->at += size;
    }
    return part;
}

static inline void event_text(event_bytes *b, char *text, size_t room)
{
    const event_bytes part = event_part(b);
    const size_t size = (size_t)(part.end - part.at);
    b->bad = b->bad || size == 0 || size >= room;
    if (!b->bad) {
        memcpy(text, part.at, size);
        text[size] = '\0';
    }
}

static inline void event_value(event_bytes b, event *out, bool *bad)
{
    const int64_t i = out->count < EVENT_SCALARS ? out->count : EVENT_SCALARS - 1;
    bool tagged = false, valued = false;
    *bad = *bad || out->count == EVENT_SCALARS;
    while (!b.bad && b.at < b.end) {
        const uint64_t key = event_varint(&b);
        if (key == 012) { // 1, bytes
            event_text(&b, out->scalars[i].tag, EVENT_TAG);
            tagged = true;
        } else if (key == 025) { // 2, fixed32
            const uint32_t bits = (uint32_t)event_fixed(&b, 4);
            memcpy(&out->scalars[i].value, &bits, sizeof bits);
            valued = true;
        } else {
            b.bad = true;
        }
    }
    out->count++;
    *bad = *bad || b.bad || !tagged || !valued;
}

static inline void event_fields(event_bytes *b, event *out)
{
    while (!b->bad && b->at < b->end) {
        const uint64_t key = event_varint(b);
        if (key == 011) { // 1, fixed64
            const uint64_t bits = event_fixed(b, 8);
            memcpy(&out->wall_time, &bits, sizeof bits);
        } else if (key == 020) { // 2, varint
            out->step = (int64_t)event_varint(b);
        } else if (key == 032) { // 3, bytes
            event_text(b, out->version, sizeof out->version);
        } else if (key == 052) { // 5, bytes: each field of it is a value
            event_bytes summary = event_part(b);
            while (!b->bad && summary.at < summary.end) {
                b->bad = event_varint(&summary) != 012;
                event_value(event_part(&summary), out, &b->bad);
            }
        } else if (key == 072) { // 7, bytes
            event_bytes session = event_part(b);
            b->bad = b->bad || event_varint(&session) != 010;
            out->session = (int)event_varint(&session);
            b->bad = b->bad || session.bad || session.at != session.end;
        } else {
            b->bad = true;
        }
    }
}

/// The record at *at, which moves behind it; false if it is none that we write.
static inline bool event_read(const char *data, size_t size, size_t *at, event *out)
{
    event_bytes b = {(const unsigned char *)data + *at, (const unsigned char *)data + size,
                     false};
    const unsigned char *begin = b.at;
    const uint64_t length = event_fixed(&b, 8);
    *out = (event){0};
    if (event_fixed(&b, 4) != event_crc(begin, b.bad ? 0 : 8) || b.bad ||
        length > (uint64_t)(b.end - b.at)) {
        return false;
    }
    event_bytes record = {b.at, b.at + length, false};
    b.at = record.end;
    if (event_fixed(&b, 4) != event_crc(record.at, length) || b.bad) {
        return false;
    }
    event_fields(&record, out);
    *at = (size_t)(b.at - (const unsigned char *)data);
    return !record.bad;
}

/// Index of the scalar with this tag, -1: none.
static inline int64_t event_find(const event *e, const char *tag)
{
    for (int64_t i = 0; i < e->count; i++) {
        if (strcmp(e->scalars[i].tag, tag) == 0) {
            return i;
        }
    }
    return -1;
}

#endif
