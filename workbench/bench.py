"""A plain diffusers loop against our engine, on the same cells, in one run. Knows nothing about files or commands.

The plain loop is what a person would write: one resident stock pipeline in the same dtype with the same attention, the
scheduler swapped for every cell, `pipe(...)` from words to pixels. It is never compiled. Both sides share one set of
weights, so the device holds them once. Loads torch.
"""

import copy
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode

from pipelines import solvers
from pipelines.checkpoint import Checkpoint
from pipelines.coalesce import Tally, twin
from pipelines.device import Numerics, torch_device
from pipelines.engine import Engine
from pipelines.errors import CellError, InputError
from pipelines.events import Failed, Made, Shrunk
from pipelines.families import family_of
from pipelines.families.base import Images
from pipelines.images import to_uint8
from pipelines.recipe import Recipe
from sweeps.prepare import Prepared
from workbench.bench_result import Agreement, Outcome, Round, Side, Split, Warmed, process_peak_bytes
from workbench.bench_weights import PIPELINES, ResidentParts

OpenParts = Callable[[Checkpoint, Numerics], ResidentParts]
Bytes = NDArray[np.uint8]
Lanes = Sequence[Sequence[Recipe]]


@dataclass(frozen=True, eq=False)
class Corner:
    """One side, ready to make the cells it is given: key -> picture as bytes (height, width, 3)."""

    make: Callable[[Lanes], dict[str, Bytes]]
    watched: Mapping[str, Sequence[torch.nn.Module]]
    """The modules whose calls are forwards, encodes and decodes."""


@dataclass(frozen=True)
class Stint:
    """One side's work on all cells."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int | None


def compare(
    prepared: Prepared, *, repeats: int, open_parts: OpenParts = ResidentParts
) -> Iterator[Warmed | Round | Outcome]:
    """Warm both sides up, time them in turn `repeats` times, then once more each with a stopwatch inside.

    The sweep must be of one checkpoint and one size. Raises CellError if a cell fails, InputError if memory runs out.
    """
    try:
        yield from _compared(prepared, repeats, open_parts)
    except torch.OutOfMemoryError as error:
        raise _too_large(prepared.numerics.now, str(error).splitlines()[0]) from None


def _compared(prepared: Prepared, repeats: int, open_parts: OpenParts) -> Iterator[Warmed | Round | Outcome]:
    numerics = prepared.numerics.now
    (checkpoint,) = prepared.checkpoints.values()
    (phase,) = prepared.plan.phases
    lanes = [[prepared.recipes[key] for key in lane] for lane in phase.lanes]
    parts = open_parts(checkpoint, numerics)
    for _ in parts.open([name for name, part in parts.items() if part is None]):
        pass
    engine_tally = Tally()
    plain = plain_loop(parts, checkpoint, tokens=_tokens(parts, checkpoint, lanes[0][0]), numerics=numerics)
    ours = our_engine(parts, checkpoint, tally=engine_tally, numerics=numerics)
    began = time.perf_counter()
    flops = flops_per_row(plain, lanes)
    ours.make(_shortest(lanes))
    yield Warmed(time.perf_counter() - began)
    peak = matmul_peak(torch_device(numerics), getattr(torch, numerics.dtype))
    stints: dict[Corner, list[Stint]] = {plain: [], ours: []}
    pictures: dict[Corner, dict[str, Bytes]] = {}
    for number in range(repeats):
        for corner in (plain, ours) if number % 2 == 0 else (ours, plain):
            stint, pictures[corner] = _stint(corner, lanes, numerics)
            stints[corner].append(stint)
        yield Round(number + 1, repeats, stints[plain][-1].seconds, stints[ours][-1].seconds)
    before = replace(engine_tally)
    plain_side, our_side = (_side(stints[corner], _split(corner, lanes, numerics)) for corner in (plain, ours))
    yield Outcome(
        checkpoint=checkpoint.name,
        cells=len(prepared.recipes),
        pixels=(lanes[0][0].width, lanes[0][0].height),
        evaluations=sum(cell.work.evaluations for cell in prepared.cells.cells),
        numerics=numerics,
        plain=plain_side,
        ours=our_side,
        forwards=engine_tally.forwards - before.forwards,
        rows=engine_tally.rows - before.rows,
        slots=engine_tally.slots - before.slots,
        flops_per_row=flops,
        peak_flops=peak,
        agreement=agreement(pictures[plain], pictures[ours]),
        process_peak_bytes=process_peak_bytes(),
    )


def plain_loop(parts: ResidentParts, checkpoint: Checkpoint, *, tokens: int, numerics: Numerics) -> Corner:
    """What a person would write with diffusers alone; FLUX's words are padded to `tokens`."""
    family = family_of(checkpoint)
    denoiser = eager(parts[family.denoiser]) if numerics.compile != "off" else parts[family.denoiser]
    own: dict[str, Any] = {family.denoiser: denoiser, "vae": _answering(parts["vae"])}
    asked: dict[str, Any] = {"output_type": "np"}
    if family.name == "sdxl":
        own["add_watermarker"] = False
    else:
        asked["max_sequence_length"] = tokens
    pipe = getattr(diffusers, PIPELINES[family.name])(**{**parts, **own})
    pipe.set_progress_bar_config(disable=True)

    def make(lanes: Lanes) -> dict[str, Bytes]:
        made = {}
        for recipe in (recipe for lane in lanes for recipe in lane):
            generator = torch.Generator("cpu").manual_seed(recipe.seed)
            pipe.scheduler = solvers.build(
                recipe.scheduler,
                parts["scheduler"],
                family=family.name,
                spacing=recipe.spacing,
                seed=recipe.seed,
                generator=generator,
            )
            answer = pipe(recipe.prompt, **family.arguments(recipe, Images()), **asked, generator=generator)
            made[recipe.key] = to_uint8(answer.images[0])
        return made

    return Corner(make, _watched(denoiser, parts))


