"""What a checkpoint needs on a device, estimated before anything is loaded, and the fastest way that fits.

Read from file headers and configurations alone, after what `pipelines.engine` and `pipelines.weights` really keep at
each phase. Knows nothing about torch: how wide values are and what is free is told to it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines import activations, listing
from pipelines.checkpoint import Checkpoint
from pipelines.families import family_of
from pipelines.places import Place
from pipelines.recipe import Recipe
from pipelines.room import Kind
from pipelines.weight_files import BITS

Offload = Literal["none", "model", "group"]
Phase = Literal["words", "start", "denoise", "decode"]

ALWAYS_BYTES: Mapping[Kind, int] = {"cuda": 300_000_000, "mps": 250_000_000, "cpu": 250_000_000}
"""What libraries and kernels take as they are first used. On a CPU 210 to 280 MB were measured above the tensors (demo
checkpoints, 512 and 1024 px, resident memory of a whole run); the others are guesses, not measured."""
SURPLUS: Mapping[Phase, float] = {"words": 2.0, "start": 1100 / 643, "denoise": 2.0, "decode": 2200 / 768}
"""What a GPU reserves for each byte of tensors: workspaces of convolutions, gaps between blocks. Not measured by us.

Autoencoder: InvokeAI fitted 2200 values a pixel reserved for decoding and 1100 for encoding (cuDNN, RTX 4090, its issue
8414), where the tensors are 768 and 643. Denoising: ComfyUI reckons 275 MB a row of SDXL and 1070 MB a row of FLUX at
1024 px in 16 bits, where the tensors are 165 and 490."""
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
"""Stored types that are loaded as the run's dtype; all others are kept as they are stored."""
LOADED_AS: Mapping[str, float] = {"nf4": 0.5 + 4 / 64, "int8": 1.0}
"""Bytes of one value of a matrix that is quantised while loading; NF4 has a float32 scale for every 64 values."""
CLIP_TOKENS, LONG_TOKENS = 77, 512
TILE_PX = 512


@dataclass(frozen=True)
class Frame:
    """Pictures of one size of one checkpoint. text_tokens 0 = the most that its encoders read."""

    checkpoint: Checkpoint
    width: int
    height: int
    text_tokens: int = 0
    has_start: bool = False


@dataclass(frozen=True)
class Way:
    """One way to make pictures with less memory: the fields of Numerics that decide it."""

    offload: Offload = "none"
    tiled: bool = False
    lanes: int = 1

    def __str__(self) -> str:
        words = {
            "none": "all but the text encoders stays",
            "model": "the denoiser leaves while pictures are decoded",
            "group": "the denoiser's layers come as they are needed",
        }
        lanes = f"{self.lanes} {'lane' if self.lanes == 1 else 'lanes'}"
        return ", ".join([words[self.offload], *(["decoding in tiles"] if self.tiled else []), lanes])


@dataclass(frozen=True)
class Need:
    """What one frame needs, in bytes: weights by component as they are loaded, and what each phase adds."""

    what: str
    weights: Mapping[str, int]
    denoiser: str
    encoders: tuple[str, ...]
    layer: int
    """The denoiser's largest tensor as it is computed with."""
    is_quantised: bool
    """Whether each of the denoiser's layers is unpacked while it is computed with."""
    row: int
    """Added by every row of a forward."""
    rows_a_lane: int
    adds: Mapping[Phase, int]
    """denoise is `row` times the rows instead."""
    tile: int
    """What decoding adds with tiles."""
    always: int
    encoders_stay: bool

    @property
    def whole(self) -> int:
        """All weights at once, which is what a person knows a checkpoint by."""
        return sum(self.weights.values())

    def peaks(self, way: Way) -> Mapping[Phase, int]:
        """The most that is held in each phase."""
        encoders = sum(self.weights.get(name, 0) for name in self.encoders)
        denoiser = self.layer if way.offload == "group" else self.weights[self.denoiser]
        unpacked = self.layer if self.is_quantised else 0
        beside = self.always + self.weights["vae"] + (encoders if self.encoders_stay else 0)
        told: dict[Phase, int] = {
            "words": self.always + encoders + self.adds["words"],
            "denoise": beside + denoiser + unpacked + self.row * self.rows_a_lane * way.lanes,
            "decode": beside
            + (0 if way.offload == "model" else denoiser)
            + (self.tile if way.tiled else self.adds["decode"]),
        }
        if self.adds["start"]:
            told["start"] = beside + denoiser + self.adds["start"]
        return told

    def peak(self, way: Way) -> int:
        """The most that is held at any time."""
        return max(self.peaks(way).values())


def frames(recipes: Iterable[Recipe], checkpoints: Mapping[str, Checkpoint]) -> tuple[Frame, ...]:
    """The distinct frames of recipes, but for those without files (random weights).

    `checkpoints` by the identity of their weights.
    """
    seen = {
        (recipe.checkpoint.identity, recipe.width, recipe.height, recipe.text_tokens, recipe.start is not None)
        for recipe in recipes
        if checkpoints[recipe.checkpoint.identity].bytes()
    }
    return tuple(
        Frame(checkpoints[weights], width, height, tokens, has_start)
        for weights, width, height, tokens, has_start in sorted(seen)
    )


