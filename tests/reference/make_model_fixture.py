"""Makes tests/fixtures/model_*/: tiny models with the loss, the logits and every gradient of one batch, computed in
double precision by transformers' classes, with our pixel shuffle and MLP between.

    python tests/reference/make_model_fixture.py tests/fixtures

Needs torch, transformers and safetensors; the tests only need the files."""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import Aimv2VisionConfig, Aimv2VisionModel, Qwen2Config, Qwen2ForCausalLM

import reference_model as reference

VISION = dict(hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
              num_channels=3, image_size=8, patch_size=2, rms_norm_eps=1e-5)
LANGUAGE = dict(vocab_size=24, hidden_size=12, intermediate_size=20, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, head_dim=4, rms_norm_eps=1e-6,
                rope_theta=1000000.0, max_position_embeddings=64)
IMAGE, NO_LOSS = -1, -100
SEQUENCES = [[1] + [IMAGE] * 4 + [9] + [IMAGE] * 4 + [5, 17, 3], [2, 11, 23, 0, 8]]
TARGETS = [[NO_LOSS] * 10 + [17, 3, 20], [NO_LOSS, 23, 0, 8, NO_LOSS]]


def shuffle(x):
    """[B, g g, C] -> [B, g g / 4, 4 C]: upper left, upper right, lower left, lower right."""
    b, n, c = x.shape
    g = int(n ** 0.5)
    x = x.view(b, g // 2, 2, g // 2, 2, c).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(b, n // 4, 4 * c)


def vision_names(params):
    """Original AIMv2 names of transformers' parameters, q, k and v apart."""
    rules = [("embeddings.patch_embed", "preprocessor.patchifier.proj"),
             ("embeddings.rms_norm", "preprocessor.patchifier.norm"),
             ("embeddings.position_embedding.weight", "preprocessor.pos_embed"),
             ("encoder.layers", "trunk.blocks"), ("rms_norm1", "norm_1"), ("rms_norm2", "norm_2"),
             ("attention.out_proj", "attn.proj"), ("attention.", "attn."),
             ("ffn.gate_proj", "mlp.fc1"), ("ffn.up_proj", "mlp.fc3"), ("ffn.down_proj", "mlp.fc2")]
    out = {}
    for name, value in params.items():
        for old, new in rules:
            name = name.replace(old, new)
        if name.startswith("rms_norm"):
            name = name.replace("rms_norm", "trunk.post_trunk_norm")
        out["vision_model." + name] = value
    return out


def canonical(vision, connector, language, pick):
    """Our names -> what pick(parameter) gives, with q, k and v of the vision encoder packed."""
    out = vision_names({n: pick(p) for n, p in vision.named_parameters()})
    for i in range(VISION["num_hidden_layers"]):
        at = f"vision_model.trunk.blocks.{i}.attn."
        out[at + "qkv.weight"] = torch.cat([out.pop(f"{at}{x}_proj.weight") for x in "qkv"])
    out["vision_model.preprocessor.pos_embed"] = out["vision_model.preprocessor.pos_embed"][None]
    out.update({"mlp1." + n: pick(p) for n, p in connector.named_parameters()})
    out.update({"language_model." + n: pick(p) for n, p in language.named_parameters()})
    return {n: v.detach().to(torch.float32).contiguous() for n, v in out.items()}


def fill(modules, seed):
    """Every parameter random and exact in fp32; norm weights around 1."""
    g = torch.Generator().manual_seed(seed)
    for m in modules:
        for name, p in m.named_parameters():
            norm = "norm" in name or name == "0.weight"
            value = torch.randn(p.shape, generator=g) * (0.1 if norm else 0.35)
            p.data = (value + (1 if norm and name.endswith("weight") else 0)).double()


def norms_in_double(module):
    """transformers' RMSNorms go through fp32 whatever the type; these do not."""
    for m in module.modules():
        if type(m).__name__.endswith("RMSNorm"):
            m.forward = lambda x, m=m: m.weight * x / torch.sqrt(
                x.pow(2).mean(-1, keepdim=True) + m.variance_epsilon)


def run(features, images, language):
    used, loss, logits = 0, 0, []
    for ids, targets in zip(SEQUENCES, TARGETS):
        ids, targets = torch.tensor(ids), torch.tensor(targets)
        x = language.model.embed_tokens(ids.clamp(min=0)).clone()
        rows = ids == IMAGE
        count = int(rows.sum())
        x[rows] = images.reshape(-1, images.shape[-1])[used:used + count]
        used += count
        logits.append(language(inputs_embeds=x[None]).logits[0])
        loss = loss + nn.functional.cross_entropy(logits[-1], targets, ignore_index=NO_LOSS,
                                                  reduction="sum")
    return loss, features, images, torch.cat(logits)


def make(folder, tied, seed):
    language_settings = dict(LANGUAGE, tie_word_embeddings=tied)
    vision = Aimv2VisionModel(Aimv2VisionConfig(**VISION, use_head=False, attn_implementation="eager"))
    language = Qwen2ForCausalLM(Qwen2Config(**language_settings, attn_implementation="eager"))
    width = LANGUAGE["hidden_size"]
    connector = nn.Sequential(nn.LayerNorm(4 * VISION["hidden_size"]),
                              nn.Linear(4 * VISION["hidden_size"], width), nn.GELU(),
                              nn.Linear(width, width))
    modules = [m.double().eval() for m in (vision, connector, language)]
    norms_in_double(vision)
    norms_in_double(language)
    fill(modules, seed)
    weights = canonical(*modules, lambda p: p)
    pixels = torch.randn((2, 3, 8, 8), generator=torch.Generator().manual_seed(seed + 1))
    features = vision(pixels.double()).last_hidden_state
    images = connector(shuffle(features))
    write(folder, weights, lambda: canonical(*modules, lambda p: p.grad), pixels, features, images, language,
          {"select_layer": -1, "ps_version": "v2", "downsample_ratio": 0.5,
           "vision_config": dict(VISION, model_type="aimv2"),
           "llm_config": dict(language_settings, model_type="qwen2")})


OTHERS = {  # folder: vision, what transformers calls it otherwise, connector, kind of language model, tied
    "model_internvit_qwen3": (
        dict(model_type="intern_vit_6b", hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
             image_size=6, patch_size=2, norm_type="layer_norm", qkv_bias=True, qk_normalization=True),
        {"qkv_bias": "attention_bias", "qk_normalization": "use_qk_norm"},
        {"select_layer": -1, "ps_version": "v1"}, "qwen3", True),
    "model_siglip_llama": (
        dict(model_type="siglip_vision_model", hidden_size=8, intermediate_size=12, num_hidden_layers=2,
             num_attention_heads=2, image_size=12, patch_size=2, hidden_act="gelu_pytorch_tanh"),
        {}, {"select_layer": -2, "ps_version": "v2", "post_layernorm": True}, "llama", False),
}


def make_other(folder, seed, settings, renamed, connector, language_kind, tied):
    """The other architectures, with stored positions for another grid than the pictures'."""
    kind = settings["model_type"]
    keys = {renamed.get(k, k): v for k, v in settings.items() if k != "model_type"}
    if kind == "siglip_vision_model":
        keys["vision_use_head"] = False
    vision = reference.VISIONS[kind](reference.VISIONS[kind].config_class(**keys, attn_implementation="eager"))
    language_settings = dict(LANGUAGE, tie_word_embeddings=tied)
    config_class, language_class = reference.LANGUAGES[language_kind]
    language = language_class(config_class(**language_settings, attn_implementation="eager"))
    width = LANGUAGE["hidden_size"]
    mlp = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, width), nn.GELU(), nn.Linear(width, width))
    modules = [m.double().eval() for m in (vision, mlp, language)]
    for m in modules:
        reference.norms_in_double(m)
    fill(modules, seed)

    def tensors(pick):
        out = reference.vision_tensors(kind, {n: pick(p) for n, p in vision.named_parameters()})
        out.update({"mlp1." + n: pick(p) for n, p in mlp.named_parameters()})
        out.update({"language_model." + n: pick(p) for n, p in language.named_parameters()})
        missing = {n: torch.zeros_like(weights[n]) for n, v in out.items() if v is None}  # above select_layer
        return {n: v.detach().to(torch.float32).contiguous() for n, v in {**out, **missing}.items()}

    weights = {}
    weights = tensors(lambda p: p)
    pixels = torch.randn((2, 3, 8, 8), generator=torch.Generator().manual_seed(seed + 1))
    features, grid = reference.vision_features(kind, vision, pixels.double(), settings["patch_size"],
                                               connector["select_layer"], connector.get("post_layernorm"))
    images = mlp(reference.shuffle(features, grid, connector["ps_version"] == "v1"))
    write(folder, weights, lambda: tensors(lambda p: p.grad), pixels, features, images, language,
          {**connector, "downsample_ratio": 0.5, "force_image_size": 8, "vision_config": settings,
           "llm_config": dict(language_settings, model_type=language_kind)})


