#include "src/formats/tensorboard.h"

#include "src/formats/crc32c.h"

#include <string.h>

// How the bytes of a field's value are found (protocol buffers' wire types).
typedef enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 } wire;

// Fields of the messages, as tensorboard/compat/proto has them.
enum {
    EVENT_WALL_TIME = 1,
    EVENT_STEP = 2,
    EVENT_FILE_VERSION = 3,
    EVENT_SUMMARY = 5,
    EVENT_SESSION_LOG = 7,
    SUMMARY_VALUE = 1,
    VALUE_TAG = 1,
    VALUE_SIMPLE = 2,
    SESSION_STATUS = 1,
};
enum { SESSION_START = 1 };

/// The lowest `count` bytes of a number, lowest first.
static gr_err add_fixed(gr_str *out, uint64_t value, size_t count)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(value >> 8 * i);
    }
    return gr_str_add_bytes(out, bytes, count);
}

static gr_err add_varint(gr_str *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) {
        bytes[n++] = (unsigned char)(value | 0x80);
    }
    bytes[n++] = (unsigned char)value;
    return gr_str_add_bytes(out, bytes, n);
}

static gr_err add_key(gr_str *out, int field, wire type)
{
    return add_varint(out, (uint64_t)field << 3 | (uint64_t)type);
}

static gr_err add_bytes(gr_str *out, int field, const void *data, size_t size)
{
    gr_err err = GR_OK;
    GR_TRY(add_key(out, field, BYTES));
    GR_TRY(add_varint(out, size));
    GR_TRY(gr_str_add_bytes(out, data, size));
done:
    return err;
}

static gr_err begin_event(gr_str *event, double wall_time, int64_t step)
{
    gr_err err = GR_OK;
    uint64_t bits = 0;
    memcpy(&bits, &wall_time, sizeof bits);
    GR_TRY(add_key(event, EVENT_WALL_TIME, FIXED64));
    GR_TRY(add_fixed(event, bits, 8));
    if (step != 0) { // the default is not written
        GR_TRY(add_key(event, EVENT_STEP, VARINT));
        GR_TRY(add_varint(event, (uint64_t)step));
    }
done:
    return err;
}

static gr_err add_checksum(gr_str *out, const void *data, size_t size)
{
    const uint32_t crc = gr_crc32c(data, size);
    return add_fixed(out, (uint32_t)((crc >> 15 | crc << 17) + UINT32_C(0xa282ead8)), 4);
}

static gr_err add_record(gr_str *out, const gr_str *event)
{
    gr_err err = GR_OK;
    const size_t begin = out->size;
    GR_TRY(add_fixed(out, event->size, 8));
    GR_TRY(add_checksum(out, out->data + begin, 8));
    GR_TRY(gr_str_add_bytes(out, event->data, event->size));
    GR_TRY(add_checksum(out, event->data, event->size));
done:
    return err;
}

gr_err gr_event_version(gr_str *out, double wall_time)
{
    static const char version[] = "brain.Event:2";
    gr_err err = GR_OK;
    gr_str event = {0};
    GR_TRY(begin_event(&event, wall_time, 0));
    GR_TRY(add_bytes(&event, EVENT_FILE_VERSION, version, sizeof version - 1));
    GR_TRY(add_record(out, &event));
done:
    gr_str_fini(&event);
    return err;
}

gr_err gr_event_start(gr_str *out, double wall_time, int64_t step)
{
    static const unsigned char session[] = {SESSION_STATUS << 3 | VARINT, SESSION_START};
    gr_err err = GR_OK;
    gr_str event = {0};
    GR_TRY(begin_event(&event, wall_time, step));
    GR_TRY(add_bytes(&event, EVENT_SESSION_LOG, session, sizeof session));
    GR_TRY(add_record(out, &event));
done:
    gr_str_fini(&event);
    return err;
}

static gr_err add_value(gr_str *summary, gr_str *room, const gr_scalar *scalar)
{
    gr_err err = GR_OK;
    uint32_t bits = 0;
    memcpy(&bits, &scalar->value, sizeof bits);
    gr_str_clear(room);
    GR_TRY(add_bytes(room, VALUE_TAG, scalar->tag, strlen(scalar->tag)));
    GR_TRY(add_key(room, VALUE_SIMPLE, FIXED32));
    GR_TRY(add_fixed(room, bits, 4));
    GR_TRY(add_bytes(summary, SUMMARY_VALUE, room->data, room->size));
done:
    return err;
}

gr_err gr_event_scalars(gr_str *out, double wall_time, int64_t step, const gr_scalar *scalars,
                        int64_t count)
{
    gr_err err = GR_OK;
    gr_str event = {0}, summary = {0}, room = {0};
    for (int64_t i = 0; i < count; i++) {
        GR_TRY(add_value(&summary, &room, &scalars[i]));
    }
    GR_TRY(begin_event(&event, wall_time, step));
    GR_TRY(add_bytes(&event, EVENT_SUMMARY, summary.data, summary.size));
    GR_TRY(add_record(out, &event));
done:
    gr_str_fini(&event);
    gr_str_fini(&summary);
    gr_str_fini(&room);
    return err;
}
