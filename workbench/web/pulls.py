"""Fetches and checks models on threads of the page, one piece of work a model, and tells how far each is.

What came is kept on the disk whatever happens here, so a page that ends loses nothing. Knows nothing about HTTP routes.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from pipelines import listing
from pipelines.downloads import lockfile, pulled
from pipelines.downloads.fetch import Event, Fetched, Fetcher, Fetching, Pull, SetAside, Waiting
from pipelines.downloads.hub import Hub, login_token
from pipelines.downloads.lockfile import Entry
from pipelines.downloads.pulled import Checked
from pipelines.errors import BusyError, Cancelled, HubError, SidelightError
from pipelines.files import DISK
from pipelines.frozen import Frozen
from pipelines.listing import Row
from workbench.asking import size_text
from workbench.model_rows import all_needs, entries_of
from workbench.pulling import other_programs

OFFLINE = "SIDELIGHT_OFFLINE"
"""Set by the command line where a person set HF_HUB_OFFLINE, which Sidelight itself sets for everything it starts."""
RATE_SECONDS = 5.0
"""The rate is that of the last seconds, so that a stall is seen as one."""
SAMPLE_SECONDS = 0.2
BUSY_SECONDS = 1.0

What = Literal["download", "check"]
State = Literal["running", "done", "failed", "cancelled"]


class Doing(Frozen):
    """How far a download or check is. `note` is a remark (what is waited for), `error` why it failed, each one line."""

    what: What
    state: State
    bytes: int = 0
    of_bytes: int = 0
    bytes_per_second: float = 0
    seconds_left: float | None = None
    file: str = ""
    note: str = ""
    error: str = ""


class Plan(Frozen):
    """What a download takes, before the first byte: bytes and files to come, and room on the disk it goes to."""

    bytes: int
    files: int
    free_bytes: int
    folder: str


class Pulls:
    """The downloads and checks of this process by the model's name; the last one of each stays to be told."""

    def __init__(self, *, open_hub: Callable[[], Hub] = lambda: Hub(token=login_token())) -> None:
        self._open_hub = open_hub
        self._lock = threading.Lock()
        self._works: dict[str, _Work] = {}

    def plan(self, row: Row) -> Plan:
        """Ask the hub, once, what a download would take; raises HubError and what `Fetcher.look_up` raises."""
        refuse_offline()
        models = listing.models_folder()
        with self._open_hub() as hub:
            fetcher = Fetcher(hub, models, cache=other_programs(), wait=_no_second_try)
            pulls = [fetcher.look_up(need) for need in all_needs([row])]
        fetcher.refuse_without_room(pulls)
        return Plan(
            bytes=sum(pull.to_come for pull in pulls),
            files=sum(len(pull.missing) for pull in pulls),
            free_bytes=DISK.free_bytes(models),
            folder=str(models),
        )

    def download(self, row: Row) -> None:
        """Begin to fetch all that a row needs, or go on; raises BusyError while something is done with that row."""
        refuse_offline()
        self._begin(row.name, _Work("download", lambda work: _download(work, row, self._open_hub)))

    def check(self, row: Row) -> None:
        """Begin to read all that was pulled for a row; raises BusyError, and InputError if nothing was."""
        models = listing.models_folder()
        entries = entries_of([row.name], lockfile.read(models))
        self._begin(row.name, _Work("check", lambda work: _check(work, entries, models)))

    def cancel(self, name: str) -> None:
        """End what is done with that row, if anything is; what came is kept."""
        if work := self._works.get(name):
            work.cancel()

    def doing(self) -> dict[str, Doing]:
        """How far everything is, by name."""
        return {name: work.told() for name, work in list(self._works.items())}

    def refuse_busy(self, name: str) -> None:
        """Raise BusyError while something is done with that row."""
        work = self._works.get(name)
        if work and (told := work.told()).state == "running":
            what = "being downloaded" if told.what == "download" else "being checked"
            raise BusyError(f"{name} is {what}; cancel that first")

    def forget(self, name: str) -> None:
        """Tell no longer how the last work on that row ended."""
        with self._lock:
            self.refuse_busy(name)
            self._works.pop(name, None)

    def _begin(self, name: str, work: "_Work") -> None:
        with self._lock:
            self.refuse_busy(name)
            before = self._works.get(name)
            self._works[name] = work
            work.start(before)


