"""Device, dtype, attention, rows, offload, compile: decided once, each with its reason. Knows nothing about recipes.

Figures named here were measured on one H200 (bf16, full-size random weights) unless said otherwise; all can be
overridden, and what was decided is kept in the run's `numerics.json`. What is free goes into no reason: reasons are
part of every picture's file, and equal work gives equal bytes.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Literal

from pydantic import Field

from pipelines import memory
from pipelines.checkpoint import find
from pipelines.errors import CheckpointError, InputError, NumericsError
from pipelines.frozen import LABEL, Frozen
from pipelines.memory import Frame, Need, Offload, Way, gigabytes
from pipelines.recipe import FamilyName
from pipelines.room import Kind, Room, room

Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "xformers"]
Compile = Literal["off", "regional"]
VALUE_BYTES: Mapping[Dtype, int] = {"float32": 4, "bfloat16": 2, "float16": 2}


class Numerics(Frozen):
    """What fixes the rounding of a run. Two runs with equal numerics and lanes give equal bytes.

    lanes x lane_width is the number of rows of every forward; with one lane a forward has the call's own rows.
    `offload` model: the denoiser leaves the device while pictures are decoded; group: its layers come as they are
    needed. `tiled`: the autoencoder decodes in tiles. `reasons` says why, field by field.
    """

    torch: str
    diffusers: str
    transformers: str
    device: str
    """"cpu", "mps" or the GPU's name."""
    threads: int
    """CPU threads; 0 where the work is done elsewhere."""
    dtype: Dtype
    vae_dtype: Dtype = "float32"
    attention: Attention = "sdpa"
    compile: Compile = "off"
    lanes: int = Field(ge=1, le=64)
    lane_width: int = Field(ge=1, le=4)
    offload: Offload = "none"
    tiled: bool = False
    reasons: tuple[tuple[str, str], ...] = Field((), json_schema_extra=LABEL)

    @property
    def digest(self) -> str:
        """12 hex digits that stand for these numerics."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:12]

    def because(self, reason: str, **changes: Any) -> "Numerics":
        """Other numerics, with the reason noted for every field that changes."""
        return self.but(**changes, reasons=(*self.reasons, *((name, reason) for name in changes)))


def decide(
    *,
    family: FamilyName,
    pixels: int,
    lane_width: int,
    cells: int,
    forwards: int,
    asked: Mapping[str, Any],
    can_compile: bool = True,
    frames: Sequence[Frame] = (),
    look: Callable[[Kind], Room] = room,
) -> Numerics:
    """Numerics for `cells` pictures of up to `pixels` each and about `forwards` network calls in all.

    `asked` overrides single fields by name. `can_compile`: no LoRA and no quantisation is among them. `frames` are what
    the memory must hold; without them it is not looked at. `look` tells what is free. Raises InputError for values that
    cannot be, for a device or kernel that is not there, and where no way fits.
    """
    import torch

    kind = _device_kind(asked.get("device"))
    dtype, why = _dtype(kind)
    numerics = Numerics(
        torch=torch.__version__,
        diffusers=version("diffusers"),
        transformers=version("transformers"),
        device=device_name(kind),
        threads=torch.get_num_threads() if kind == "cpu" else 0,
        dtype=dtype,
        lanes=1,
        lane_width=lane_width,
        reasons=(
            ("dtype", why),
            ("vae_dtype", "bfloat16 keeps 8 bits: seen in skin, and decoding is a small share of the time"),
            ("attention", "torch's own kernel: as fast as others measured, and always there"),
        ),
    )
    lanes, reason = _lanes(kind, family, pixels)
    numerics = numerics.because(reason, lanes=max(1, min(lanes, cells)))
    wanted = {name: value for name, value in asked.items() if value is not None and name != "device"}
    if wanted.get("attention") == "xformers":
        probe_xformers(kind, wanted.get("dtype", numerics.dtype))
    numerics = numerics.because("asked for", **wanted) if wanted else numerics
    if kind == "cpu" and numerics.offload != "none":
        raise InputError(f"offload {numerics.offload} makes room on a GPU; on a CPU leave it out")
    if frames:
        numerics = _fitted(numerics, kind, frames, wanted, look(kind))
    pays = kind == "cuda" and family == "flux" and forwards > 130
    if pays and can_compile and "compile" not in wanted and numerics.offload != "group":
        numerics = numerics.because("saves 46 ms of 177 a forward against about 6 s of compiling", compile="regional")
    return numerics


def _fitted(numerics: Numerics, kind: Kind, frames: Sequence[Frame], wanted: Mapping[str, Any], free: Room) -> Numerics:
    """Numerics that fit into memory; on a CPU only what clearly cannot be is refused."""
    needs = needs_of(frames, numerics)
    if kind != "cuda":
        _refuse_hopeless(needs, numerics, free)
        return numerics
    among = [
        way
        for way in memory.ways(numerics.lanes)
        if all(getattr(way, name) == wanted.get(name, getattr(way, name)) for name in ("offload", "tiled", "lanes"))
    ]
    way = memory.choose(needs, among, free=free.device, ram=free.ram)
    if way is None and len(among) == len(list(memory.ways(numerics.lanes))):
        raise InputError(_too_large(needs, numerics, frames, free))
    return _by(numerics, way, needs, among, wanted)


def _by(numerics: Numerics, way: Way | None, needs: Sequence[Need], among: Sequence[Way], wanted: Any) -> Numerics:
    """Numerics of that way; None: of the leanest that was asked for, as an estimate is no measurement."""
    first, taken = among[0], way or min(among, key=lambda one: memory.most(needs, one))
    peak = gigabytes(memory.most(needs, taken))
    if way is None:
        reason = f"tried because it was asked for: {peak} are needed by estimate, more than is free"
    elif taken == first:
        reason = f"{taken}: {peak} fit, by estimate"
    else:
        whole = gigabytes(memory.most(needs, first))
        reason = f"{whole} do not fit, by estimate; {peak} do: {taken}"
    changes: dict[str, Any] = {"offload": taken.offload}
    changes |= {
        name: getattr(taken, name) for name in ("lanes", "tiled") if getattr(taken, name) != getattr(first, name)
    }
    left = {name: value for name, value in changes.items() if name not in wanted}
    return numerics.because(reason, **left) if left else numerics


def _refuse_hopeless(needs: Sequence[Need], numerics: Numerics, free: Room) -> None:
    largest = max(needs, key=lambda one: one.whole)
    if largest.whole > free.ram_in_all:
        raise InputError(
            f"{largest.what} needs {gigabytes(largest.whole)} for its weights in {numerics.dtype} on "
            f"{numerics.device}, and this machine has {gigabytes(free.ram_in_all)} of memory in all; "
            "take a smaller or quantised checkpoint"
        )


def _too_large(needs: Sequence[Need], numerics: Numerics, frames: Sequence[Frame], free: Room) -> str:
    """One line: what is needed at the least, in which phase, what is free, what to do."""
    leanest = list(memory.ways(1))[-1]
    worst = max(needs, key=lambda one: one.peak(leanest))
    phases = worst.peaks(leanest)
    phase = max(phases, key=lambda one: phases[one])
    at = {
        "words": "for its text encoders",
        "start": "to encode the start image",
        "denoise": "while denoising",
        "decode": "to decode a picture",
    }[phase]
    instead = _instead(frames[needs.index(worst)], numerics, free)
    smaller = "" if phase == "words" else ", or smaller pictures"
    return (
        f"{worst.what} needs {gigabytes(phases[phase])} {at} even with group offload, tiles and one lane, and "
        f"{gigabytes(free.device)} are free on {numerics.device} (with {gigabytes(free.ram)} of main memory); "
        f"{instead}{smaller}, or say --offload group to try all the same (this is an estimate)"
    )


def _instead(frame: Frame, numerics: Numerics, free: Room) -> str:
    """What to take in the place of a checkpoint that does not fit: coarser weights of it that are here and do."""
    told = []
    for name in memory.lighter(frame.checkpoint):
        try:
            needs = needs_of([replace(frame, checkpoint=find(name))], numerics)
        except CheckpointError:
            continue  # not on this disk, or of a kind that cannot be made so
        if way := memory.choose(needs, memory.ways(1), free=free.device, ram=free.ram):
            told.append(f"{name} ({gigabytes(memory.most(needs, way))})")
    return f"take {' or '.join(told)}" if told else "take a smaller or quantised checkpoint"


def needs_of(frames: Sequence[Frame], numerics: Numerics) -> list[Need]:
    """What each frame needs under these numerics."""
    return [
        memory.need(
            frame,
            kind=torch_device(numerics),
            value_bytes=VALUE_BYTES[numerics.dtype],
            vae_bytes=VALUE_BYTES[numerics.vae_dtype],
            rows_a_lane=numerics.lane_width,
        )
        for frame in frames
    ]


def memory_line(frames: Sequence[Frame], numerics: Numerics, *, look: Callable[[Kind], Room] = room) -> str:
    """What the largest frame needs under these numerics, phase by phase, and what is free."""
    way = Way(numerics.offload, numerics.tiled, numerics.lanes)
    largest = max(needs_of(frames, numerics), key=lambda one: one.peak(way))
    kind = torch_device(numerics)
    free = look(kind)
    phases = ", ".join(f"{phase} {gigabytes(held)}" for phase, held in largest.peaks(way).items())
    place = "of main memory" if kind == "cpu" else f"on {numerics.device}"
    return (
        f"{largest.what} needs about {gigabytes(largest.peak(way))}, {gigabytes(free.device)} are free {place} "
        f"({phases}; estimated)"
    )


def _dtype(kind: str) -> tuple[Dtype, str]:
    import torch

    if kind == "cpu":
        return "float32", "CPUs compute bfloat16 slowly"
    if kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "float16", "this GPU has no bfloat16"
    return "bfloat16", "half the memory of float32, with its range"


def _lanes(kind: str, family: FamilyName, pixels: int) -> tuple[int, str]:
    """(lanes, reason): the fewest rows after which another row costs its full price."""
    if kind == "cpu":
        return 1, "a CPU is busy with one picture; more rows cost their full price"
    if kind == "mps":
        return 1, "not measured on this device"
    if family == "flux":
        return 1, "one picture keeps the GPU busy (177 ms a row alone, 173 in fours)"
    if family == "flux2":
        return 1, "not measured; a forward of one picture is at least 35 TFLOP, five times SDXL's"
    if pixels > 768 * 768:
        return 4, "8 rows take 142 ms, 2 take 58; 16 would cost 274"
    return 8, "16 rows of 512 px take 71 ms, 2 take 60"


def honour(numerics: Numerics) -> None:
    """Raise NumericsError if this machine would round differently from what `numerics` says."""
    import torch

    here = {
        "torch": torch.__version__,
        "diffusers": version("diffusers"),
        "transformers": version("transformers"),
        "device": device_name(_device_kind(numerics.device if numerics.device in ("cpu", "mps") else None)),
    }
    for name, value in here.items():
        if getattr(numerics, name) != value:
            raise NumericsError(
                f"this run was made with {name} {getattr(numerics, name)}, here is {value}; "
                "install that one, or give --new-numerics (new pictures are marked)"
            )
    if numerics.attention == "xformers":
        probe_xformers(torch_device(numerics), numerics.dtype)
    if numerics.device == "cpu":
        torch.set_num_threads(numerics.threads)


def less_memory(numerics: Numerics) -> Numerics:
    """The next rung after running out of memory; raises InputError when there is none left."""
    if numerics.lanes > 1:
        return numerics.because("out of memory: half the rows", lanes=numerics.lanes // 2)
    if not numerics.tiled:
        return numerics.because("out of memory: decode in tiles", tiled=True)
    if numerics.offload == "none":
        return numerics.because("out of memory: the denoiser leaves while pictures are decoded", offload="model")
    if numerics.offload == "model":
        return numerics.because("out of memory: layers come as they are needed", offload="group")
    raise InputError(
        f"{numerics.device} has too little memory even with one row, tiles and group offload; "
        "ask for smaller pictures or a quantised checkpoint"
    )


def torch_device(numerics: Numerics) -> Kind:
    """torch's name of the device: "cpu", "mps" or "cuda"."""
    match numerics.device:
        case "cpu" | "mps":
            return numerics.device
    return "cuda"


def device_name(kind: str) -> str:
    """What numerics call a device of that kind."""
    import torch

    return torch.cuda.get_device_name() if kind == "cuda" else kind


def probe_xformers(kind: str, dtype: Dtype) -> None:
    """Raise InputError unless xformers' kernel really runs here; its import says nothing about that."""
    import torch

    try:
        from xformers.ops import memory_efficient_attention

        rows = torch.zeros(1, 16, 1, 64, device=kind, dtype=getattr(torch, dtype))
        memory_efficient_attention(rows, rows, rows)
    except (ImportError, NotImplementedError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"attention xformers does not run on {kind} ({reason}); leave it out for sdpa") from None


def _device_kind(asked: str | None) -> Kind:
    import torch

    there: dict[Kind, bool] = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked is None:
        return next(kind for kind, found in there.items() if found)
    kind = next((kind for kind in there if kind == asked and there[kind]), None)
    if kind is None:
        found = ", ".join(kind for kind, here in there.items() if here)
        raise InputError(f"device {asked} is not there; this machine has {found}")
    return kind
