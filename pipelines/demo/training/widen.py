"""Puts a UNet trained on pooled latents inside one that has a further, finer level around it.

The inner levels see the same low frequencies at the same noise in both, and cost a quarter on pooled latents: that is
where layout and words are learned. Knows nothing about data.
"""

import re

from diffusers import UNet2DConditionModel

NEW = ("conv_in.", "conv_out.", "conv_norm_out.")  # belong to the finest level


def widen(inner: UNet2DConditionModel, outer: UNet2DConditionModel) -> list[str]:
    """Copies every weight of `inner` to its place in `outer`, in place; returns the names in `outer` left as they were.

    inner has the levels of outer but its first: its down blocks shift by one, its up blocks keep their numbers.
    """
    state, target = inner.state_dict(), outer.state_dict()
    moved = {
        re.sub(r"^down_blocks\.(\d+)", lambda m: f"down_blocks.{int(m[1]) + 1}", name): value
        for name, value in state.items()
        if not name.startswith(NEW)
    }
    wrong = [name for name, value in moved.items() if name not in target or target[name].shape != value.shape]
    if wrong:
        raise ValueError(f"the inner UNet does not fit: {wrong[:5]}")
    outer.load_state_dict(target | moved)
    return [name for name in target if name not in moved]
