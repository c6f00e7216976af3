"""Addresses of the Doctor tab: runs `sidelight doctor --json` beside the page and keeps its last report.

    GET  /api/doctor   how it stands, and the last report with its age
    POST /api/doctor   {"quick": bool}: begin; 409 while one runs

The probes load torch, so they run in a process of their own, which ends with the page. Knows nothing about probes.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import JsonValue
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import BusyError, DiskError, InputError
from pipelines.files import put
from pipelines.frozen import Frozen
from workbench.doctor import Finding, Report, Section
from workbench.doctor import State as Found
from workbench.doctor_command import shown
from workbench.web import uploads
from workbench.web.site import Site
from workbench.web.uploads import WORDS_BYTES

KEPT = "doctor.json"
DATE = "%Y-%m-%d %H:%M:%S UTC"
MOST_SECONDS = 900  # the whole examination takes under a minute where nothing hangs
COMMAND = (
    sys.executable,
    "-c",
    # what stands on its standard input is the page: when that ends, however it ends, so does this
    "import os, threading; threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start(); "
    "from workbench.cli import main; main()",
    "doctor",
    "--json",
)

State = Literal["none", "running", "done", "failed"]


class Asked(Frozen):
    """Whether what takes seconds (quantisation, timing) is left out."""

    quick: bool = True


class FindingAnswer(Frozen):
    """One line of the report."""

    name: str
    text: str
    state: Found
    advice: str


class SectionAnswer(Frozen):
    """Findings under one title."""

    title: str
    findings: tuple[FindingAnswer, ...]


class ReportAnswer(Frozen):
    """The whole report; `text` is what `sidelight doctor` prints, to be pasted."""

    verdict: str
    is_broken: bool
    is_quick: bool
    made: str
    age_seconds: int
    advice: tuple[str, ...]
    sections: tuple[SectionAnswer, ...]
    text: str


class DoctorAnswer(Frozen):
    """How the last examination stands, and the last report that there is. `started` is a UTC label."""

    state: State
    started: str = ""
    seconds: int = 0
    error: str = ""
    report: ReportAnswer | None = None


class Kept(Frozen):
    """What is written down: the command's own answer, and when it was given."""

    made: str
    is_quick: bool
    told: dict[str, JsonValue]


def routes(site: Site, *, command: Sequence[str] = COMMAND) -> list[BaseRoute]:
    """The routes; the last report lies beside the queue."""
    examination = Examination(site.queue.path.parent / KEPT, command=(*command, "--runs", str(site.runs)))

    def told(_: Request) -> Response:
        return _json(examination.told())

    async def begin(request: Request) -> Response:
        data = await uploads.body(request.stream(), WORDS_BYTES)
        asked = Asked.read(uploads.words(data) if data else {})
        await run_in_threadpool(examination.begin, is_quick=asked.quick)
        return _json(examination.told())

    return [Route("/api/doctor", told), Route("/api/doctor", begin, methods=["POST"])]


class Examination:
    """One run of doctor at a time, in a process of its own, and the last report."""

    def __init__(self, path: Path, *, command: Sequence[str] = COMMAND) -> None:
        self._path, self._command = path, command
        self._lock = threading.Lock()
        self._told = DoctorAnswer(state="none")
        self._began = 0.0
        self._kept = _read(path)

    def begin(self, *, is_quick: bool) -> None:
        """Start it; raises BusyError while one runs."""
        with self._lock:
            if self._told.state == "running":
                raise BusyError("an examination is running; its report comes in a moment")
            self._told = DoctorAnswer(state="running", started=datetime.now(UTC).strftime(DATE))
            self._began = time.monotonic()
        words = [*self._command, *(["--quick"] if is_quick else [])]
        threading.Thread(target=self._run, args=(words, is_quick), daemon=True, name="sidelight-doctor").start()

    def told(self) -> DoctorAnswer:
        """How it stands now."""
        with self._lock:
            seconds = round(time.monotonic() - self._began) if self._told.state == "running" else 0
            return self._told.but(seconds=seconds, report=_report(self._kept) if self._kept else None)

    def _run(self, words: Sequence[str], is_quick: bool) -> None:
        told, error = _answer_of(words)
        with self._lock:
            if told is None:
                self._told = self._told.but(state="failed", error=error)
                return
            self._kept = Kept(made=datetime.now(UTC).strftime(DATE), is_quick=is_quick, told=told)
            self._told = self._told.but(state="done")
            with contextlib.suppress(DiskError):  # then it is known until the page ends
                put({self._path: self._kept.model_dump_json().encode()})


def _answer_of(words: Sequence[str]) -> tuple[dict[str, JsonValue] | None, str]:
    """What the command says; None and the reason where it says nothing."""
    try:
        heard, complaint = _heard(words)
    except subprocess.TimeoutExpired:
        return None, f"doctor did not end within {MOST_SECONDS // 60} minutes; run `sidelight doctor` in a terminal"
    except OSError as error:
        return None, f"doctor could not be started ({error.strerror}); run `sidelight doctor` in a terminal"
    with contextlib.suppress(ValueError):
        told = json.loads(heard)
        if isinstance(told, dict) and "sections" in told:
            return told, ""
    last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    return None, f"doctor ended without a report: {last[0][:200]}; run `sidelight doctor` in a terminal"


def _heard(words: Sequence[str]) -> tuple[bytes, bytes]:
    """What a command says on both streams to its end; not by `communicate`, which closes its standard input at once.

    Raises OSError and subprocess.TimeoutExpired.
    """
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=out, stderr=err) as process,
    ):
        try:
            process.wait(MOST_SECONDS)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return out.read(), err.read()


def _read(path: Path) -> Kept | None:
    try:
        kept = Kept.read(json.loads(path.read_bytes()))
        _report(kept)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, InputError):  # none yet, or of another version
        return None
    return kept


def _report(kept: Kept) -> ReportAnswer:
    told: Mapping[str, Any] = kept.told
    sections = tuple(
        Section(title, tuple(_finding(one, told["broken"]) for one in found))
        for title, found in told["sections"].items()
    )
    made = datetime.strptime(kept.made, DATE).replace(tzinfo=UTC)
    return ReportAnswer(
        verdict=told["verdict"],
        is_broken=bool(told["broken"]),
        is_quick=kept.is_quick,
        made=kept.made,
        age_seconds=max(0, round((datetime.now(UTC) - made).total_seconds())),
        advice=tuple(told["advice"]),
        sections=tuple(SectionAnswer(title=one.title, findings=tuple(map(_line, one.findings))) for one in sections),
        text=shown(Report(sections)),
    )


def _finding(one: Mapping[str, Any], broken: Sequence[str]) -> Finding:
    """As doctor had it; where `state` says where a model is, the list of what is broken tells."""
    by_advice: Found = "remark" if one["advice"] else "fine"
    read_off: Found = "broken" if one["name"] in broken else by_advice
    state: Found = one["state"] if one["state"] in get_args(Found) else read_off
    values = {name: value for name, value in one.items() if name not in ("name", "text", "state", "advice")}
    return Finding(one["name"], one["text"], state, one["advice"], values)


def _line(one: Finding) -> FindingAnswer:
    return FindingAnswer(name=one.name, text=one.text, state=one.state, advice=one.advice)


def _json(model: Frozen) -> Response:
    return Response(model.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})
