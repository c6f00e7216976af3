"""What a weights file holds, read from its header alone. Knows nothing about where files come from or what opens them.

Safetensors and GGUF are read, pickles never. A header is believed only where it agrees with the file's own length.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pipelines.errors import CheckpointError
from pipelines.listing import PICKLES, Kind, pickle_refusal
from pipelines.recipe import FamilyName

MOST_HEADER_BYTES = 100_000_000  # the safetensors library's own limit
MOST_GGUF_READS = 2_000_000  # of header values; a text encoder with its vocabulary in the header takes about 100,000
BITS: Mapping[str, int] = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
"""Width of one value by safetensors' name of its type."""


@dataclass(frozen=True)
class Header:
    """Tensors by name with their type, as the file names it ("BF16", "Q8_0"), and shape; and the file's own remarks."""

    tensors: Mapping[str, tuple[str, tuple[int, ...]]]
    metadata: Mapping[str, str]


def header(path: Path) -> Header:
    """Names, types and shapes of a .safetensors or .gguf file; no weights are read.

    Raises CheckpointError for a pickle (by its name or first bytes, unread), a damaged, cut or hostile file.
    """
    if path.suffix.lower() in PICKLES:
        raise CheckpointError(pickle_refusal(str(path)))
    if path.suffix.lower() not in (".safetensors", ".gguf"):
        raise CheckpointError(f"{path} is no weights file; .safetensors and .gguf files are opened")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}); give another file") from None
    if _is_pickle(start):
        raise CheckpointError(pickle_refusal(str(path)))
    return _gguf(path) if path.suffix.lower() == ".gguf" else _safetensors(path)


