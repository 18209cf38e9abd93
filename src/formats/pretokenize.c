#include "src/formats/pretokenize.h"

#include "src/base/mem.h"
#include "src/base/str.h"

#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

gr_err gri_splitter_create(bool nfc, gri_splitter **out)
{
    gr_err err = GR_OK;
    gri_splitter *s = NULL;
    GR_ALLOC(s, 1);
    s->nfc = nfc;
    GR_TRY(gri_unicode_create(&s->classes));
    *out = s;
    s = NULL;
done:
    gri_splitter_destroy(&s);
    return err;
}

void gri_splitter_destroy(gri_splitter **splitter)
{
    if (*splitter) {
        for (int i = 0; i < (*splitter)->count; i++) {
            pcre2_code_free((*splitter)->steps[i].code);
            GR_FREE((*splitter)->steps[i].pattern);
        }
        GR_FREE((*splitter)->classes);
    }
    GR_FREE(*splitter);
}

/// In PCRE2 \s also takes U+180E, which is no white space since Unicode 6.3 and none for the engines that
/// tokenizer.json files are made for. The property means the same to all.
static gr_err translate(const char *pattern, gr_str *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(out, ""));
    for (const char *p = pattern; *p; p++) {
        if (*p != '\\' || p[1] == '\0') {
            GR_TRY(gr_str_add_bytes(out, p, 1));
            continue;
        }
        p++;
        if (*p == 's' || *p == 'S') {
            GR_TRY(gr_str_add(out, *p == 's' ? "\\p{White_Space}" : "\\P{White_Space}"));
        } else {
            GR_TRY(gr_str_add_bytes(out, p - 1, 2));
        }
    }
done:
    return err;
}

static gr_err compile(const char *pattern, void **out)
{
    gr_err err = GR_OK;
    gr_str translated = {0};
    int code = 0;
    size_t at = 0;
    GR_TRY(translate(pattern, &translated));
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)translated.data, translated.size,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!compiled) {
        char text[120] = "";
        (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
        GR_FAIL(GR_ERR_DATA, "pre-tokenizer expression: %s at offset %zu of %s", text, at,
                translated.data);
    }
    // Without a just-in-time compiler the same expression is interpreted.
    (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
    *out = compiled;
done:
    gr_str_fini(&translated);
    return err;
}

/// Adds a step without pattern, code or function yet.
static gr_err add_step(gri_splitter *s, gri_step_kind kind, gri_step **out)
{
    gr_err err = GR_OK;
    if (s->count == GRI_STEPS_MAX) {
        GR_FAIL(GR_ERR_DATA, "more than %d pre-tokenizer steps", (int)GRI_STEPS_MAX);
    }
    *out = &s->steps[s->count++];
    (*out)->kind = kind;
done:
    return err;
}

gr_err gri_splitter_add(gri_splitter *splitter, gri_step_kind kind, const char *pattern)
{
    gr_err err = GR_OK;
    gri_step *step = NULL;
    bool expression = kind == GRI_STEP_EXPRESSION;
    bool gpt2 = kind == GRI_STEP_GPT2 || (expression && strcmp(pattern, gri_gpt2_pattern) == 0);
    bool qwen2 = expression && strcmp(pattern, gri_qwen2_pattern) == 0;
    GR_TRY(add_step(splitter, kind, &step));
    if (expression) {
        GR_STRDUP(step->pattern, pattern);
    }
    step->known = gpt2 ? gri_match_gpt2 : qwen2 ? gri_match_qwen2 : NULL;
    if (expression && !step->known) {
        GR_TRY(compile(pattern, &step->code));
    }
done:
    return err;
}

gr_err gri_splitter_add_engine(gri_splitter *splitter, const char *pattern)
{
    gr_err err = GR_OK;
    gri_step *step = NULL;
    GR_TRY(add_step(splitter, GRI_STEP_EXPRESSION, &step));
    GR_STRDUP(step->pattern, pattern);
    GR_TRY(compile(pattern, &step->code));
done:
    return err;
}

gr_err gri_splitter_create_qwen2(gri_splitter **out)
{
    gr_err err = GR_OK;
    gri_splitter *s = NULL;
    GR_TRY(gri_splitter_create(true, &s));
    GR_TRY(gri_splitter_add(s, GRI_STEP_EXPRESSION, gri_qwen2_pattern));
    *out = s;
    s = NULL;
done:
    gri_splitter_destroy(&s);
    return err;
}

bool gri_splitter_is_qwen2(const gri_splitter *splitter)
{
    return splitter->nfc && splitter->count == 1 && splitter->steps[0].known == gri_match_qwen2;
}

gr_err gri_pieces_normalize(gri_pieces *pieces, const gri_splitter *splitter, const char *text,
                            size_t size, const char **out, size_t *out_size)
{
    gr_err err = GR_OK;
    *out = text;
    *out_size = size;
    if (splitter->nfc) {
        GR_TRY(gri_nfc(splitter->classes, &pieces->nfc, text, size, out, out_size));
    }
done:
    return err;
}

void gri_pieces_begin(gri_pieces *pieces, const gri_splitter *splitter, const char *text,
                      size_t size)
{
    pieces->splitter = splitter;
    pieces->text = text;
    memset(pieces->cuts, 0, sizeof pieces->cuts);
    pieces->cuts[0].end = size;
}

/// The engine's next match into match_begin and match_end; both at the end if there is none.
static gr_err find_match(gri_pieces *p, const gri_step *step, gri_cut *cut)
{
    gr_err err = GR_OK;
    if (!p->match) {
        p->match = pcre2_match_data_create(1, NULL); // the whole match; groups do not matter
        if (!p->match) {
            GR_FAIL(GR_ERR_MEMORY, "out of memory in PCRE2");
        }
    }
    int found =
        pcre2_match(step->code, (PCRE2_SPTR)p->text + cut->begin, cut->end - cut->begin,
                    cut->at - cut->begin, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, p->match, NULL);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
        char text[120] = "";
        (void)pcre2_get_error_message(found, (PCRE2_UCHAR *)text, sizeof text);
        GR_FAIL(GR_ERR_DATA, "pre-tokenizer expression at byte %zu of a text: %s", cut->at,
                text);
    }
    cut->match_begin = cut->end;
    cut->match_end = cut->end;
    if (found != PCRE2_ERROR_NOMATCH) {
        const size_t *span = pcre2_get_ovector_pointer(p->match);
        // \K can put the begin of a match anywhere.
        cut->match_begin = cut->begin + (span[0] < span[1] ? span[0] : span[1]);
        cut->match_end = cut->begin + span[1];
        if (cut->match_begin < cut->at || cut->match_end <= cut->at) {
            GR_FAIL(GR_ERR_DATA,
                    "pre-tokenizer expression at byte %zu of a text: a match that "
                    "lies before it",
                    cut->at);
        }
    }
done:
    return err;
}

