"""`sidelight models pull`: what it takes is said and asked first, then the bytes come. Knows nothing about HTTP."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from pipelines import listing
from pipelines.downloads.fetch import Event, Fetched, Fetcher, Fetching, Pull, SetAside, Waiting
from pipelines.downloads.hub import Hub, login_token
from pipelines.downloads.lockfile import Entry
from pipelines.errors import Cancelled
from pipelines.listing import Row
from workbench.asking import confirmed, size_text
from workbench.model_rows import all_needs

QUIET_SECONDS = 30  # between lines where there is no terminal to draw on


def pull_rows(rows: Iterable[Row], *, is_agreed: bool) -> list[Entry]:
    """Fetch all that the rows need, after saying how much it is and asking; the entries that are here then.

    Raises Cancelled on Ctrl-C or a no (what came is kept), and what `Fetcher.fetch` raises.
    """
    console = Console(file=sys.stderr, highlight=False)
    models = listing.models_folder()
    with Hub(token=login_token()) as hub:
        fetcher = Fetcher(hub, models, cache=other_programs())
        try:
            pulls = [fetcher.look_up(need) for need in all_needs(rows)]
            _say(pulls, models, console)
            fetcher.refuse_without_room(pulls)
            _ask(pulls, is_agreed=is_agreed)
            with PullProgress(pulls, console) as progress:
                return [_fetched(fetcher, pull, progress) for pull in pulls]
        except KeyboardInterrupt:
            raise Cancelled("stopped; what came is kept, and the same command goes on from there") from None


class PullProgress:
    """Bytes, rate and time left on stderr; plain lines now and then where stderr is no terminal."""

    def __init__(self, pulls: Iterable[Pull], console: Console) -> None:
        self._console = console
        self._total = sum(file.size for pull in pulls for file in pull.missing)
        self._before = 0
        self._done = 0
        self._spoken = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.fields[what]}", markup=False),
            BarColumn(bar_width=16),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=self._total, what="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def follow(self, event: Event) -> None:
        """Show what has happened."""
        match event:
            case Fetching(file, done):
                self._done = self._before + done
                self._bar.update(self._task, completed=self._done, what=_short(file.path))
                if done == file.size:
                    self._before += done
                self._line_now_and_then()
            case Waiting(file, reason, seconds):
                self._print(f"{file.path}: {reason}; trying again in {seconds:g} s")
            case SetAside(file, path, reason):
                self._print(f"{file.path}: {reason}; set aside as {path}, which can be deleted")
            case Fetched(entry):
                self._print(f"{entry.repo} is here: {len(entry.files)} files, {size_text(entry.size)}, checked")

    def _line_now_and_then(self) -> None:
        if not self._console.is_terminal and time.monotonic() - self._spoken > QUIET_SECONDS:
            self._spoken = time.monotonic()
            self._print(f"{size_text(self._done)} of {size_text(self._total)}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


def _say(pulls: list[Pull], models: Path, console: Console) -> None:
    for pull in pulls:
        entry, came = pull.entry, f", {size_text(pull.received)} of them came before" if pull.received else ""
        but = f" without {', '.join(entry.without)}" if entry.without else ""
        what = (
            f"{len(pull.missing)} files to fetch, {size_text(pull.to_come)}{came}" if pull.missing else "already here"
        )
        console.print(f"{entry.source}{but} at {entry.revision[:12]}: {what}", markup=False, soft_wrap=True)
    if any(pull.missing for pull in pulls):
        total = size_text(sum(pull.to_come for pull in pulls))
        console.print(f"{total} in all, into {models}", markup=False, soft_wrap=True)


def _ask(pulls: list[Pull], *, is_agreed: bool) -> None:
    if is_agreed or not any(pull.missing for pull in pulls):
        return
    if not confirmed("fetch?", default=True):
        raise Cancelled("nothing was fetched")


def _fetched(fetcher: Fetcher, pull: Pull, progress: PullProgress) -> Entry:
    entry = pull.entry
    for event in fetcher.fetch(pull):
        progress.follow(event)
        if isinstance(event, Fetched):
            entry = event.entry
    return entry


def other_programs() -> Path:
    """huggingface_hub's cache folder, by its own rule."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _short(path: str) -> str:
    return path if len(path) <= 28 else "…" + path[-27:]
