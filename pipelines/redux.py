"""FLUX.1 Redux: a picture becomes tokens that stand behind the prompt's. Knows nothing about recipes or lanes.

The weight multiplies these tokens alone, as ComfyUI's StyleModelApply does with strength_type "multiply"; diffusers'
own `prompt_embeds_scale` would weigh the words with them. 1 is Redux as trained.
"""

from typing import Any

import torch

from pipelines.errors import CheckpointError
from pipelines.opening import open_component
from pipelines.reference_images import Adapter


class Reader:
    """SigLIP and the Redux embedder, open: they turn a picture into tokens as wide as T5's."""

    def __init__(self, adapter: Adapter, *, dtype: torch.dtype, device: str) -> None:
        """Raises CheckpointError for files that are damaged or missing."""
        from diffusers import FluxPriorReduxPipeline
        from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder
        from transformers import SiglipImageProcessorPil, SiglipVisionModel

        places = adapter.places
        self._pipe: Any = FluxPriorReduxPipeline(
            image_encoder=_opened(open_component(SiglipVisionModel, places["image_encoder"], dtype), device),
            feature_extractor=SiglipImageProcessorPil.from_pretrained(
                places["feature_extractor"].folder, local_files_only=True
            ),
            image_embedder=_opened(open_component(ReduxImageEncoder, places["image_embedder"], dtype), device),
        )
        self._device = device

    @torch.no_grad()
    def tokens(self, picture: Any) -> torch.Tensor:
        """(1, tokens, width) of a Pillow RGB picture, which SigLIP sees as a square."""
        seen = self._pipe.encode_image(picture, self._device, 1)
        tokens: torch.Tensor = self._pipe.image_embedder(seen).image_embeds
        return tokens


def behind(words: torch.Tensor, tokens: torch.Tensor, *, weight: float) -> torch.Tensor:
    """Words (1, n, width) with the picture's tokens (1, m, width) behind them: (1, n + m, width).

    Raises CheckpointError where the adapter was made for words of another width.
    """
    if words.shape[-1] != tokens.shape[-1]:
        raise CheckpointError(
            f"this Redux makes tokens {tokens.shape[-1]} wide, but the checkpoint's words are {words.shape[-1]} wide; "
            "take the one made for FLUX.1"
        )
    return torch.cat([words, tokens.to(words.dtype) * weight], dim=1)


def _opened(module: Any, device: str) -> Any:
    return module.eval().requires_grad_(False).to(device)