class _Work:
    """One download or check on a thread, and how far it is."""

    def __init__(self, what: What, do: Callable[["_Work"], str]) -> None:
        self._do = do
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"sidelight-{what}")
        self._lock = threading.Lock()
        self._told = Doing(what=what, state="running")
        self._stop = threading.Event()
        self._before: _Work | None = None
        self._here: dict[Path, int] = {}
        self._seen: deque[tuple[float, int]] = deque()
        self.hub: Hub | None = None

    def start(self, before: "_Work | None") -> None:
        """Begin, as soon as the work before it on the same row has let go."""
        self._before = before
        self._thread.start()

    def cancel(self) -> None:
        """Told as cancelled at once; the thread ends as soon as the network or the disk lets it."""
        self._stop.set()
        self._end("cancelled", note="what came is kept")
        if self.hub:
            self.hub.break_off()

    def told(self) -> Doing:
        """How far it is now."""
        with self._lock:
            is_running = self._told.state == "running"
            if is_running:
                self._count(time.monotonic())
            rate = self._rate()
            left = (self._told.of_bytes - self._told.bytes) / rate if rate else None
            return self._told.but(
                bytes_per_second=round(rate) if is_running else 0,
                seconds_left=round(left) if is_running and left is not None else None,
            )

    def wait(self, seconds: float) -> None:
        """Wait, unless it is cancelled meanwhile; raises Cancelled."""
        if self._stop.wait(seconds):
            raise Cancelled("stopped; what came is kept")

    def expect(self, of_bytes: int, here: dict[Path, int]) -> None:
        """Bytes of all files, and how many of each are here at the start."""
        with self._lock:
            self._here = here
            self._told = self._told.but(of_bytes=of_bytes, bytes=sum(here.values()))
            self._seen.append((time.monotonic(), self._told.bytes))

    def came(self, path: Path, done: int, *, name: str) -> None:
        """So many bytes of a file are here, or read; raises Cancelled."""
        self.wait(0)
        self._here[path] = done
        now = time.monotonic()
        if name == self._told.file and now - self._seen[-1][0] < SAMPLE_SECONDS:
            return  # a block is a few kilobytes: not every one is counted up
        with self._lock:
            self._count(now)
            self._told = self._told.but(file=name, note="")

    def say(self, note: str) -> None:
        """What is waited for; raises Cancelled."""
        self.wait(0)
        with self._lock:
            self._told = self._told.but(note=note)

    def _count(self, now: float) -> None:
        total = sum(self._here.values())
        self._told = self._told.but(bytes=total)
        self._seen.append((now, total))
        while self._seen[0][0] < now - RATE_SECONDS:
            self._seen.popleft()

    def _rate(self) -> float:
        """Bytes a second, of the last seconds."""
        now = time.monotonic()
        recent = [one for one in self._seen if one[0] >= now - RATE_SECONDS]
        if len(recent) < 2:
            return 0.0
        return max(0.0, (recent[-1][1] - recent[0][1]) / max(now - recent[0][0], SAMPLE_SECONDS))

    def _run(self) -> None:
        try:
            while self._before and self._before._thread.is_alive():
                self.wait(0.05)
            self._before = None
            self._end("done", note=self._do(self))
        except SidelightError as error:
            self._end("failed", error=for_page(error))
        except BaseException as error:
            self._end("failed", error=f"a fault of Sidelight's own ({type(error).__name__}: {error}); please report it")
            raise

    def _end(self, state: State, *, note: str = "", error: str = "") -> None:
        with self._lock:
            if self._told.state == "running":
                self._count(time.monotonic())
                self._told = self._told.but(state=state, note=note, error=error, file="")


