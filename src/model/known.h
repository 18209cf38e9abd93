#ifndef SRC_MODEL_KNOWN_H
#define SRC_MODEL_KNOWN_H

/// Known answers of tiny models with weights from a formula (appendix A of the specification): AIMv2 and InternViT by
/// their published modules, the connector and the language models by independent implementations in double precision.

#include "src/base/known.h"

const gr_known *gr_model_known(int64_t *count);

#endif