/// End of the run of digits, or of other characters, at `at`.
static size_t digits_end(const gri_splitter *s, const char *text, const gri_cut *cut, bool each)
{
    size_t at = cut->at;
    bool kind = false;
    while (at < cut->end) {
        uint32_t c = 0;
        size_t n = gri_utf8_get(text + at, &c);
        bool digit = s->classes[c] & GRI_DIGIT;
        if (at > cut->at && (digit != kind || (digit && each))) {
            break;
        }
        kind = digit;
        at += n;
    }
    return at;
}

/// Ends the next piece of a step: from cut->at, which must be before cut->end, to *end.
static gr_err cut_piece(gri_pieces *p, const gri_step *step, gri_cut *cut, size_t *end)
{
    gr_err err = GR_OK;
    if (step->known) {
        *end = step->known(p->splitter->classes, p->text, cut->at, cut->end);
    } else if (step->kind != GRI_STEP_EXPRESSION) {
        *end = digits_end(p->splitter, p->text, cut, step->kind == GRI_STEP_EACH_DIGIT);
    } else {
        if (cut->at >= cut->match_end) {
            GR_TRY(find_match(p, step, cut));
        }
        // Text between two matches is a piece of its own.
        *end = cut->at < cut->match_begin ? cut->match_begin : cut->match_end;
    }
done:
    return err;
}

gr_err gri_pieces_next(gri_pieces *pieces, const char **piece, size_t *size)
{
    gr_err err = GR_OK;
    const gri_splitter *s = pieces->splitter;
    int last = s->count - 1, k = last;
    while (k > 0 && pieces->cuts[k].at == pieces->cuts[k].end) {
        k--;
    }
    gri_cut *cut = &pieces->cuts[k < 0 ? 0 : k];
    size_t begin = cut->at, end = cut->end;
    for (; k >= 0 && begin < end; k++) {
        cut = &pieces->cuts[k];
        begin = cut->at;
        GR_TRY(cut_piece(pieces, &s->steps[k], cut, &end));
        cut->at = end;
        if (k == last) {
            break;
        }
        pieces->cuts[k + 1] = (gri_cut){
            .begin = begin, .at = begin, .end = end, .match_begin = begin, .match_end = begin};
    }
    if (last < 0) {
        cut->at = end;
    }
    *piece = pieces->text + begin;
    *size = end - begin;
done:
    return err;
}

void gri_pieces_fini(gri_pieces *pieces)
{
    pcre2_match_data_free(pieces->match);
    gri_nfc_memory_fini(&pieces->nfc);
    *pieces = (gri_pieces){0};
}
