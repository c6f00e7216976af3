"""Doctor's look at checkpoints: whole or damaged, what fits, how fast. Knows nothing about the machine's parts."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from platformdirs import user_cache_path

from pipelines import listing
from pipelines.checkpoint import Checkpoint, of_row
from pipelines.downloads import lockfile, pulled
from pipelines.errors import BusyError, CheckpointError, InputError
from pipelines.families import family_of
from pipelines.families.base import settings
from pipelines.hashes import FileHashes
from pipelines.listing import Row
from pipelines.memory import Frame, gigabytes
from pipelines.quantisation import check
from pipelines.room import Kind, Room, room
from sweeps.speed import KEPT
from workbench.doctor import Finding

CELLS = 16  # a sweep of this many pictures is what "fits" is asked for
MEASURED = {"prompt": ["portrait of a woman, side light"], "steps": ["8"], "seed": ["1..5"]}
"""The first of five pictures warms up, the others are timed."""


def models(*, thorough: bool) -> Iterator[Finding]:
    """Every row of models.txt: here and whole, damaged, or still to be pulled. thorough: every byte is read again."""
    lock = lockfile.read(listing.models_folder())
    away = []
    for row in listing.rows().values():
        state, size = pulled.state(row, lock)
        if state == "to be downloaded":
            away.append(row)
        else:
            yield _row(row, state, size, thorough)
    if away:
        names = [row.name for row in away]
        yield Finding("not pulled", ", ".join(names), values={"names": names})
    if (gated := [row.name for row in away if row.is_gated]) and not _has_token():
        yield Finding(
            "licences",
            f"no Hugging Face login here; gated: {', '.join(gated)}",
            "remark",
            "to pull gated checkpoints: accept the licence on their page, then `hf auth login`",
        )


def _row(row: Row, state: pulled.State, size: int | None, thorough: bool) -> Finding:
    values = {"state": state, "bytes": size, "family": row.family, "kind": row.kind, "source": str(row.source)}
    if state == "missing":
        advice = f"{row.name}: bring {row.source} back, or take the row out: sidelight models remove {row.name}"
        return Finding(row.name, f"{row.source} is not there", "broken", advice, values)
    if state == "incomplete":
        advice = f"go on with the download: sidelight models pull {row.name}"
        return Finding(row.name, "its download broke off", "remark", advice, values)
    fault = "files are damaged" if state == "damaged" else _fault(row, thorough)
    if fault:
        advice = f"{row.name}: get it again" + (f": sidelight models pull {row.name}" if _is_pulled(row) else "")
        return Finding(row.name, f"damaged: {fault}", "broken", advice, values)
    text = f"{row.family} {row.kind}, whole" + (" (every byte read)" if thorough else "")
    return Finding(row.name, f"{text}, {gigabytes(size)}" if size else text, values=values)


def _fault(row: Row, thorough: bool) -> str:
    """What is wrong with a model that is here: by its headers, and thorough by its hashes; empty if nothing."""
    try:
        if row.kind == "checkpoint":
            checkpoint = of_row(row)
            list(checkpoint.files())
            if thorough:
                _ = checkpoint.weights
        if thorough:
            return _hash_fault(row)
    except CheckpointError as error:
        return str(error)
    return ""


def _hash_fault(row: Row) -> str:
    """Compare with what was fetched, where something was; `pulled.verify` sets aside what is damaged."""
    folder = listing.models_folder()
    lock = lockfile.read(folder)
    for need in pulled.needs(row):
        entry = need.entry(lock)
        faults = [fault for _, fault in pulled.verify(entry, folder) if fault] if entry else []
        if faults:
            return "; ".join(f"{fault.path.name} {fault.reason}" for fault in faults)
    return ""


def _is_pulled(row: Row) -> bool:
    return bool(pulled.needs(row))


def _has_token() -> bool:
    """Whether the hub's own client would find a login; it is not read."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")
    kept = Path(os.environ.get("HF_TOKEN_PATH") or home / "token")
    return bool(os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")) or kept.expanduser().is_file()


def ready() -> list[Checkpoint]:
    """Checkpoints that could be opened now."""
    found = []
    for row in listing.rows().values():
        if row.kind == "checkpoint" and row.place() is not None:
            try:
                checkpoint = of_row(row)
                list(checkpoint.files())
                found.append(checkpoint)
            except CheckpointError:
                continue  # told among the models
    return found


def fits(look: Callable[[Kind], Room] = room) -> Iterator[Finding]:
    """Which way every checkpoint that is here would be made at its own size, with the numbers."""
    from pipelines.device import decide, memory_line, torch_device

    here = decide(family="sdxl", pixels=1, lane_width=1, cells=1, forwards=1, asked={})
    for checkpoint in ready():
        family, asked = family_of(checkpoint), settings(family_of(checkpoint), checkpoint)
        frame = Frame(checkpoint, asked.width, asked.height, asked.text_tokens)
        try:
            check(checkpoint.quantisation, torch_device(here))
            numerics = decide(
                family=checkpoint.family,
                pixels=asked.width * asked.height,
                lane_width=family.lane_width,
                cells=CELLS,
                forwards=CELLS * asked.steps,
                asked={},
                frames=[frame],
                look=look,
            )
        except InputError as error:
            yield Finding(checkpoint.name, f"cannot be used here: {error}", "remark", values={"fits": False})
            continue
        why = dict(numerics.reasons)
        way = f"; {why['offload']}" if "offload" in why else ""
        lanes = f"{numerics.lanes} {'lane' if numerics.lanes == 1 else 'lanes'}"
        yield Finding(
            checkpoint.name,
            f"on {numerics.device} in {numerics.dtype} ({why['dtype']}), {lanes}: "
            f"{memory_line([frame], numerics, look=look)}{way}",
            values={"fits": True, "numerics": numerics.model_dump(mode="json")},
        )


def remembered() -> Iterator[Finding]:
    """What this machine's own runs have shown, for checkpoints that are here at their own size."""
    kept = _json(user_cache_path("sidelight") / KEPT)
    hashes = FileHashes()
    for checkpoint in ready():
        if not all(hashes.known(path) for _, path in checkpoint.files()):
            continue  # never run here: its digest would mean reading all of it
        asked = settings(family_of(checkpoint), checkpoint)
        digest, size = checkpoint.weights.digest[:16], f"{asked.width}x{asked.height}"
        rates = [rate for kind, rate in kept.items() if digest in kind and size in kind and isinstance(rate, float)]
        if rates:
            rows = family_of(checkpoint).lane_width if asked.guidance > 1 else 1
            seconds = median(rates) * rows * asked.steps
            yield Finding(
                checkpoint.name,
                f"about {seconds:.2g} s a picture ({size}, {asked.steps} steps), by this machine's own runs",
                values={"seconds": seconds, "from": "runs"},
            )


def measured() -> Iterator[Finding]:
    """A few small pictures, really made with the demo checkpoint and timed."""
    from pipelines.events import Failed, Made
    from pipelines.store import Store
    from sweeps.engines import device_lock, open_engine
    from sweeps.prepare import prepare
    from sweeps.sweep import from_flags

    with TemporaryDirectory() as nowhere:
        given = {**MEASURED, "checkpoint": ["demo-sdxl"]}
        prepared = prepare(from_flags("doctor", given), Path(nowhere) / "run", asked={})
        first, *rest = ([recipe] for recipe in prepared.recipes.values())
        numerics, (checkpoint,) = prepared.numerics.now, prepared.checkpoints.values()
        try:
            with device_lock(numerics):
                engine = open_engine(checkpoint, numerics, Store(Path(nowhere)))
                list(engine.run([first]))
                began = time.monotonic()
                ended = [event for event in engine.run(rest) if isinstance(event, Made | Failed)]
                seconds = (time.monotonic() - began) / len(ended)
        except BusyError as error:
            yield Finding("demo-sdxl", f"not measured: {error}", "remark")
            return
    failed = [event.reason for event in ended if isinstance(event, Failed)]
    yield Finding(
        "demo-sdxl",
        f"cannot make pictures: {failed[0]}"
        if failed
        else f"{seconds:.2g} s a picture (256x256, 8 steps), measured now",
        "broken" if failed else "fine",
        values={"seconds": seconds, "from": "measured"},
    )


def _json(path: Path) -> dict[str, object]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):  # none yet, or torn: nothing is remembered
        return {}