def need(frame: Frame, *, kind: Kind, value_bytes: int, vae_bytes: int, rows_a_lane: int) -> Need:
    """What a frame needs on a device of that kind; raises CheckpointError for a damaged or missing file.

    `value_bytes` and `vae_bytes` are the width of a value in the run's dtype and in the autoencoder's.
    """
    checkpoint, family = frame.checkpoint, family_of(frame.checkpoint)
    weights = {
        name: _loaded(checkpoint.place(name), vae_bytes if name == "vae" else value_bytes)
        for name in checkpoint.components
    }
    vae, pixels = checkpoint.config("vae"), frame.width * frame.height
    tile = min(pixels, tile_px(vae) ** 2)
    encoders = [name for name in family.encoders if weights[name]]
    largest = max(math.prod(shape) for _, shape in checkpoint.place(family.denoiser).tensors().values())
    adds: dict[Phase, int] = {
        "words": max(_words(frame, name, value_bytes) for name in encoders),
        "start": activations.encoding(vae, pixels, value_bytes=vae_bytes) if frame.has_start else 0,
        "decode": activations.decoding(vae, pixels, value_bytes=vae_bytes),
    }
    surplus = SURPLUS if kind == "cuda" else dict.fromkeys(SURPLUS, 1.0)
    return Need(
        what=f"{checkpoint.name} at {frame.width}x{frame.height}",
        weights=weights,
        denoiser=family.denoiser,
        encoders=family.encoders,
        layer=largest * value_bytes,
        is_quantised=bool(checkpoint.place(family.denoiser).quantisation),
        row=int(surplus["denoise"] * _row(frame, value_bytes)),
        rows_a_lane=rows_a_lane,
        adds={phase: int(surplus[phase] * added) for phase, added in adds.items()},
        tile=int(surplus["decode"] * activations.decoding(vae, tile, value_bytes=vae_bytes)),
        always=ALWAYS_BYTES[kind],
        encoders_stay=kind == "cpu",
    )


def ways(lanes: int) -> Iterator[Way]:
    """All ways, the fastest first; `lanes` is the number that pays on this device.

    Fewer lanes make room for denoising, model offload and tiles for decoding, group offload for both. Model offload
    comes before tiles: it is slower, but leaves every pixel as it is.
    """
    halves = [lanes >> n for n in range(lanes.bit_length())]
    kinds: tuple[tuple[Offload, bool], ...] = (
        ("none", False), ("model", False), ("none", True), ("model", True), ("group", False), ("group", True),
    )  # fmt: skip
    return (Way(offload, tiled, number) for offload, tiled in kinds for number in halves)


def choose(needs: Sequence[Need], among: Iterable[Way], *, free: int, ram: int) -> Way | None:
    """The first way that keeps every need within `free` bytes on the device and what it puts away within `ram`."""
    for way in among:
        aside = max(one.weights[one.denoiser] for one in needs) if way.offload != "none" else 0
        if most(needs, way) <= free and aside <= ram:
            return way
    return None


def most(needs: Sequence[Need], way: Way) -> int:
    """The most that any of the needs holds at any time."""
    return max(one.peak(way) for one in needs)


def lighter(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Names of the same model with coarser weights (other pictures, but near ones): rows of models.txt, then options.

    Empty for one that is coarse already.
    """
    if checkpoint.quantisation:
        return ()
    rows = listing.rows()
    own = rows.get(checkpoint.name)
    listed = [
        row
        for row in rows.values()
        if row.options.get("quantisation")
        and (row.options.get("base") == checkpoint.name or (own and row.source == own.source))
    ]
    there = {row.options["quantisation"] for row in listed}
    unlisted = [f"{checkpoint.name}+quantisation={kind}" for kind in LOADED_AS if own and kind not in there]
    return (*(row.name for row in listed), *unlisted)


def tile_px(vae: Mapping[str, Any]) -> int:
    """Side of a tile when decoding in tiles, for an autoencoder of this configuration.

    diffusers takes the size that the autoencoder was made for, 1024 on SDXL and FLUX, where tiles then do nothing at
    1024 px; so `pipelines.weights` sets this one.
    """
    return min(int(vae["sample_size"]), TILE_PX)


def gigabytes(number: int) -> str:
    """As people say it: 13.2 GB, of 10^9 bytes, or 44 MB."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def _loaded(place: Place, value_bytes: int) -> int:
    """Bytes of a component's weights as they will be held."""
    if place.quantisation == "gguf":
        return sum(path.stat().st_size for path in place.weights())
    total = 0.0
    for stored, shape in place.tensors().values():
        values = math.prod(shape)
        if stored not in FLOATS:
            total += values * BITS[stored] / 8
        elif place.quantise and len(shape) == 2:
            total += values * LOADED_AS[place.quantise]
        else:
            total += values * value_bytes
    return int(total)


def _words(frame: Frame, encoder: str, value_bytes: int) -> int:
    config = frame.checkpoint.config(encoder)
    is_clip = str(config.get("model_type", "")).startswith("clip")
    tokens = CLIP_TOKENS if is_clip else frame.text_tokens or LONG_TOKENS
    return activations.words(config, tokens, value_bytes=value_bytes)


def _row(frame: Frame, value_bytes: int) -> int:
    """What one row adds to the denoiser's forward."""
    checkpoint, factor = frame.checkpoint, frame.checkpoint.latent_factor
    rows, columns = frame.height // factor, frame.width // factor
    if checkpoint.family == "sdxl":
        return activations.unet(checkpoint.config("unet"), rows, columns, value_bytes=value_bytes)
    reads_start = frame.has_start and (checkpoint.family == "flux2" or "Kontext" in checkpoint.index["_class_name"])
    picture = rows * columns // 4 * (2 if reads_start else 1)  # a reference is read as tokens beside the picture's own
    tokens = picture + (frame.text_tokens or LONG_TOKENS)
    formula = activations.flux2 if checkpoint.family == "flux2" else activations.flux
    return formula(checkpoint.config("transformer"), tokens, value_bytes=value_bytes)
