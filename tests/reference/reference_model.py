"""The reference that check_models.py and make_model_fixture.py share: an encoder and a language model as transformers
has them, with the connector between written out in torch, and what Gradus calls their tensors.

Needs torch, transformers and safetensors from PyPI. In double precision, unless another type is asked for."""

import torch
from torch import nn
from torch.nn import functional
from transformers import (Aimv2VisionConfig, Aimv2VisionModel, InternVLVisionConfig, InternVLVisionModel, LlamaConfig,
                          LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
                          SiglipVisionConfig, SiglipVisionModel)

NO_LOSS = -100
LANGUAGES = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM),
             "llama": (LlamaConfig, LlamaForCausalLM)}
VISIONS = {"aimv2": Aimv2VisionModel, "intern_vit_6b": InternVLVisionModel, "siglip_vision_model": SiglipVisionModel}

AIMV2 = [("embeddings.patch_embed", "preprocessor.patchifier.proj"), ("embeddings.rms_norm", "preprocessor.patchifier.norm"),
         ("embeddings.position_embedding.weight", "preprocessor.pos_embed"), ("encoder.layers", "trunk.blocks"),
         ("rms_norm1", "norm_1"), ("rms_norm2", "norm_2"), ("attention.out_proj", "attn.proj"), ("attention.", "attn."),
         ("ffn.gate_proj", "mlp.fc1"), ("ffn.up_proj", "mlp.fc3"), ("ffn.down_proj", "mlp.fc2")]
INTERNVIT = [("embeddings.cls_token", "embeddings.class_embedding"), ("patch_embeddings.projection", "patch_embedding"),
             ("position_embeddings", "position_embedding"), ("encoder.layer.", "encoder.layers."),
             ("layernorm_before", "norm1"), ("layernorm_after", "norm2"), ("attention.projection_layer", "attn.proj"),
             ("attention.", "attn."), ("lambda_1", "ls1"), ("lambda_2", "ls2")]


class Rms(nn.Module):
    """transformers' RMSNorm rounds to fp32 inside; this one does not."""

    def __init__(self, weight, eps):
        super().__init__()
        self.weight, self.eps = weight, eps

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def norms_in_double(module):
    for child in module.modules():
        for name, norm in list(child.named_children()):
            if type(norm).__name__.endswith("RMSNorm"):
                setattr(child, name, Rms(norm.weight, getattr(norm, "variance_epsilon", getattr(norm, "eps", None))))


def renamed(name, rules):
    for old, new in rules:
        name = name.replace(old, new)
    return name


def vision_tensors(kind, tensors):
    """Gradus' names -> values, from transformers' (a dictionary): q, k and v packed where Gradus packs them."""
    if kind == "siglip_vision_model":
        return {n if n.startswith("vision_model.") else "vision_model." + n: t for n, t in tensors.items()
                if "head." not in n}
    rules = AIMV2 if kind == "aimv2" else INTERNVIT
    out = {}
    for name, t in tensors.items():
        new = renamed(name, rules)
        if kind == "aimv2" and new.startswith("rms_norm"):
            new = new.replace("rms_norm", "trunk.post_trunk_norm")
        out["vision_model." + new] = t
    for name in [n for n in out if ".q_proj." in n]:
        three = [out.pop(name.replace(".q_proj.", f".{x}_proj.")) for x in "qkv"]
        out[name.replace(".q_proj.", ".qkv.")] = None if three[0] is None else torch.cat(three)
    if kind == "aimv2":
        table = "vision_model.preprocessor.pos_embed"
        out[table] = None if out[table] is None else out[table][None]
    return out


def open_plain(model_class, directory, dtype=torch.float64):
    """An exported part in plain transformers: every tensor of the file is used and none is made up. Only in double are
    its norms replaced: in fp32 it stays what its users run."""
    model, info = model_class.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager",
                                              output_loading_info=True, local_files_only=True)
    wrong = {key: value for key, value in info.items() if value}
    assert not wrong, f"{directory}: {wrong}"
    model = model.to(dtype).eval()
    if dtype == torch.float64:
        norms_in_double(model)
    return model


