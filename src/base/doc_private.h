#ifndef SRC_BASE_DOC_PRIVATE_H
#define SRC_BASE_DOC_PRIVATE_H

/// Shared by the doc_*.c files.

#include "src/base/doc.h"

enum {
    GRI_DOC_MAX_DEPTH = 64,
    GRI_DOC_MAX_INCLUDES = 8,
    GRI_DOC_MOST_KEYS = 4096, ///< of one map: each is compared with all before it
    GRI_DOC_FROM_SET = -1,
    GRI_DOC_YAML_MOST = 4 << 20 ///< bytes of a file
};

/// Nodes and texts of a document lie in blocks that are freed together.
typedef struct gri_doc_block gri_doc_block;

struct gr_doc {
    gr_node root;
    char *name;     ///< owned
    gr_err mistake; ///< code of syntax and type errors
    gri_doc_block *blocks;
};

/// An empty document (root null), named `name`.
GR_MUST_CHECK gr_err gri_doc_create(const char *name, gr_err mistake, gr_doc **out);
/// `count` zeroed nodes.
GR_MUST_CHECK gr_err gri_doc_nodes(gr_doc *doc, int64_t count, gr_node **out);
/// A copy of `size` bytes with a NUL behind it.
GR_MUST_CHECK gr_err gri_doc_text(gr_doc *doc, const char *data, size_t size, const char **out);
/// Fills in parent and doc below the root. Call it when the tree stands still.
void gri_doc_link(gr_doc *doc);
/// The same below a node that is not in the tree yet.
void gri_doc_link_from(gr_node *node, gr_doc *doc);
/// Child of a map by a key that need not end in a NUL; also when its value is null.
gr_node *gri_node_child(const gr_node *map, const char *key, size_t size);
/// A string without a NUL inside, borrowed.
GR_MUST_CHECK gr_err gri_node_string(const gr_node *node, const char **out);
/// Path of a node ("stages[1].steps"; "" for the root), cut to `size`.
void gri_node_path(const gr_node *node, char *path, size_t size);

/// Bytes of the byte order mark that the text begins with: 3, or 0.
size_t gri_doc_mark(const char *text, size_t size);

/// One YAML document into nodes of `doc`. `name` and `mistake` are for errors; empty text is an error.
GR_MUST_CHECK gr_err gri_yaml_read(gr_doc *doc, const char *name, gr_err mistake,
                                   const char *text, size_t size, gr_node *out);

#endif