def _tokens(parts: ResidentParts, checkpoint: Checkpoint, recipe: Recipe) -> int:
    """How far our side pads the words, so that the plain loop does the same."""
    return int(family_of(checkpoint).encode(parts, recipe, checkpoint)["prompt_embeds"].shape[1])


def our_engine(parts: ResidentParts, checkpoint: Checkpoint, *, tally: Tally, numerics: Numerics) -> Corner:
    """Our engine over the same components; what it does is added to `tally`."""

    def make(lanes: Lanes) -> dict[str, Bytes]:
        engine = Engine(checkpoint, numerics, open_parts=lambda *_: parts)  # a new one: it encodes every prompt again
        engine.tally = tally
        made = {}
        with closing(engine.run(lanes)) as events:
            for event in events:
                match event:
                    case Made():
                        made[event.key] = to_uint8(event.pixels)
                    case Failed(key, reason):
                        raise CellError(f"cell {key} of the bench failed, so nothing can be compared: {reason}")
                    case Shrunk(_, reason):
                        raise _too_large(numerics, reason)
        return made

    return Corner(make, _watched(parts[family_of(checkpoint).denoiser], parts))


def _watched(denoiser: torch.nn.Module, parts: Mapping[str, Any]) -> Mapping[str, Sequence[torch.nn.Module]]:
    return {
        "forward": [denoiser],
        "encode": [parts["text_encoder"], parts["text_encoder_2"]],
        "decode": [parts["vae"].decoder],
    }


def eager(module: torch.nn.Module) -> torch.nn.Module:
    """The same weights without compiled blocks (a copy of a module never holds compiled code)."""
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, shared)


def _answering(vae: Any) -> Any:
    """The VAE for a stock pipeline of another dtype: latents are cast at its door, which the pipelines leave undone."""
    other: Any = twin(vae, vae.forward)
    other.decode = lambda latents, **how: vae.decode(latents.to(vae.dtype), **how)
    other.to = lambda *_, **__: other
    return other


def _shortest(lanes: Lanes) -> Lanes:
    """One cell a lane, of the fewest steps: enough to choose every kernel at the rows that are timed."""
    return [sorted(lane, key=lambda recipe: recipe.steps)[:1] for lane in lanes]


