"""Device, dtype, attention, rows, offload, compile: decided once, each with its reason. Knows nothing about recipes.

Figures named here were measured on one H200 (bf16, full-size random weights) unless said otherwise; all can be
overridden, and what was decided is kept in the run's `numerics.json`.
"""

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Literal

from pydantic import Field

from pipelines.errors import InputError, NumericsError
from pipelines.frozen import LABEL, Frozen
from pipelines.recipe import FamilyName

Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "xformers"]
Offload = Literal["none", "model", "group"]
Compile = Literal["off", "regional"]


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
) -> Numerics:
    """Numerics for `cells` pictures of up to `pixels` each and about `forwards` network calls in all.

    `asked` overrides single fields by name. Raises InputError for values that cannot be, and for a device or kernel
    that is not there.
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
    if kind == "cuda" and family == "flux" and forwards > 130:
        numerics = numerics.because("saves 46 ms of 177 a forward against about 6 s of compiling", compile="regional")
    wanted = {name: value for name, value in asked.items() if value is not None and name != "device"}
    if wanted.get("attention") == "xformers":
        probe_xformers(kind, numerics.dtype)
    numerics = numerics.because("asked for", **wanted) if wanted else numerics
    if kind == "cpu" and numerics.offload != "none":
        raise InputError(f"offload {numerics.offload} makes room on a GPU; on a CPU leave it out")
    return numerics


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


def torch_device(numerics: Numerics) -> str:
    """torch's name of the device: "cpu", "mps" or "cuda"."""
    return numerics.device if numerics.device in ("cpu", "mps") else "cuda"


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


def _device_kind(asked: str | None) -> str:
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked is None:
        return next(kind for kind, found in there.items() if found)
    if not there.get(asked):
        found = ", ".join(kind for kind, here in there.items() if here)
        raise InputError(f"device {asked} is not there; this machine has {found}")
    return asked
