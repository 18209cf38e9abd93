// Records of TensorBoard's event files.
#include "src/formats/tensorboard.h"
#include "tests/check.h"
#include "tests/events_support.h"

#include <math.h>

/// What the tensorboard package 2.21 writes of the same three events (its RecordWriter, its event_pb2).
static void test_bytes_of_the_reference(void)
{
    static const unsigned char want[] = {
        0x18, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xa3, 0x7f, 0x4b, 0x22, 0x09, 0x00,
        0x00, 0x10, 0x80, 0x39, 0x4a, 0xda, 0x41, 0x1a, 0x0d, 0x62, 0x72, 0x61, 0x69, 0x6e,
        0x2e, 0x45, 0x76, 0x65, 0x6e, 0x74, 0x3a, 0x32, 0x13, 0x69, 0x55, 0x60, 0x0d, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3c, 0x37, 0xb8, 0x34, 0x09, 0x00, 0x00, 0x20,
        0x80, 0x39, 0x4a, 0xda, 0x41, 0x3a, 0x02, 0x08, 0x01, 0x75, 0xab, 0xd6, 0x51, 0x2e,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc5, 0xcb, 0x57, 0xfa, 0x09, 0x00, 0x00,
        0x48, 0x80, 0x39, 0x4a, 0xda, 0x41, 0x10, 0xac, 0x02, 0x2a, 0x20, 0x0a, 0x14, 0x0a,
        0x0d, 0x6c, 0x6f, 0x73, 0x73, 0x2f, 0x74, 0x72, 0x61, 0x69, 0x6e, 0x69, 0x6e, 0x67,
        0x15, 0x33, 0x33, 0x33, 0x3f, 0x0a, 0x08, 0x0a, 0x01, 0x61, 0x15, 0x60, 0x42, 0xa2,
        0x8d, 0x07, 0x72, 0x2a, 0xcf,
    };
    gr_str got = {0};
    const gr_scalar scalars[] = {{"loss/training", 0.7f}, {"a", -1e-30f}};
    GR_CHECK_OK(gr_event_version(&got, 1764288000.25));
    GR_CHECK_OK(gr_event_start(&got, 1764288000.5, 0));
    GR_CHECK_OK(gr_event_scalars(&got, 1764288001.125, 300, scalars, 2));
    if (GR_CHECK_INT((int64_t)got.size, sizeof want)) {
        GR_CHECK_BYTES(got.data, want, sizeof want);
    }
    gr_str_fini(&got);
}

static void test_read_back(void)
{
    gr_str text = {0};
    size_t at = 0;
    event e;
    const gr_scalar scalars[] = {
        {"loss", 0.1f}, {"größe/ß", INFINITY}, {"x", -0.0f}, {"y", 3e38f}};
    GR_CHECK_OK(gr_event_version(&text, 1.5));
    GR_CHECK_OK(gr_event_start(&text, 2.5, 7));
    GR_CHECK_OK(gr_event_scalars(&text, 3.5, INT64_C(1) << 40, scalars, 4));
    GR_CHECK_OK(gr_event_scalars(&text, 4.5, 0, scalars, 0));

    GR_CHECK(event_read(text.data, text.size, &at, &e));
    GR_CHECK_STR(e.version, "brain.Event:2");
    GR_CHECK(e.wall_time == 1.5 && e.step == 0 && e.session == 0 && e.count == 0);
    GR_CHECK(event_read(text.data, text.size, &at, &e));
    GR_CHECK(e.wall_time == 2.5 && e.step == 7 && e.session == 1 && e.count == 0);
    GR_CHECK(event_read(text.data, text.size, &at, &e));
    GR_CHECK(e.wall_time == 3.5 && e.step == INT64_C(1) << 40 && e.session == 0);
    if (GR_CHECK_INT(e.count, 4)) {
        for (int i = 0; i < 4; i++) {
            GR_CHECK_STR(e.scalars[i].tag, scalars[i].tag);
            GR_CHECK_BYTES(&e.scalars[i].value, &scalars[i].value, sizeof(float));
        }
    }
    GR_CHECK(event_read(text.data, text.size, &at, &e));
    GR_CHECK_INT(e.count, 0);
    GR_CHECK_INT((int64_t)at, (int64_t)text.size);
    gr_str_fini(&text);
}

/// The tests' reader sees every flipped bit and every cut.
static void test_damage_is_seen(void)
{
    gr_str text = {0};
    const gr_scalar scalar = {"loss", 2.5f};
    size_t at = 0;
    event e;
    GR_CHECK_OK(gr_event_scalars(&text, 3.5, 12, &scalar, 1));
    for (size_t bit = 0; bit < 8 * text.size; bit++) {
        text.data[bit / 8] ^= (char)(1 << bit % 8);
        at = 0;
        GR_CHECK(!event_read(text.data, text.size, &at, &e));
        text.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t size = 0; size < text.size; size++) {
        at = 0;
        GR_CHECK(!event_read(text.data, size, &at, &e));
    }
    at = 0;
    GR_CHECK(event_read(text.data, text.size, &at, &e));
    gr_str_fini(&text);
}

static const gr_test tests[] = {
    {"bytes of the reference", test_bytes_of_the_reference},
    {"read back", test_read_back},
    {"damage is seen", test_damage_is_seen},
};

GR_TEST_MAIN("tensorboard", tests)
