#ifndef SRC_BASE_DOC_H
#define SRC_BASE_DOC_H

/// Documents: JSON (Jansson) and YAML (libyaml) read into one tree of typed nodes. Every error
/// names file, line and column (line only where the parser knows it), the key path
/// ("stages[1].learning_rate"), what was expected and what was found.
///
/// YAML scalars are typed as in the core schema of YAML 1.2 (null, true/false, integers,
/// reals); quoted scalars are strings; anchors and tags are refused; a key given twice is an error
/// in both languages. A byte order mark may begin a YAML document and is an error in JSON (RFC 8259, section 8.1).

#include "src/base/err.h"
#include "src/base/json.h"

#include <stdint.h>

typedef enum gr_doc_type {
    GR_DOC_NULL,
    GR_DOC_BOOL,
    GR_DOC_INT,
    GR_DOC_REAL,
    GR_DOC_STRING,
    GR_DOC_LIST,
    GR_DOC_MAP,
} gr_doc_type;

typedef struct gr_doc gr_doc;
typedef struct gr_node gr_node;

/// A node of the tree; read-only, lives as long as its document.
struct gr_node {
    gr_doc_type type;
    int line, column;      ///< 1-based, of the key in a map; 0 when unknown (JSON)
    const gr_doc *doc;     ///< the document that owns this node
    const gr_node *parent; ///< NULL at the root
    const char *file;      ///< of an included node the file it stands in; else NULL
    const char *key;       ///< in a map, the key (NUL-terminated UTF-8); else NULL
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct {
            const char *data; ///< UTF-8, NUL-terminated; JSON may hold further NULs inside
            size_t size;
        } string;
        struct {
            gr_node *items; ///< children in file order
            int64_t count;
        } list; ///< lists and maps
    } u;
};

/// Reads a file; JSON if the name ends in .json, YAML if in .yaml or .yml. `mistake` is the code
/// that syntax and type errors get (GR_ERR_DATA, GR_ERR_RECIPE); a missing file is GR_ERR_MISSING.
GR_MUST_CHECK gr_err gr_doc_load(const char *path, gr_err mistake, gr_doc **out);
/// The same from memory; `name` stands in messages for the path.
GR_MUST_CHECK gr_err gr_doc_parse_json(const char *name, const char *text, size_t size,
                                       gr_err mistake, gr_doc **out);
GR_MUST_CHECK gr_err gr_doc_parse_yaml(const char *name, const char *text, size_t size,
                                       gr_err mistake, gr_doc **out);
void gr_doc_destroy(gr_doc **doc);
const gr_node *gr_doc_root(const gr_doc *doc);
const char *gr_doc_name(const gr_doc *doc);

/// Resolves each `include: FILE` (or a list of files, later ones on top) of a YAML document: the file's map with that of the
/// `include` on top of it. Maps are merged key by key, lists of maps that all have a "name" name by name (new ones behind),
/// everything else is replaced. Names start from the folder of the file they stand in; included files may include others. A missing
/// file is GR_ERR_MISSING and says who names it.
GR_MUST_CHECK gr_err gr_doc_include(gr_doc *doc);

/// Replaces or adds the value at a dotted path ("stages[0].steps" or "stages.warm-up.steps", a list
/// item being named by its number or by its "name" entry); missing maps on the way are made.
/// `value` is YAML: a scalar or a flow collection; "" is null. For `--set`: errors at the new nodes
/// say "--set" for the line; a path or value that makes no sense is GR_ERR_USAGE and changes nothing.
GR_MUST_CHECK gr_err gr_doc_set(gr_doc *doc, const char *path, const char *value);
/// The document as JSON text in new memory (GR_FREE): the resolved recipe.
GR_MUST_CHECK gr_err gr_doc_to_json(const gr_doc *doc, char **text);

/// The first place where two documents differ, as a path ("stages[0].steps"; of a key that only one has, its path), in new
/// memory (GR_FREE); NULL when they say the same. Order of keys does not count.
GR_MUST_CHECK gr_err gr_doc_difference(const gr_doc *a, const gr_doc *b, char **path);

/// Writes a node with all below it, under its own key.
void gr_node_write(gr_json *j, const gr_node *node);

/// Child of a map, NULL if absent or null. GR_ASSERTs that `map` is a map.
const gr_node *gr_node_find(const gr_node *map, const char *key);
/// "map", "list", "string" ... for messages.
const char *gr_doc_type_name(gr_doc_type type);
/// An error at this node: "FILE:LINE:COLUMN: PATH: message", with the document's mistake code.
GR_MUST_CHECK gr_err gr_node_error(const gr_node *node, const char *fmt, ...) GR_PRINTF(2, 3);
/// Puts "FILE:LINE:COLUMN: PATH: " in front of the error that came of this node's value, and leaves its code.
void gr_node_context(const gr_node *node);
/// Fails unless the node has this type.
GR_MUST_CHECK gr_err gr_node_expect(const gr_node *node, gr_doc_type type);
/// Fails on a key of `map` that is not among the NULL-terminated `allowed`, naming the nearest one
/// (or all of them when none is near).
GR_MUST_CHECK gr_err gr_node_check_keys(const gr_node *map, const char *const *allowed);

/// Typed values of a map's key. `get` fails when the key is absent, `opt` leaves *out as it is.
/// Integers written as reals without a fraction (1000000.0) are accepted. min and max are inclusive.
GR_MUST_CHECK gr_err gr_node_get_int(const gr_node *map, const char *key, int64_t min,
                                     int64_t max, int64_t *out);
GR_MUST_CHECK gr_err gr_node_opt_int(const gr_node *map, const char *key, int64_t min,
                                     int64_t max, int64_t *out);
GR_MUST_CHECK gr_err gr_node_get_real(const gr_node *map, const char *key, double min,
                                      double max, double *out);
GR_MUST_CHECK gr_err gr_node_opt_real(const gr_node *map, const char *key, double min,
                                      double max, double *out);
GR_MUST_CHECK gr_err gr_node_opt_bool(const gr_node *map, const char *key, bool *out);
/// Strings are borrowed from the document; a NUL inside is an error.
GR_MUST_CHECK gr_err gr_node_get_string(const gr_node *map, const char *key, const char **out);
GR_MUST_CHECK gr_err gr_node_opt_string(const gr_node *map, const char *key, const char **out);
GR_MUST_CHECK gr_err gr_node_get_list(const gr_node *map, const char *key, const gr_node **out);
GR_MUST_CHECK gr_err gr_node_get_map(const gr_node *map, const char *key, const gr_node **out);

#endif
