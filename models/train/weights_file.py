"""One file with all that the Rust reader needs: int8 matrices with one scale per row, heads in f32, the tokenizer,
labels, temperature and thresholds. It must never hold anything that can run.
"""

import json

import torch
from safetensors.torch import save_file

from network import HEADS, INTENTS, LAYERS, SENTIMENTS, TAIL_TOKENS, TOKENS_MAX

FORMAT = "rejoinder-reader-1"


def quantised(matrix):
    """Symmetric int8, one scale per row."""
    scale = matrix.abs().amax(dim=1).clamp_min(1e-8) / 127.0
    return torch.round(matrix / scale[:, None]).clamp(-127, 127).to(torch.int8), scale


def matrices(reader):
    """The parameters that are stored as int8, under their names in the file."""
    encoder = reader.encoder
    found = {"word": encoder.word.weight}
    for index, layer in enumerate(encoder.layers):
        for name in ("qkv", "out", "up", "down"):
            found[f"layer.{index}.{name}"] = getattr(layer, name).weight
    return found


@torch.no_grad()
def round_weights(reader):
    """Replaces the weights by what the file will give back, so that the scores are those of the file."""
    for matrix in matrices(reader).values():
        whole, scale = quantised(matrix)
        matrix.copy_(whole.float() * scale[:, None])


@torch.no_grad()
def write(path, reader, tokenizer, familiar, config):
    tensors = {}
    for name, matrix in matrices(reader).items():
        tensors[name], tensors[f"{name}.scale"] = quantised(matrix)
    tensors["familiar"], tensors["familiar.scale"] = quantised(familiar)
    tensors["position"] = reader.encoder.position.weight
    tensors["norm.weight"], tensors["norm.bias"] = reader.encoder.norm.weight, reader.encoder.norm.bias
    for index, layer in enumerate(reader.encoder.layers):
        for name in ("qkv", "out", "up", "down"):
            tensors[f"layer.{index}.{name}.bias"] = getattr(layer, name).bias
        for name in ("norm1", "norm2"):
            tensors[f"layer.{index}.{name}.weight"] = getattr(layer, name).weight
            tensors[f"layer.{index}.{name}.bias"] = getattr(layer, name).bias
    tensors["pool.query"] = reader.query
    for name in ("dense", "intent", "present", "sentiment"):
        tensors[f"head.{name}.weight"] = getattr(reader, name).weight
        tensors[f"head.{name}.bias"] = getattr(reader, name).bias
    settings = json.loads(tokenizer.to_str())
    settings["padding"], settings["truncation"] = None, None
    text = json.dumps(settings, ensure_ascii=False, separators=(",", ":")).encode()
    tensors["tokenizer"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    config = {
        "format": FORMAT, "intents": INTENTS, "sentiments": SENTIMENTS, "layers": LAYERS, "attention_heads": HEADS,
        "tokens_max": TOKENS_MAX, "tail_tokens": TAIL_TOKENS, "norm_epsilon": 1e-12, **config,
    }
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, path, metadata={"rejoinder": json.dumps(config, sort_keys=True)})
    path.chmod(0o644)
