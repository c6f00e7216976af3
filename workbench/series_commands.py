"""`sidelight series`: keep the skin across pictures. Words of the command line to a change and back.

Knows nothing about pixels. Every picture is made through the functions of `sidelight sweep run`, so that it resumes,
queues and reports alike.
"""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.errors import InputError
from pipelines.recipe import Mechanism
from pipelines.skin_reference import CONSENT
from pipelines.store import Store
from sweeps import prepare as preparing
from sweeps.axes import read_values
from sweeps.prepare import Prepared
from sweeps.sweep import Sweep
from workbench import series_making as making
from workbench import series_told as telling
from workbench.read_command import shown
from workbench.series import SERIES, Changed, Member, Series, add_members, folder_of, names
from workbench.series_change import Change, only_change
from workbench.series_making import Photo, Planned
from workbench.sweep_commands import RUNS, asked_numerics, follow, into_queue, print_plan

AGES = ("25", "50", "75")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the series; `sidelight series list`.")]
In = Annotated[Path, typer.Option("--series", help="Where series are kept.")]
Runs = Annotated[Path, typer.Option(help="Where run folders are made.")]
Weight = Annotated[float, typer.Option("--reference-weight", help="How strongly it pulls: 0.4 to 0.6.", min=0, max=1)]
By = Annotated[
    str | None,
    typer.Option("--reference-by", help="ip-adapter, redux, kontext, images, or bands in a second pass; chosen."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, make and write nothing.")]
Queue = Annotated[bool, typer.Option("--queue", help="Leave it to the worker; `check` sees them once made.")]
Exact = Annotated[bool, typer.Option("--exact", help="One picture at a time.")]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu.")]
KeepFailed = Annotated[bool, typer.Option("--keep-failed", help="Do not try failed pictures again.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Given = Annotated[list[str] | None, typer.Option(metavar="TEXT")]
FURTHER = {"allow_extra_args": True, "ignore_unknown_options": True}
"""What is frozen is refused in our own words, so it has to come through."""


def new(
    pilot: Annotated[Path, typer.Argument(metavar="PILOT.png", help="A picture of Sidelight whose skin is right.")],
    name: Annotated[str, typer.Option(help="Of the series; made from its words if left out.")] = "",
    reference: Annotated[Path | None, typer.Option(help="Photograph whose skin pulls every later picture.")] = None,
    reference_weight: Weight = 0.5,
    reference_by: By = None,
    series: In = SERIES,
    as_json: AsJson = False,
) -> None:
    """Begin a series: the pilot's light, texture language, reference, finish, checkpoint and
    numbers are frozen.

    Later pictures (`series add`) inherit all of it and change one thing; `series check` shows which one drifts.
    """
    photo = Photo(reference, reference_weight, _mechanism(reference_by)) if reference else None
    if reference is None and reference_by:
        raise InputError("--reference-by is given without --reference; give the photograph, or leave it out")
    if name:
        folder_of(name, series)
    begun = making.begun(pilot, name, today=str(date.today()), photo=photo)
    folder = folder_of(begun.series.name, series)
    making.lay_down(begun, folder)
    if as_json:
        typer.echo(
            json.dumps({"folder": str(folder), **begun.series.model_dump(mode="json"), "told": list(begun.told)})
        )
        return
    for line in begun.told:
        typer.echo(f"note: {line}", err=True)
    typer.echo(f"series {begun.series.name} in {folder}\nfrozen:")
    typer.echo(shown(_indented(telling.frozen(begun.series.base))))
    _tell_reference(begun.series)
    typer.echo(f"go on:  sidelight series add {begun.series.name} --pose 'looking over the shoulder'")


def add(
    context: typer.Context,
    name: Name,
    subject: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Who, in place of the pilot's.")] = None,
    pose: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Put behind who: 'looking up'.")] = None,
    framing: Annotated[
        list[str] | None, typer.Option(metavar="SHOT", help="close-up, half-length ...; the lens stays, you step back.")
    ] = None,
    action: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Put behind who: 'pouring tea'.")] = None,
    seed: Annotated[
        list[str] | None, typer.Option(metavar="VALUES", help="The pilot's if left out; 7,8 or 1..4.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="So many, with the seeds that follow.")] = 1,
    runs: Runs = RUNS,
    series: In = SERIES,
    dry_run: DryRun = False,
    queue: Queue = False,
    exact: Exact = False,
    device: Device = None,
    keep_failed: KeepFailed = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Make the next picture of a series with one thing changed against the pilot; all else is as frozen.

    The same flag again makes one picture more of that thing: --pose 'looking up' --pose 'looking down'. With seeds
    alone it makes other takes of the pilot: from three on, `check` takes their spread as the limit of drift.
    """
    given: dict[Changed, Sequence[str]] = {
        "subject": subject or (), "pose": pose or (), "framing": framing or (), "action": action or ()
    }  # fmt: skip
    changes = only_change(given, context.args)
    folder = folder_of(name, series)
    opened = Series.open(folder)
    seeds = _seeds(seed, pictures, opened, is_take=changes[0].what == "seed")
    photo = making.photo_of(opened, folder)
    _run(opened, folder, changes, seeds, photos=[photo] * len(changes), said=locals())


def ages(
    context: typer.Context,
    name: Name,
    age: Annotated[str, typer.Option("--age", metavar="YEARS", help="The brackets: 25,50,75.")] = "",
    reference: Annotated[
        list[str] | None, typer.Option(metavar="AGE=PHOTO", help="A bracket's photograph; once for each.")
    ] = None,
    reference_weight: Weight = 0.5,
    reference_by: By = None,
    seed: Annotated[list[str] | None, typer.Option(metavar="VALUES", help="The pilot's if left out.")] = None,
    runs: Runs = RUNS,
    series: In = SERIES,
    dry_run: DryRun = False,
    queue: Queue = False,
    exact: Exact = False,
    device: Device = None,
    keep_failed: KeepFailed = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Three ages, same light: a picture for each bracket, whose age words and reference change together as one thing.

    Age is said by number, with the texture language of the light templates age-25, age-50 and age-75. References:
    --reference 25=young.jpg --reference 50=mid.jpg --reference 75=old.jpg. Without any, words alone make the age.
    """
    only_change({}, context.args)
    photos = dict(_bracket(text) for text in reference or ())
    years = tuple(dict.fromkeys(filter(None, age.replace(" ", "").split(",")))) or tuple(photos) or AGES
    if stray := [each for each in photos if each not in years]:
        raise InputError(f"--reference {stray[0]}=... is for no bracket of --age {','.join(years)}; add it there")
    folder = folder_of(name, series)
    opened = Series.open(folder)
    seeds = _seeds(seed, 1, opened, is_take=False)
    by = _mechanism(reference_by)
    if photos:
        by, reason = making.carried_by(opened.base.checkpoint, by)
        _note(f"{reason}\nnote: {CONSENT}", quiet=quiet or as_json)
    if without := [each for each in years if each not in photos]:
        own = "the series' own reference" if opened.reference else "words alone"
        _note(f"age {', '.join(without)}: {own}, no photograph of that age is given", quiet=quiet or as_json)
    own_photo = making.photo_of(opened, folder)
    chosen = [Photo(photos[each], reference_weight, by) if each in photos else own_photo for each in years]
    _run(opened, folder, [Change("age", each) for each in years], seeds, photos=chosen, said=locals())


def check(name: Name, series: In = SERIES, as_json: AsJson = False) -> None:
    """Measure every picture of a series against its pilot: skin colour, texture, light; flag the ones that drift.

    Writes control.png, thumbnails with figures. Skin colour is the mean Oklab of the face's skin, compared at the
    pilot's lightness, 100 times Oklab's numbers (2 is just seen). A picture drifts where a figure differs by more than
    other seeds of one setting do; three takes (`series add NAME --seed 1..3`) give a series limits of its own.
    """
    folder = folder_of(name, series)
    made = telling.checked(Series.open(folder), folder)
    control = telling.draw_control(made, folder)
    if as_json:
        typer.echo(json.dumps(telling.as_dict(made, control), ensure_ascii=False))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(telling.table(made))
    for each in made.pictures:
        if each.reasons and any(each.reasons):
            console.print(f"{shown(each.title)}: not measured: {'; '.join(each.reasons)}")
    console.print(telling.rule(made.limits))
    console.print(f"control grid: {control}", soft_wrap=True)


def list_series(series: In = SERIES, as_json: AsJson = False) -> None:
    """All series, with their light and how many pictures they hold."""
    opened = [Series.open(folder_of(name, series)) for name in names(series)]
    if as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in opened]))
        return
    if not opened:
        typer.echo(f"no series in {series.expanduser()} yet; begin one: sidelight series new PILOT.png")
    for each in opened:
        light = f"light {each.base.light}" if each.base.light else "a prompt"
        count = len(each.members)
        typer.echo(f"{each.name:<24} {each.made}  {each.base.checkpoint}, {light}, {count} picture{'s'[: count != 1]}")


def show(name: Name, series: In = SERIES, as_json: AsJson = False) -> None:
    """What a series froze, and its pictures."""
    folder = folder_of(name, series)
    opened = Series.open(folder)
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **opened.model_dump(mode="json")}))
        return
    typer.echo(f"series {opened.name} in {folder}, begun {opened.made}\npilot {opened.pilot.key}; frozen:")
    typer.echo(shown(_indented(telling.frozen(opened.base))))
    _tell_reference(opened)
    for number, member in enumerate(opened.members, 1):
        there = member.path if member.path.is_file() else "not made yet, or its run was moved"
        typer.echo(shown(f"{number:>3}  {member.title}, seed {member.seed}: {there}"))
        if member.note:
            typer.echo(shown(f"     {member.note}"))


def _run(
    series: Series,
    folder: Path,
    changes: Sequence[Change],
    seeds: Sequence[int],
    *,
    photos: Sequence[Photo | None],
    said: dict[str, Any],
) -> None:
    """Plan, hold against the pilot, make or queue, and write the members down."""
    is_silent = said["quiet"] or said["as_json"]
    by_bands = any(photo and photo.by == "bands" for photo in photos)
    if said["queue"] and by_bands:
        raise InputError("--queue makes one pass, a reference by bands needs a second; leave it out")
    plan = making.planned(series, changes, seeds, photos=photos)
    prepared = _prepared(plan.sweep, said)
    making.check_frozen(list(prepared.recipes.values()), making.pilot_recipe(folder))
    if said["dry_run"]:
        print_plan(prepared, said["as_json"])
        return
    references = [making.keep_photo(folder, photo.file) if photo else "" for photo in photos]
    if said["queue"]:
        add_members(folder, making.members(plan, prepared, references))
        into_queue(prepared, _for_sweep(said))
        return
    finished = follow(prepared, quiet=is_silent, retry_failed=not said["keep_failed"])
    made = [each for each in making.members(plan, prepared, references) if each.path.is_file()]
    failed = finished.failed
    if by_bands:
        made, more = _second_pass(made, plan, photos, said)
        failed += more
    series = add_members(folder, made)
    _tell_made(series, made, folder, as_json=said["as_json"], quiet=is_silent)
    if failed:
        raise typer.Exit(1)


def _second_pass(
    made: Sequence[Member], plan: Planned, photos: Sequence[Photo | None], said: dict[str, Any]
) -> tuple[list[Member], int]:
    """Repair the skin of every picture whose reference acts by bands; the members, and how many repairs failed."""
    by_change = {(change.what, change.said): photo for change, photo in zip(plan.changes, photos, strict=True)}
    told: list[Member] = []
    failed = 0
    for member in made:
        photo = by_change[member.changed, member.said]
        if photo is None or photo.by != "bands":
            told.append(member)
            continue
        try:
            prepared = _prepared(making.repair_sweep(member, photo, plan.sweep.name), said)
        except InputError as error:
            _note(f"{member.title}: {error}; its skin stays as it was made", quiet=False)
            told.append(member.but(note=f"without its reference: {error}"))
            continue
        finished = follow(prepared, quiet=said["quiet"] or said["as_json"], retry_failed=not said["keep_failed"])
        failed += finished.failed
        told.append(_repaired(member, prepared, photo))
    return told, failed


def _repaired(member: Member, prepared: Prepared, photo: Photo) -> Member:
    key = next(iter(prepared.keys))
    if not Store(prepared.folder).path(key).is_file():
        return member.but(note="without its reference: the second pass failed; the same command tries it again")
    note = f"made by words as {member.key}, then its skin repaired with {photo.title or photo.file.name}"
    return member.but(key=key, run=str(prepared.folder.resolve()), note=note)


def _prepared(sweep: Sweep, said: dict[str, Any]) -> Prepared:
    folder = preparing.run_folder(said["runs"].expanduser(), sweep, str(date.today()))
    return preparing.prepare(sweep, folder, asked=asked_numerics(_for_sweep(said)))


def _for_sweep(said: dict[str, Any]) -> dict[str, Any]:
    """With the flags of `sweep run` that a series does not have."""
    absent = dict.fromkeys(("dtype", "attention", "lanes", "offload", "compiled"))
    return {**absent, "new_numerics": False, **said}


def _seeds(texts: Sequence[str] | None, pictures: int, series: Series, *, is_take: bool) -> list[int]:
    if texts and pictures > 1:
        raise InputError(
            "--seed and --pictures are both given; --seed 7..9 makes three, --pictures 3 the pilot's and on"
        )
    if texts:
        return [int(value) for value in read_values("seed", list(texts)) if isinstance(value, int)]
    first = series.base.seed + is_take
    return list(range(first, first + pictures))


def _bracket(text: str) -> tuple[str, Path]:
    years, _, photo = text.partition("=")
    if not photo or not years.strip().isdecimal():
        raise InputError(f"--reference {text!r} names no age; write AGE=PHOTO, as in 25=young.jpg")
    if not Path(photo).is_file():
        raise InputError(f"--reference {text}: there is no file {photo}")
    return years.strip(), Path(photo)


def _mechanism(text: str | None) -> Mechanism | None:
    allowed: tuple[Mechanism, ...] = ("bands", "ip-adapter", "redux", "kontext", "images")
    for each in allowed:
        if each == text:
            return each
    if text:
        raise InputError(f"--reference-by {text!r} is not known; allowed: {', '.join(allowed)}")
    return None


def _tell_reference(series: Series) -> None:
    if kept := series.reference:
        typer.echo(f"  reference {kept.photo} at {kept.weight:g} by {kept.by} ({kept.image[:12]})")


def _tell_made(series: Series, made: Sequence[Member], folder: Path, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        entries = [{**each.model_dump(), "picture": str(each.path)} for each in made]
        typer.echo(json.dumps({"series": series.name, "folder": str(folder), "made": entries}))
    elif not quiet:
        for each in made:
            typer.echo(shown(f"{each.title}, seed {each.seed}: {each.path}"))
        count = len(series.members)
        typer.echo(f"{count} in the series; look whether the skin holds: sidelight series check {series.name}")


def _note(text: str, *, quiet: bool) -> None:
    if not quiet:
        typer.echo(f"note: {text}", err=True)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