def _is_pickle(start: bytes) -> bool:
    """Torch's zip of pickles, or a bare pickle; a safetensors file has `{` after its eight bytes of length."""
    return start[8:] != b"{" and (start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5"))


def _safetensors(path: Path) -> Header:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, MOST_HEADER_BYTES):
            _damaged(path, "its length is not what its header says")
        text = file.read(length)
    try:
        entries = json.loads(text, object_pairs_hook=_without_duplicates)
        metadata = {key: str(value) for key, value in entries.pop("__metadata__", {}).items()}
        tensors = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()}
        spans = sorted((*entry["data_offsets"], name) for name, entry in entries.items())
        end = _end_of(spans, tensors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        _damaged(path, "its header cannot be read")
    if size != 8 + length + end:
        _damaged(path, "its length is not what its header says")
    return Header(tensors, metadata)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _end_of(spans: list[tuple[int, int, str]], tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> int:
    """Where the last tensor ends; raises ValueError unless they lie one after the other, each of its own size."""
    end = 0
    for start, stop, name in spans:
        dtype, shape = tensors[name]
        if not all(type(side) is int and side >= 0 for side in shape):
            raise ValueError("a shape that cannot be")
        if start != end or (stop - start) * 8 != math.prod(shape) * BITS[dtype]:
            raise ValueError("tensors overlap, leave gaps or have another size than their shape")
        end = stop
    return end


def _damaged(path: Path, why: str) -> NoReturn:
    raise CheckpointError(f"{path} is damaged ({why}); copy or download it again")


def _gguf(path: Path) -> Header:
    try:
        from gguf import GGUFReader, GGUFValueType
    except ImportError:
        raise CheckpointError(
            f"{path} needs the package gguf to be opened; install sidelight[quant], or take a .safetensors file"
        ) from None

    class Bounded(GGUFReader):
        """The stock reader walks on past the end of a file, for as long as a hostile count says."""

        reads = 0

        def _get(self, offset: int, dtype: Any, count: Any = 1, override_order: Any = None) -> Any:
            self.reads += 1
            value = super()._get(offset, dtype, count, override_order)
            if len(value) != int(count) or self.reads > MOST_GGUF_READS:
                raise ValueError("ends early")
            return value

    try:
        read = Bounded(path)
        tensors = {
            one.name: (one.tensor_type.name, tuple(int(side) for side in reversed(one.shape))) for one in read.tensors
        }
        texts = [field for field in read.fields.values() if field.types == [GGUFValueType.STRING]]
        metadata = {field.name: str(bytes(field.parts[-1]), "utf-8") for field in texts}
    except (ValueError, KeyError, IndexError, OverflowError, TypeError):
        _damaged(path, "its header cannot be read, or it ends before its header says")
    return Header(tensors, metadata)


PREFIXES: Mapping[str, tuple[str, ...]] = {
    "unet": ("model.diffusion_model.",),
    "transformer": ("model.diffusion_model.",),
    "vae": ("first_stage_model.", "vae."),
    "text_encoder": ("conditioner.embedders.0.transformer.", "text_encoders.clip_l.transformer."),
    "text_encoder_2": ("conditioner.embedders.1.model.", "text_encoders.t5xxl.transformer."),
}
"""How the tensors of each component begin in a file that holds several (SDXL's and FLUX.1's); alone they may not."""
LORA_KEYS = (
    ".lora_A.", ".lora_B.", ".lora_down.", ".lora_up.", "lora.down.", "lora1.down.", "lora2.down.",
    "lora_linear_layer.", ".hada_w1", ".lokr_w", "lora_unet_",
)  # fmt: skip
VAE_PREFIXES = ("", "vae.", "first_stage_model.")
LATENT_CHANNELS: Mapping[int, FamilyName] = {4: "sdxl", 16: "flux", 32: "flux2"}
REFINER = (
    "the SDXL refiner, which is not opened: it finishes another checkpoint's latents and makes no picture alone; "
    "give the base checkpoint"
)
REFUSED: Mapping[str, str] = {
    "conditioner.embedders.0.model.": REFINER,
    "cond_stage_model.": "a Stable Diffusion 1 or 2 checkpoint; SDXL and FLUX are opened",
    "joint_blocks.0.": "a Stable Diffusion 3 checkpoint; SDXL and FLUX are opened",
    "distilled_guidance_layer.": "a Chroma checkpoint; SDXL and FLUX are opened",
    "edm_mean": "a Playground checkpoint, whose noise schedule is another; SDXL and FLUX are opened",
    "control_model.": "a ControlNet, which is not opened",
    "controlnet_cond_embedding.": "a ControlNet, which is not opened",
    "input_hint_block.": "a ControlNet, which is not opened",
    "scale_weight": "stored as scaled 8-bit floats, which diffusers does not read; take the bf16, fp16 or GGUF file",
    "scaled_fp8": "stored as scaled 8-bit floats, which diffusers does not read; take the bf16, fp16 or GGUF file",
    "comfy_quant": "quantised for another tool; take the bf16, fp16 or GGUF file",
    "quant_state.bitsandbytes": "quantised by bitsandbytes in one file, which diffusers does not read; take the bf16 "
    "file with quantisation=nf4, a GGUF file or a diffusers folder saved in NF4",
    "SelfAttention.": "a text encoder alone; give the checkpoint, with base=NAME for what it lacks",
    "text_model.": "a text or image encoder alone; give the checkpoint, with base=NAME for what it lacks",
    "vision_model.": "an image encoder alone; it is listed with the adapter that needs it",
}
"""What is told apart to be refused by name, by a piece of its tensors' names. Encoders last: checkpoints hold them."""


@dataclass(frozen=True)
class Look:
    """What a weights file is. `parts` are the components that it holds, by diffusers' names."""

    kind: Kind
    family: FamilyName
    parts: tuple[str, ...]
    inpainting: bool = False
    """Its denoiser takes a mask and the masked picture beside the latents."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the tensors say of the denoiser's own settings, by diffusers' names."""
    schedule: Mapping[str, Any] = field(default_factory=dict)
    """What the file says of its noise schedule, by diffusers' names; empty where it is the family's usual one."""


def look(path: Path) -> Look:
    """What a .safetensors or .gguf file holds, by the names and shapes of its tensors.

    An autoencoder's family is told by its latent channels, which it shares with other families of that number. Raises
    CheckpointError as `header` does, and for a file of no kind that is opened, naming what was seen.
    """
    seen = header(path)
    if any(piece in name for name in seen.tensors for piece in LORA_KEYS):
        from pipelines.loras import look_lora  # reads headers through this module

        return Look("lora", look_lora(path), ())
    for rule in (_adapter, _sdxl, _flux, _autoencoder):
        if found := rule(path, seen):
            return found
    _refuse(path, seen, REFUSED)
    some = ", ".join(list(seen.tensors)[:3])
    raise CheckpointError(
        f"{path} is of no kind that is opened ({len(seen.tensors)} tensors: {some or 'none'} ...); opened: SDXL and "
        "FLUX checkpoints, their LoRAs, autoencoders and adapters"
    )


def own_tensors(seen: Header, component: str) -> dict[str, str]:
    """A component's own names of its tensors -> their names in a file that holds it, with others or alone."""
    for prefix in PREFIXES[component]:
        if found := {name.removeprefix(prefix): name for name in seen.tensors if name.startswith(prefix)}:
            return found
    others = tuple(prefix for prefixes in PREFIXES.values() for prefix in prefixes)
    return {name: name for name in seen.tensors if not name.startswith(others)}


def _parts(seen: Header, denoiser: str) -> tuple[str, ...]:
    """The denoiser and what else stands beside it."""
    held = [part for part in PREFIXES if any(name.startswith(PREFIXES[part]) for name in seen.tensors)]
    return (denoiser, *(part for part in held if part not in ("unet", "transformer")))


def _sdxl(path: Path, seen: Header) -> Look | None:
    unet = {name: seen.tensors[inside][1] for name, inside in own_tensors(seen, "unet").items()}
    first = unet.get("input_blocks.0.0.weight", unet.get("conv_in.weight"))
    if first is None or not unet.keys() & {"label_emb.0.0.weight", "add_embedding.linear_1.weight"}:
        return None
    _refuse(path, seen, REFUSED, but=("text_model.",))
    if first[0] == 384:
        _told(path, REFINER)
    reads = next((shape[-1] for name, shape in unet.items() if name.endswith("attn2.to_k.weight")), 0)
    if reads in (768, 1024, 1280) or any("time_stack" in name or name.startswith("encoder_hid") for name in unet):
        _told(path, f"a relative of SDXL (its words are {reads} wide) that is not opened; SDXL and FLUX are")
    if first[1] not in (4, 9):
        _told(path, f"an SDXL checkpoint with {first[1]} input channels; those with 4, or 9 for inpainting, are opened")
    parts, settings = _parts(seen, "unet"), {"in_channels": first[1]}
    return Look("checkpoint", "sdxl", parts, first[1] == 9, settings, _schedule(seen))


def _schedule(seen: Header) -> Mapping[str, Any]:
    """Training for velocity instead of noise, as SDXL checkpoints are marked by those who train them."""
    if "v_pred" not in seen.tensors and seen.metadata.get("modelspec.prediction_type") != "v":
        return {}
    zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if "ztsnr" in seen.tensors else {}
    return {"prediction_type": "v_prediction", **zero}


def _flux(path: Path, seen: Header) -> Look | None:
    own = {name: seen.tensors[inside][1] for name, inside in own_tensors(seen, "transformer").items()}
    reads = own.get("img_in.weight", own.get("x_embedder.weight"))
    writes = own.get("final_layer.linear.weight", own.get("proj_out.weight"))
    if not reads or not writes or not any(name.startswith(("single_blocks.0.", "single_trans")) for name in own):
        return None
    _refuse(path, seen, REFUSED, but=("SelfAttention.", "text_model."))
    if any("stream_modulation" in name for name in own):
        return Look("checkpoint", "flux2", ("transformer",))
    if reads[1] not in (writes[0], 3 * writes[0], 6 * writes[0]):
        _told(path, f"a FLUX control model ({reads[1]} input channels), which is not opened; text-to-image ones are")
    guided = any(name.startswith(("guidance_in.", "time_text_embed.guidance_embedder.")) for name in own)
    settings = {"in_channels": reads[1], "out_channels": writes[0], "guidance_embeds": guided}
    return Look("checkpoint", "flux", _parts(seen, "transformer"), reads[1] != writes[0], settings)


def _autoencoder(path: Path, seen: Header) -> Look | None:
    first = "decoder.conv_in.weight"
    found = next((seen.tensors[start + first][1] for start in VAE_PREFIXES if start + first in seen.tensors), None)
    if found is None:
        return None
    if len(found) != 4 or found[1] not in LATENT_CHANNELS:
        known = ", ".join(map(str, LATENT_CHANNELS))
        _told(path, f"an autoencoder with latents of shape {list(found[1:])}; those with {known} channels are opened")
    return Look("vae", LATENT_CHANNELS[found[1]], ("vae",))


def _adapter(path: Path, seen: Header) -> Look | None:
    """IP-Adapters (their image projection, and keys and values beside the text's) and FLUX.1 Redux."""
    names = seen.tensors
    if "redux_up.weight" in names or any("ip_adapter_double_stream" in name for name in names):
        return Look("adapter", "flux", ())
    width = next((shape[-1] for name, (_, shape) in names.items() if name.endswith("to_k_ip.weight")), None)
    if width is None or not any(name.startswith("image_proj.") for name in names):
        return None
    if width in (768, 1024):
        _told(path, f"an IP-Adapter of Stable Diffusion 1 or 2 (width {width}); those of SDXL and FLUX are listed")
    return Look("adapter", "sdxl", ())


def _refuse(path: Path, seen: Header, known: Mapping[str, str], *, but: tuple[str, ...] = ()) -> None:
    for piece, what in known.items():
        if piece not in but and any(piece in name for name in seen.tensors):
            _told(path, what)


def _told(path: Path, what: str) -> NoReturn:
    raise CheckpointError(f"{path} is {what}")
