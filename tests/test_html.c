// Texts of others inside HTML; bytes as text.
#include "src/base/base64.h"
#include "src/base/html.h"
#include "tests/check.h"

#include <string.h>

static void check_html(const char *text, size_t size, const char *want)
{
    gr_str got = {0};
    GR_CHECK_OK(gr_str_add(&got, ""));
    GR_CHECK_OK(gr_html_add(&got, text, size));
    GR_CHECK_STR(got.data, want);
    gr_str_fini(&got);
}

static void test_html(void)
{
    static const struct {
        const char *text, *want;
    } table[] = {
        {"", ""},
        {"plain text, 1 + 1 = 2", "plain text, 1 + 1 = 2"},
        {"<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"},
        {"a & b \"c\"", "a &amp; b &quot;c&quot;"},
        {"&amp;", "&amp;amp;"},
        {"]]> <!-- -->", "]]&gt; &lt;!-- --&gt;"},
        {"tab\tline\nend", "tab\tline\nend"},
        {"bell\a back\b \r", "bell&#xfffd; back&#xfffd; &#xfffd;"},
        {"größer 你好 🙂", "größer 你好 🙂"},
        {"\xc2\x85 \xc2\xa0", "&#xfffd; \xc2\xa0"},
        {"\xff<\xc3", "&#xfffd;&lt;&#xfffd;"},
        {"\xc0\xbc", "&#xfffd;&#xfffd;"}, // an overlong <
        {"\xe2\x82", "&#xfffd;&#xfffd;"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        check_html(table[i].text, strlen(table[i].text), table[i].want);
    }
    check_html("a\0b", 3, "a&#xfffd;b");
}

/// RFC 4648, section 10.
static void test_base64(void)
{
    static const char *const table[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xff\xef\xbf", "/++/"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        gr_str got = {0};
        GR_CHECK_OK(gr_str_add(&got, ""));
        GR_CHECK_OK(gr_base64_add(&got, table[i][0], strlen(table[i][0])));
        GR_CHECK_STR(got.data, table[i][1]);
        gr_str_fini(&got);
    }
}

static const gr_test tests[] = {{"html", test_html}, {"base64", test_base64}};

GR_TEST_MAIN("html", tests)