def open_vision(kind, directory, dtype=torch.float64):
    return open_plain(VISIONS[kind], directory, dtype)


def open_language(directory, kind, dtype=torch.float64):
    return open_plain(LANGUAGES[kind][1], directory, dtype)


def resized_positions(table, grid):
    """[g g, D] for another grid, as InternViT and SigLIP do it."""
    side = round(table.shape[0] ** 0.5)
    t = table.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    t = functional.interpolate(t, size=grid, mode="bicubic", align_corners=False)
    return t.permute(0, 2, 3, 1).reshape(grid[0] * grid[1], -1)


def aimv2_states(model, pixels, grid):
    """Aimv2VisionModel takes only its own size: its pieces, with the table resized between them."""
    e = model.embeddings
    x = e.patch_embed(pixels).flatten(2).transpose(1, 2)
    x = e.rms_norm(x) + resized_positions(e.position_embedding.weight, grid)
    states = [x]
    for layer in model.encoder.layers:
        x = layer(x, attention_mask=None)
        x = x[0] if isinstance(x, tuple) else x
        states.append(x)
    return states, model.rms_norm(x)


def vision_features(kind, model, pixels, patch, select=-1, normed=None):
    """[images, patches, D]: of layer `select`, with the final norm or not (None: as select says); and the grid."""
    grid = (pixels.shape[2] // patch, pixels.shape[3] // patch)
    normed = select == -1 if normed is None else normed
    if kind == "aimv2":
        states, last = aimv2_states(model, pixels, grid)
        final = model.rms_norm
    else:
        more = {"interpolate_pos_encoding": True} if kind == "siglip_vision_model" else {}
        out = model(pixels, output_hidden_states=True, **more)
        states, last = out.hidden_states, out.last_hidden_state
        final = getattr(model, "post_layernorm", None)
        if kind == "siglip_vision_model" and final is None:
            final = model.vision_model.post_layernorm
    if kind == "intern_vit_6b":
        return (last if select == -1 else states[select])[:, 1:], grid
    if select == -1 and normed:
        return last, grid
    return (final(states[select]) if normed else states[select]), grid


def shuffle(x, grid, by_column=False):
    """[B, g h, C] -> [B, g h / 4, 4 C]: upper left, upper right, lower left, lower right."""
    b, n, c = x.shape
    x = x.reshape(b, grid[0] // 2, 2, grid[1] // 2, 2, c).permute(0, 1, 3, 2, 4, 5)
    if by_column:
        x = x.transpose(1, 2)
    return x.reshape(b, n // 4, 4 * c)


def connect(features, grid, w, by_column=False):
    x = shuffle(features, grid, by_column)
    x = functional.layer_norm(x, x.shape[-1:], w["mlp1.0.weight"], w["mlp1.0.bias"], 1e-5)
    x = functional.gelu(functional.linear(x, w["mlp1.1.weight"], w["mlp1.1.bias"]))
    return functional.linear(x, w["mlp1.3.weight"], w["mlp1.3.bias"])


def language_run(model, ids, labels, borders, image_token=None, images=None):
    """Logits [T, V], the sum of token losses and how many; each sequence alone."""
    embedded = model.get_input_embeddings()(ids)
    if images is not None:
        embedded = embedded.clone()
        embedded[ids == image_token] = images.reshape(-1, images.shape[-1]).to(embedded.dtype)
    logits, loss, targets = [], 0, 0
    for a, b in zip(borders, borders[1:]):
        if a == b:
            continue
        part = model(inputs_embeds=embedded[a:b][None]).logits[0]
        logits.append(part)
        want = labels[a + 1:b]
        loss = loss + functional.cross_entropy(part[:-1], want, ignore_index=NO_LOSS, reduction="sum")
        targets += int((want >= 0).sum())
    return torch.cat(logits), loss, targets
