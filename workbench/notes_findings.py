"""From what a run says to notes, one per checkpoint, with pictures that show it. Knows nothing about how it is found.

Nothing is made up: every value is one that a picture of the run was made with, or an end of an interval that was found.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from pipelines.errors import InputError
from pipelines.files import DISK, Files
from pipelines.recipe import Recipe
from pipelines.store import Sidecar, Store
from sweeps.findings import Finding, Findings, Kind, Role
from sweeps.journal import utc_now
from workbench.notes_data import Note, NoteEvidence, Pair, Window

SHOWN = 5
"""Pictures that are kept with a finding: best, both edges, and two to compare."""


def from_findings(
    findings: Findings, run: Path, files: Files = DISK, *, now: Callable[[], str] = utc_now
) -> tuple[Note, ...]:
    """A note for every checkpoint that the run says something about, in the order of its findings; () if it says none.

    What one end is open of counts as far as it goes. Of several findings of a kind (other schedulers, other sizes) the
    one that is found, with most seeds, gives the value; all are kept as evidence. Raises InputError where the run's
    pictures are not there any more.
    """
    told = [each for each in findings.findings if each.state != "none"]
    names = dict.fromkeys(name for each in told for name in _about(each))
    store = Store(run, files)
    seen = {each.id: _seen(each, store) for each in told}
    notes = []
    for name in names:
        about = [each for each in told if name in _about(each)]
        own = {each.id: _of_one(name, seen[each.id]) for each in about}
        evidence = tuple(_evidence(each, findings, own[each.id], run) for each in about)
        notes.append(_note(name, about, own).but(evidence=evidence, kept=now()))
    return tuple(notes)


def _about(finding: Finding) -> tuple[str, ...]:
    """The checkpoints that a finding says something about: both of a comparison of engines."""
    return finding.between if finding.kind == "engine" and finding.between else (finding.checkpoint,)


def _note(name: str, found: Sequence[Finding], seen: Mapping[str, tuple[Sidecar, ...]]) -> Note:
    """Values and weights; `seen` are the sidecars of this checkpoint's pictures, by finding."""
    weights = seen[found[0].id][0].recipe.checkpoint
    window, plateau = _strongest(found, "guidance-window"), _strongest(found, "step-plateau")
    stop = int(plateau.low) if plateau and plateau.low is not None else None
    pair, best = _pair(found, seen, stop)
    light = best.facts.light if best else None
    has_end = window and (window.low is not None or window.high is not None)
    return Note(
        checkpoint=name,
        family=weights.family,
        digest=weights.digest,
        quantisation=weights.quantisation,
        pairs=(pair,) if pair else (),
        window=Window(low=window.low, high=window.high) if window and has_end else None,
        plateau=stop,
        lights=(light.name,) if light and light.name else (),
    )


def _seen(finding: Finding, store: Store) -> tuple[Sidecar, ...]:
    """Sidecars of the finding's pictures: those that show it first, then those of its curves."""
    shown = [each.key for each in finding.pictures]
    averaged = [key for curve in finding.curves for point in curve.points for key in point.keys]
    keys = dict.fromkeys([*shown, *averaged])
    if not keys:
        raise InputError(f"finding {finding.id!r} names no picture; `sidelight findings` writes it anew")
    return tuple(store.sidecar(key) for key in keys)


def _of_one(name: str, seen: tuple[Sidecar, ...]) -> tuple[Sidecar, ...]:
    """Those made with the checkpoint of that name; raises InputError where none is."""
    if own := tuple(one for one in seen if one.recipe.checkpoint.name == name):
        return own
    raise InputError(f"no picture of a finding about {name} was made with it; `sidelight findings` writes it anew")


def _strongest(found: Sequence[Finding], kind: Kind) -> Finding | None:
    """Of several of one kind: found before open, then most seeds, then the first."""
    of_kind = [each for each in found if each.kind == kind]
    return max(of_kind, key=lambda each: (each.state == "found", each.n), default=None)


def _pair(
    found: Sequence[Finding], seen: Mapping[str, tuple[Sidecar, ...]], stop: int | None
) -> tuple[Pair | None, Sidecar | None]:
    """What to start from: the settings of the best picture, its steps those of the plateau, the scheduler that won.

    Its key is given only where a picture of the run was made with all three.
    """
    window, plateau = _strongest(found, "guidance-window"), _strongest(found, "step-plateau")
    best = _shown(window, seen, ("best",)) or _shown(plateau, seen, ("plateau", "best"))
    won = _winner(found)
    if best is None:
        return (Pair(steps=stop, scheduler=won) if stop or won else None), None
    recipe = best.recipe
    pair = Pair(
        steps=stop or recipe.steps,
        guidance=recipe.guidance,
        scheduler=won or recipe.scheduler.text,
    )
    made = (one for each in found for one in seen[each.id] if _is_made_with(one.recipe, pair))
    key = next((one.key for one in (best, *made) if _is_made_with(one.recipe, pair)), "")
    return pair.but(key=key), best


def _winner(found: Sequence[Finding]) -> str:
    """The scheduler that won most comparisons and lost none; "" if there is none such."""
    decided = [each for each in found if each.kind == "scheduler" and each.winner]
    won = Counter(each.winner for each in decided)
    lost = {name for each in decided for name in each.between if name != each.winner}
    return next((name for name, _ in won.most_common() if name not in lost), "")


def _shown(finding: Finding | None, seen: Mapping[str, tuple[Sidecar, ...]], roles: Sequence[Role]) -> Sidecar | None:
    if finding is None:
        return None
    by_key = {one.key: one for one in seen[finding.id]}
    return next((by_key[each.key] for role in roles for each in finding.pictures if each.role == role), None)


def _is_made_with(recipe: Recipe, pair: Pair) -> bool:
    made = Pair(steps=recipe.steps, guidance=recipe.guidance, scheduler=recipe.scheduler.text)
    return made.settings == pair.settings


def _evidence(finding: Finding, findings: Findings, seen: Sequence[Sidecar], run: Path) -> NoteEvidence:
    versions = {
        (name, str(getattr(one.numerics, name))) for one in seen for name in ("torch", "diffusers", "transformers")
    }
    return NoteEvidence(
        run=run.resolve().name,
        folder=str(run.resolve()),
        kind=finding.kind,
        id=finding.id,
        sentence=finding.sentence,
        held=finding.held,
        pictures=finding.pictures[:SHOWN],
        n=finding.n,
        votes=findings.votes,
        digest=seen[0].recipe.checkpoint.digest,
        devices=tuple(sorted({one.numerics.device for one in seen})),
        versions=(("sidelight", version("sidelight")), *sorted(versions)),
        date=max(one.circumstances.date for one in seen),
        validated=findings.validated,
    )