def for_page(error: SidelightError) -> str:
    """What an error says, where a button stands in the place of a command."""
    text = str(error).replace("run the same command again", "try again")
    return text.replace("`sidelight models pull`", "Download")


def refuse_offline() -> None:
    """Raise HubError where a person said that nothing may be fetched."""
    if os.environ.get(OFFLINE):
        raise HubError("HF_HUB_OFFLINE is set, so nothing is fetched: start the page without it to download")


def _download(work: _Work, row: Row, open_hub: Callable[[], Hub]) -> str:
    models, needs = listing.models_folder(), all_needs([row])
    with open_hub() as hub:
        work.hub = hub
        fetcher = Fetcher(hub, models, cache=other_programs(), wait=work.wait)
        work.say("asking the hub")
        pulls = [fetcher.look_up(need) for need in needs]
        fetcher.refuse_without_room(pulls)
        _expect(work, (pull.entry for pull in pulls), models)
        for pull in pulls:
            _fetch(work, fetcher, pull, models)
    count = sum(len(pull.entry.files) for pull in pulls)
    return f"{_counted(count)}, {size_text(work.told().of_bytes)}, every byte checked"


def _fetch(work: _Work, fetcher: Fetcher, pull: Pull, models: Path) -> None:
    """Fetch one need; where another download brings the same repository, wait for it and look again."""
    while True:
        try:
            for event in fetcher.fetch(pull):
                _follow(work, event, pull.entry, models)
            return
        except BusyError:
            work.say(f"waits: {pull.entry.repo} is being fetched by another download")
            work.wait(BUSY_SECONDS)


def _follow(work: _Work, event: Event, entry: Entry, models: Path) -> None:
    match event:
        case Fetching(file, done):
            work.came(entry.folder(models) / file.path, done, name=file.path)
        case Waiting(file, reason, seconds):
            work.say(f"{file.path}: {reason}; trying again in {seconds:g} s")
        case SetAside(file, path, reason):
            work.came(entry.folder(models) / file.path, 0, name=file.path)
            work.say(f"{file.path}: {reason}; set aside as {path.name}, fetching it again")
        case Fetched(entry):
            for file in entry.files:
                work.came(entry.folder(models) / file.path, file.size, name=file.path)


def _expect(work: _Work, entries: Iterable[Entry], models: Path, *, is_read: bool = False) -> None:
    """Say what is to come; a file that two needs share counts once. `is_read`: nothing counts until it was read."""
    files = {entry.folder(models) / file.path: (entry, file) for entry in entries for file in entry.files}
    here = {path: 0 if is_read else pulled.came_of(*of, models) for path, of in files.items()}
    work.expect(sum(file.size for _, file in files.values()), here)


def _check(work: _Work, entries: list[Entry], models: Path) -> str:
    _expect(work, entries, models, is_read=True)
    count, faults = 0, []
    for entry in entries:
        for event in pulled.verifying(entry, models):
            path = entry.folder(models) / event.file.path
            if isinstance(event, Checked):
                count += 1
                faults += [f"{event.file.path}: {event.fault.reason}"] if event.fault else []
            work.came(path, event.file.size if isinstance(event, Checked) else event.done, name=event.file.path)
    if faults:
        told = "; ".join(faults[:3]) + (f"; and {len(faults) - 3} more" if len(faults) > 3 else "")
        raise HubError(f"{len(faults)} of {count} files: {told}: Download fetches just those again")
    return f"{_counted(count)} read, as fetched to the last byte"


def _counted(count: int) -> str:
    return f"{count} {'file' if count == 1 else 'files'}"


def _no_second_try(_: float) -> None:
    """In the place of waiting: a person waits for the answer."""
    raise HubError("the hub does not answer now: look at the network, or try again later")
