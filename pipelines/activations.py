"""How much a network holds at once while it runs, by formula from its configuration. Knows nothing about devices.

Each formula adds up the tensors alive at the worst moment of the eager forward without gradients, in diffusers 0.42.1,
with an attention that does not write its scores out. A test counts them again, at full size on the meta device and in
real forwards. What a device takes on top (workspaces, gaps) is `pipelines.memory`'s business.
"""

from collections.abc import Mapping
from typing import Any

Config = Mapping[str, Any]
FLOAT32 = 4  # bytes of one value

FLUX_OWN, FLUX_FLOAT32 = 13.2, 2.1
"""A single-stream block while it rotates its queries, in widths of a token: block input and its copy in the caller,
norm, the feed-forward's four, query, key, value and what rotation makes of them; two more are always float32."""
FLUX2_OWN = 22.7
"""A parallel block while it joins attention and feed-forward: the fused projection's nine widths, gate and product,
query, key and value rotated, attention's output, the joined four and the block's input: counted, not derived."""


def unet(config: Config, height: int, width: int, *, value_bytes: int) -> int:
    """Bytes that one row of latents (height, width) adds to a UNet's forward.

    The worst moment is on the way up, where every level above still waits to be joined: either the first residual block
    (its joined input, normed and activated) or, where a level attends, the gated feed-forward of its transformer:
    8 widths projected, 4 of them activated, 4 multiplied, and 5 of residuals.
    """
    channels = config["block_out_channels"]
    repeats = config["layers_per_block"]
    waiting, most = 0.0, 0.0
    for level, own in enumerate(channels):
        share = 0.25**level
        waiting += share * (channels[max(level - 1, 0)] + repeats * own)
        wide = channels[min(level + 1, len(channels) - 1)]
        residual = 3 * (wide + own) + wide
        attends = "CrossAttn" in config["down_block_types"][level]
        most = max(most, waiting + share * max(residual, (8 + 4 + 4 + 5) * own + wide if attends else 0))
    return int(most * height * width * value_bytes)


def flux(config: Config, tokens: int, *, value_bytes: int) -> int:
    """Bytes that one row of picture and text tokens adds to FLUX.1's transformer."""
    return int(tokens * _inner(config) * (FLUX_OWN * value_bytes + FLUX_FLOAT32 * FLOAT32))


def flux2(config: Config, tokens: int, *, value_bytes: int) -> int:
    """Bytes that one row of picture, reference and text tokens adds to FLUX.2's transformer."""
    return int(tokens * _inner(config) * FLUX2_OWN * value_bytes)


def words(config: Config, tokens: int, *, value_bytes: int) -> int:
    """Bytes of a text encoder's forward: every layer's output is kept, the widest layer thrice, scores twice,
    and integers of the distance between any two tokens.
    """
    text = config.get("text_config", config)
    wide = text.get("hidden_size", text.get("d_model", 0))
    layers = text.get("num_hidden_layers", text.get("num_layers", 0))
    heads = text.get("num_attention_heads", text.get("num_heads", 0))
    inner = text.get("intermediate_size", text.get("d_ff", 0))
    values = tokens * ((layers + 8) * wide + 3 * inner + 2 * heads * tokens)
    return int(values * value_bytes + 3 * 8 * tokens**2)


def decoding(config: Config, pixels: int, *, value_bytes: int) -> int:
    """Bytes of an autoencoder's decoder, whose worst moment is its last block, at full size.

    Either the first residual block (the level below's width as input, normed, activated) or the next ones (that input
    still held by the caller, and the block's input, output, sum and scaled sum).
    """
    own, below = _first_two(config)
    return int(pixels * max(3 * below, below + 4 * own) * value_bytes)


def encoding(config: Config, pixels: int, *, value_bytes: int) -> int:
    """Bytes of an autoencoder's encoder: its first block at full size, the caller's input, and the picture."""
    own, _ = _first_two(config)
    return int(pixels * (5 * own + 3) * value_bytes)


def _inner(config: Config) -> int:
    return int(config["attention_head_dim"] * config["num_attention_heads"])


def _first_two(config: Config) -> tuple[int, int]:
    channels = [int(width) for width in config["block_out_channels"]]
    return channels[0], channels[min(1, len(channels) - 1)]
