"""From the measured pictures of a run to its findings: windows, plateaus, comparisons.

Knows nothing about how pictures are measured (`sweeps.measure`) or findings shown. Pure but for `table` and `of_run`:
the same pictures give the same findings, byte by byte.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from pipelines.errors import InputError, SweepError
from pipelines.files import DISK, Files
from pipelines.store import Store
from sweeps.compare_cells import Seen, groups
from sweeps.compare_pairs import engines, schedulers
from sweeps.compare_steps import plateau
from sweeps.compare_window import window
from sweeps.findings import Finding, Findings
from sweeps.validated import SHIPPED, said

__all__ = ["Seen", "found", "of_run", "table"]


def table(run: Path, files: Files = DISK) -> tuple[Seen, ...]:
    """The measured pictures of a run folder, by key; one without measures, or that cannot be read, is left out."""
    from sweeps import measure

    store = Store(run, files)
    told = []
    for key, measures in sorted(measure.read(run, files).items()):
        try:
            sidecar = store.sidecar(key)
        except InputError:
            continue
        told.append(
            Seen(
                key=key,
                recipe=sidecar.recipe,
                light=sidecar.facts.light,
                first_sigma=sidecar.facts.first_sigma,
                values=dict(measures.values),
                evaluations=sidecar.facts.evaluations,
                verdicts=measures.verdicts,
                why=dict(measures.why),
            )
        )
    return tuple(told)


def found(
    seen: Sequence[Seen],
    *,
    title: str,
    pictures: int,
    votes: Collection[object] = (),
    validated: str = SHIPPED,
) -> Findings:
    """What these pictures say. `pictures` counts those of the run, measured or not; of the votes, only their number.
    `validated` says on what the rules were tried.

    Found before open before none, then in the order of kinds and checkpoints. Two values of an axis are no
    curve: they are told only where nothing else is.
    """
    seen = sorted(seen, key=lambda each: each.key)
    asked = [(window, group) for axis in ("guidance", "true_guidance") for group in groups(seen, axis)]
    asked += [(plateau, group) for group in groups(seen, "steps")]
    told = [*schedulers(seen), *engines(seen)]
    told += [find(group) for find, group in asked if len(group.steps) > 2]
    told = told or [find(group) for find, group in asked]
    return Findings(
        title=title,
        pictures=pictures,
        measured=len(seen),
        votes=len(votes),
        validated=validated,
        findings=tuple(sorted(told, key=_order)),
    )


def _order(finding: Finding) -> tuple[int, str]:
    return ("found", "open", "none").index(finding.state), finding.id


def of_run(run: Path, files: Files = DISK, *, votes: Collection[object] = ()) -> Findings:
    """What a run folder says now, and on what the rules were tried here."""
    pictures = len(Store(run, files).keys())
    return found(table(run, files), title=_title(run), pictures=pictures, votes=votes, validated=said())


def _title(run: Path) -> str:
    from sweeps.prepare import SWEEP
    from sweeps.sweep import read_toml

    try:
        return read_toml(run / SWEEP).name
    except SweepError:
        return run.name