def _stint(corner: Corner, lanes: Lanes, numerics: Numerics) -> tuple[Stint, dict[str, Bytes]]:
    on_cuda = torch_device(numerics) == "cuda"
    gc.collect()
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()
    wall, busy = time.perf_counter(), time.process_time()
    pictures = corner.make(lanes)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - busy
    return Stint(seconds, cpu_seconds, torch.cuda.max_memory_allocated() if on_cuda else None), pictures


def _split(corner: Corner, lanes: Lanes, numerics: Numerics) -> Split:
    """Where the time goes. The device is waited for at both ends of every call, so what is outside is told too high."""
    device = torch_device(numerics)
    with _stopwatch(corner.watched, device) as seconds:
        began = time.perf_counter()
        corner.make(lanes)
        _wait(device)
        return Split(time.perf_counter() - began, **seconds)


@contextmanager
def _stopwatch(watched: Mapping[str, Sequence[torch.nn.Module]], device: str) -> Iterator[dict[str, float]]:
    """Seconds spent inside the modules' calls, by name, for as long as the context lasts."""
    seconds = dict.fromkeys(watched, 0.0)

    def now() -> float:
        _wait(device)
        return time.perf_counter()

    def begin(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            seconds[name] -= now()

        return hook

    def end(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            seconds[name] += now()

        return hook

    hooks = [
        hook
        for name, modules in watched.items()
        for module in modules
        for hook in (module.register_forward_pre_hook(begin(name)), module.register_forward_hook(end(name)))
    ]
    try:
        yield seconds
    finally:
        for hook in hooks:
            hook.remove()


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()


def _side(stints: Sequence[Stint], split: Split) -> Side:
    peaks = [stint.peak_bytes for stint in stints if stint.peak_bytes is not None]
    return Side(
        seconds=tuple(stint.seconds for stint in stints),
        cpu_seconds=tuple(stint.cpu_seconds for stint in stints),
        peak_bytes=max(peaks, default=None),
        split=split,
    )


def matmul_peak(device: str, dtype: torch.dtype) -> float:
    """FLOP a second of one large matrix product, the best of several: what the device can do at this dtype, today."""
    side, times = (8192, 30) if device == "cuda" else (1024, 2)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        _wait(device)
        began = time.perf_counter()
        for _ in range(times):
            torch.mm(a, b)
        _wait(device)
        best = min(best, (time.perf_counter() - began) / times)
    return float(2 * side**3 / best)


def flops_per_row(corner: Corner, lanes: Lanes) -> float:
    """Floating point operations of one denoiser row, attention included, counted on a copy without weights.

    Makes a cell, to see how the denoiser is called.
    """
    (denoiser,) = corner.watched["forward"]
    caught: tuple[tuple[Any, ...], dict[str, Any]] = (), {}

    def catch(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonlocal caught
        caught = tree_map_only(torch.Tensor, lambda tensor: tensor.to("meta"), (args, kwargs))

    hook = denoiser.register_forward_pre_hook(catch, with_kwargs=True)
    corner.make(_shortest(lanes)[:1])
    hook.remove()
    args, kwargs = caught
    kind: Any = type(denoiser)
    with torch.device("meta"):
        blank = kind.from_config(denoiser.config).to(next(denoiser.parameters()).dtype).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        blank(*args, **kwargs)
    rows = len(args[0] if args else kwargs["hidden_states"])
    return float(counter.get_total_flops() / rows)


def agreement(plain: Mapping[str, Bytes], ours: Mapping[str, Bytes]) -> Agreement:
    """How far the two sides' pictures of the same cells are apart, in levels of 0..255."""
    apart = [np.abs(plain[key].astype(np.int16) - ours[key]) for key in plain]
    return Agreement(
        pictures=len(apart),
        equal=sum(not one.any() for one in apart),
        largest=int(max(one.max() for one in apart)),
        mean=float(np.mean([one.mean() for one in apart])),
    )


def _too_large(numerics: Numerics, reason: str) -> InputError:
    return InputError(
        f"the bench ran out of memory with lanes {numerics.lanes} ({reason}); give fewer --lanes or a smaller --size"
    )
