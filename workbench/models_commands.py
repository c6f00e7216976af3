"""`sidelight models`: what there is, fetching, checking, adding one's own. Knows nothing about what opens models."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, get_args

import typer

from pipelines import listing, own_list
from pipelines.downloads import lockfile, pulled
from pipelines.downloads.lockfile import Entry, Lock
from pipelines.errors import Cancelled
from pipelines.listing import Row, Source
from pipelines.own_list import Candidate
from pipelines.recipe import FamilyName
from workbench.asking import confirmed, size_text
from workbench.model_rows import allowed, candidates, deletion, entries_of, is_gated, named

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def list_models(
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print every model: name, family, kind, whether it is here, licence, where."""
    allowed("family", family, get_args(FamilyName))
    allowed("kind", kind, get_args(listing.Kind))
    lock = lockfile.read(listing.models_folder())
    listed = listing.rows()
    rows = [row for row in listed.values() if family in (None, row.family) and kind in (None, row.kind)]
    rows.sort(key=lambda row: (row.listed_in == listing.SHIPPED, row.place() is None))  # one's own, then what is here
    told = [_told(row, lock, listed) for row in rows]
    if as_json:
        typer.echo(json.dumps(told))
        return
    name_width = max(len(row.name) for row in rows) if rows else 0
    for row, one in zip(rows, told, strict=True):
        line = f"{row.name:<{name_width}}  {row.family:<5}  {row.kind:<10}  {_state(one):<16}  {row.licence}"
        typer.echo(line.rstrip())
        if one["where"] and row.source.kind != "demo":
            typer.echo(f"    {one['where']}")
    typer.echo(f"\npulled models lie in {listing.models_folder()}\nyour own list is {listing.own_list()}")
    if any(_state(one).startswith("gated") for one in told):
        typer.echo("gated: its licence must be accepted first; `sidelight models pull NAME` says where")