def write(folder, weights, gradients, pixels, features, images, language, config):
    loss, features, images, logits = run(features, images, language)
    loss.backward()
    tensors = dict(weights)
    tensors.update({"grad." + n: v for n, v in gradients().items()})
    ids = [max(i, 0) for s in SEQUENCES for i in s]
    tensors.update({
        "loss": loss.detach().reshape(1), "logits": logits.detach().float(),
        "vision_features": features.detach().float(), "connector": images.detach().float(),
        "pixel_values": pixels,
        "input_ids": torch.tensor(ids, dtype=torch.int32),
        "targets": torch.tensor(sum(TARGETS, []), dtype=torch.int32),
        "positions": torch.tensor([i for s in SEQUENCES for i in range(len(s))], dtype=torch.int32),
        "cu_seqlens": torch.tensor([0, 13, 18], dtype=torch.int32),
        "image_rows": torch.tensor([t for t, i in enumerate(sum(SEQUENCES, [])) if i == IMAGE],
                                   dtype=torch.int32),
    })
    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: v.contiguous() for n, v in tensors.items()}, folder / "model.safetensors")
    config = {"model_type": "sailvl", **config}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    out = pathlib.Path(sys.argv[1])
    make(out / "model_tied", True, 1)
    make(out / "model_untied", False, 2)
    for number, (name, settings) in enumerate(OTHERS.items()):
        make_other(out / name, 11 + number, *settings)
