"""IP-Adapter for SDXL: crops of skin become tokens, which every cross-attention reads beside the words.

The loading and the attention are diffusers' own; only how strongly each row of a merged forward is pulled is ours. It
knows nothing about recipes, lanes or faces. Outside `Pull.acting` the UNet is as it was, to the bit.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from pipelines.errors import CheckpointError
from pipelines.opening import open_component
from pipelines.reference_images import Adapter

State = Mapping[str, dict[str, torch.Tensor]]
"""`image_proj` (pictures to tokens) and `ip_adapter` (keys and values of every cross-attention), as diffusers names."""
FAULTS = (KeyError, ValueError, RuntimeError, NotImplementedError, SafetensorError)
"""What diffusers and torch raise on a file that does not fit."""
COPIES_FACES = "proj.0.weight"
"""In `image_proj` of full-face and FaceID adapters only, which are made to copy a face."""


class Reader:
    """The image encoder and the adapter's projection, open: it turns crops into tokens."""

    def __init__(self, adapter: Adapter, *, dtype: torch.dtype, device: str) -> None:
        """Raises CheckpointError for files that are damaged or do not fit each other."""
        import diffusers
        from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

        encoder = open_component(CLIPVisionModelWithProjection, adapter.places["image_encoder"], dtype)
        side = encoder.config.image_size
        # as diffusers' load_ip_adapter makes it, but scaled by Pillow everywhere: torchvision gives other pixels
        self._processor = CLIPImageProcessorPil(size=side, crop_size=side)
        self._encoder = encoder.eval().requires_grad_(False).to(device)
        self._dtype, self._device = dtype, device
        with _told(adapter):
            own: Any = diffusers.UNet2DConditionModel._convert_ip_adapter_image_proj_to_diffusers
            home = SimpleNamespace(device=torch.device(device), dtype=dtype)  # all that it asks of the UNet
            self._projection = _whole(own(home, read(adapter)["image_proj"]))
        self._reads_last = isinstance(self._projection, diffusers.models.embeddings.ImageProjection)
        self._check_width(adapter)

    @torch.no_grad()
    def tokens(self, crops: Sequence[Any]) -> torch.Tensor:
        """(2, crops, tokens, width) of Pillow RGB crops: what pulls nowhere first, as stock pipelines lay it.

        The tokens of several crops stand beside each other, as diffusers has it for a list of pictures: attention
        picks among them and their weights sum to 1, so a weight pulls as hard with one crop as with three, and no
        crop's pores are averaged away.
        """
        pixels = self._processor(list(crops), return_tensors="pt").pixel_values.to(self._device, self._dtype)
        if self._reads_last:
            seen = self._encoder(pixels).image_embeds
            both = [torch.zeros_like(seen), seen]
        else:
            both = [
                self._encoder(given, output_hidden_states=True).hidden_states[-2]
                for given in (torch.zeros_like(pixels), pixels)
            ]
        return torch.stack([self._projection(seen) for seen in both])

    def _check_width(self, adapter: Adapter) -> None:
        config = self._encoder.config
        has = config.projection_dim if self._reads_last else config.hidden_size
        reads = self._projection.image_embeds if self._reads_last else self._projection.proj_in
        if reads.in_features != has:
            raise CheckpointError(
                f"{adapter.name} reads an image encoder {reads.in_features} wide, but its base is {has} wide; name the "
                "encoder that it was trained with (files called vit-h: CLIP ViT-H, 1280)"
            )


class Pull:
    """An adapter's keys and values for one UNet. They are in it only while a forward asks for them."""

    def __init__(self, adapter: Adapter, unet: Any, *, dtype: torch.dtype, device: str) -> None:
        """Raises CheckpointError for a file that does not fit this UNet."""
        with _told(adapter):
            found = unet._convert_ip_adapter_attn_to_diffusers([read(adapter)])
            attentions = {f"{name}.processor": module for name, module in unet.named_modules()}
            self._places = [
                (attentions[name], _whole(processor).to(device, dtype))
                for name, processor in found.items()
                if hasattr(processor, "to_k_ip")
            ]

    @contextmanager
    def acting(self, weights: torch.Tensor) -> Iterator[None]:
        """Let the adapter act in the UNet, each row of a forward by its own weight: (rows,), 1 = as trained."""
        before = [attention.processor for attention, _ in self._places]
        scale = RowWeights(weights)
        try:
            for attention, processor in self._places:
                processor.scale = [scale]
                _set(attention, processor)
            yield
        finally:
            for (attention, _), processor in zip(self._places, before, strict=True):
                _set(attention, processor)


class RowWeights:
    """Stands where diffusers' attention keeps its scale, a number for all rows, which it asks for 0 and multiplies."""

    def __init__(self, weights: torch.Tensor) -> None:
        self._weights = weights.float().reshape(-1, 1, 1)

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]  # nothing equals it, itself neither

    def __mul__(self, x: torch.Tensor) -> torch.Tensor:
        """x (rows, places, width) with each row weighed; in float32, as torch multiplies by a number."""
        return (self._weights * x).to(x.dtype)


def read(adapter: Adapter) -> State:
    """The tensors of an IP-Adapter's file, sorted as diffusers does; raises CheckpointError for other kinds."""
    assert adapter.file, "an IP-Adapter is one file"
    state: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    with safe_open(adapter.file, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118  # not a dict
            kind, _, rest = name.partition(".")
            if kind in state:
                state[kind][rest] = file.get_tensor(name)
    if COPIES_FACES in state["image_proj"] or any("_lora." in name for name in state["ip_adapter"]):
        kind = "a full-face or FaceID adapter, made to copy a face"
        raise CheckpointError(f"ip-adapter {adapter.name} is {kind}; take ip-adapter-plus")
    return state


def _set(attention: Any, processor: Any) -> None:
    """As `set_processor` does, without its remark, which prints the weights 140 times a forward."""
    attention._modules.pop("processor", None)
    attention.processor = processor


def _whole(module: Any) -> Any:
    """The module, unless tensors were never filled, which diffusers passes over."""
    if lacking := [name for name, tensor in module.named_parameters() if tensor.is_meta]:
        raise ValueError(f"{lacking[0]} is missing")
    return module.eval().requires_grad_(False)


@contextmanager
def _told(adapter: Adapter) -> Iterator[None]:
    """A file's faults as one line with its name."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except FAULTS as error:
        lacks = f"{error.args[0]} is missing" if isinstance(error, KeyError) and error.args else ""
        why = lacks or (str(error) or type(error).__name__).strip().splitlines()[0].partition(". If")[0]
        raise CheckpointError(
            f"ip-adapter {adapter.name} does not fit this checkpoint ({why}); take one made for SDXL, or download it "
            "again"
        ) from None