def pull(
    names: Annotated[list[str], typer.Argument(help="Names, as `sidelight models list` shows them.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Fetch models from their hub: only what is needed, every byte checked; a download that broke off goes on."""
    rows = [listing.row_of(name) for name in names]
    for row in rows:
        if not pulled.needs(row):
            typer.echo(f"{row.name} lies on this disk ({row.place()}); nothing to pull", err=True)
    from workbench.pulling import pull_rows

    entries = pull_rows(rows, is_agreed=yes) if any(pulled.needs(row) for row in rows) else []
    if as_json:
        typer.echo(json.dumps({"pulled": [_entry(entry) for entry in entries]}))


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; all that was pulled if none is given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read every pulled file again and compare its hash; exit code 1 if one is damaged or missing."""
    models = listing.models_folder()
    entries = entries_of(names, lockfile.read(models)) if names else list(lockfile.read(models).entries)
    faults: list[pulled.Fault] = []
    count = 0
    for entry in entries:
        typer.echo(f"reading {entry.source} ({size_text(entry.size)})", err=True)
        for file, fault in pulled.verify(entry, models):
            count += 1
            faults += [fault] if fault else []
            if not as_json and fault:
                typer.echo(f"{entry.repo}: {file.path}: {fault.reason}")
    if as_json:
        told = [{"file": str(fault.path), "reason": fault.reason} for fault in faults]
        typer.echo(json.dumps({"files": count, "faults": told}))
    else:
        typer.echo(f"{len(entries)} models, {count} files read, {len(faults)} damaged or missing")
        if faults:
            typer.echo("run `sidelight models pull` with the model's name: it fetches just those again")
    if faults:
        raise typer.Exit(1)


def add(
    what: Annotated[
        list[str],
        typer.Argument(
            help="Folders (looked through), weights files, hf:OWNER/REPO@REVISION[/FILE], NAME+option=value."
        ),
    ],
    name: Annotated[str | None, typer.Option(help="Name of the new row, where one thing is added.")] = None,
    family: Annotated[str | None, typer.Option(help="Family of an hf: source.")] = None,
    kind: Annotated[str, typer.Option(help="Kind of an hf: source.")] = "checkpoint",
    as_json: AsJson = False,
) -> None:
    """Add models to your own list; pickles and what is of no known kind are told with the reason."""
    allowed("kind", kind, get_args(listing.Kind))
    found: list[Candidate] = []
    refused: dict[str, str] = {}
    for one in what:
        found_here, faults = candidates(one, family=family, kind=kind)
        found += found_here
        refused |= faults
    new, known = own_list.add(named(found, name) if name else found)
    if as_json:
        told = {"added": _texts(new), "listed_before": _texts(known), "refused": refused}
        typer.echo(json.dumps(told | {"list": str(listing.own_list())}))
    else:
        _say_added(new, known, refused)
    if not new and not known:
        raise typer.Exit(1)


def remove(
    name: Annotated[str, typer.Argument(help="A name of your own list; with --files also that of a shipped row.")],
    files: Annotated[bool, typer.Option("--files", help="Delete what was pulled for it, too.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take a model out of your own list; with --files delete its pulled files, after saying how many bytes."""
    row = listing.rows().get(name)
    is_own = row is not None and row.listed_in == listing.own_list()
    deleted = _delete_pulled(row, is_agreed=yes) if row and files else 0
    if is_own or not files:
        own_list.remove(name)
    told = {"name": name, "row_removed": is_own, "bytes_deleted": deleted}
    text = f"{name}: {'row removed from your list' if is_own else 'shipped row stays'}, {size_text(deleted)} deleted"
    typer.echo(json.dumps(told) if as_json else text)


def _delete_pulled(row: Row, *, is_agreed: bool) -> int:
    models = listing.models_folder()
    gone = deletion(row, lockfile.read(models))
    if not gone.entries:
        typer.echo(f"nothing was pulled for {row.name}; files of {row.source} stay", err=True)
        return 0
    also = f"; {', '.join(gone.users)} need them too" if gone.users else ""
    place = gone.entries[0].folder(models)
    typer.echo(f"{len(gone.files)} files, {size_text(gone.bytes)} in {place}{also}", err=True)
    if not is_agreed and not confirmed("delete?", default=False):
        raise Cancelled("nothing was deleted")
    pulled.delete(gone.entries, models)
    return gone.bytes


def _say_added(new: Mapping[str, Source], known: Mapping[str, Source], refused: Mapping[str, str]) -> None:
    for name, source in new.items():
        typer.echo(f"added {name}  {source}")
    for name, source in known.items():
        typer.echo(f"listed before as {name}  {source}")
    for reason in refused.values():
        typer.echo(f"not added: {reason}")
    typer.echo(f"{len(new)} added to {listing.own_list()}, {len(known)} listed before, {len(refused)} not added")


def _told(row: Row, lock: Lock, listed: Mapping[str, Row]) -> dict[str, Any]:
    state, size = pulled.state(row, lock, listed)
    place = row.place()
    return {
        "name": row.name,
        "family": row.family,
        "kind": row.kind,
        "state": state,
        "bytes": size,
        "gated": is_gated(row, listed),
        "licence": row.licence,
        "source": str(row.source),
        "where": str(place) if place else None,
        "options": dict(row.options),
        "listed_in": str(row.listed_in),
    }


def _state(told: Mapping[str, Any]) -> str:
    """As the list shows it: what is gated and not here cannot simply be downloaded."""
    is_closed = told["gated"] and told["state"] == "to be downloaded"
    size = f" {size_text(told['bytes'])}" if told["bytes"] else ""
    return f"{'gated' if is_closed else told['state']}{size}"


def _entry(entry: Entry) -> dict[str, Any]:
    folder = str(entry.folder(listing.models_folder()))
    return {"source": entry.source, "revision": entry.revision, "bytes": entry.size, "folder": folder}


def _texts(sources: Mapping[str, Source]) -> dict[str, str]:
    return {name: str(source) for name, source in sources.items()}
