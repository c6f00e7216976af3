"""Findings on the terminal and for the page: what is said, what is added, what is refused; nothing old is touched."""

import io
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from pipelines.errors import BusyError, InputError, SidelightError
from pipelines.store import Store
from sweeps import findings as kept
from sweeps.findings import Addition, Curve, Estimate, Evidence, Finding, Findings, Point, Shown
from sweeps.lock import Lock
from sweeps.prepare import SWEEP, Prepared, prepare
from sweeps.ranges import Value
from sweeps.run import Finished, run
from sweeps.sweep import from_flags, read_toml
from tests.small import opener
from workbench import findings_command, findings_next
from workbench.findings_answers import FindingsAnswer, MoreAnswer
from workbench.findings_words import print_findings
from workbench.queue import Queue
from workbench.web import findings_routes
from workbench.web.routes import api
from workbench.web.site import Site

app = typer.Typer()
app.command()(findings_command.findings)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of guidance 2 and 4 at seed 3, its pictures noise."""
    fields = {"checkpoint": ["demo-sdxl"], "prompt": ["a face"], "steps": ["1"], "width": ["32"], "height": ["32"]}
    sweep = from_flags("window", fields | {"guidance": ["2,4"], "seed": ["3"]})
    ready = prepare(sweep, tmp_path_factory.mktemp("runs") / "window", asked={"device": "cpu", "lanes": 1})
    list(run(ready, open_engine=opener([])))
    return ready.folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs" / "window"))


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run asks for guidance 2 and 3 at seeds 3 and 4, until they are there."""

    def found(folder: Path) -> Findings:
        there = set(cells_of(folder))
        additions = [addition for addition in ADDITIONS if not wanted_by(addition) <= there]
        return told(len(there), additions)

    monkeypatch.setattr(findings_next, "found", found)


ADDITIONS = (
    Addition(values=(("guidance", (3.0,)), ("seed", (3, 4))), count=2, why="the edge of mud lies between 2 and 4"),
    Addition(values=(("guidance", (2.0,)), ("seed", (3,))), count=1, why="it is there already"),
)


def wanted_by(addition: Addition) -> set[tuple[float, int]]:
    values = dict(addition.values)
    return {(float(str(g)), int(str(s))) for g in values["guidance"] for s in values["seed"]}


def told(pictures: int, additions: Sequence[Addition] = ()) -> Findings:
    finding = Finding(
        kind="guidance-window",
        state="open",
        checkpoint="demo-sdxl",
        held=(("steps", "20"),),
        sentence="Above 2 the skin of demo-sdxl is kept; the other end was not reached.",
        low=2,
        n=4,
        evidence=(Evidence(measure="texture", sentence="below 2 texture is 29 % lower (95 %: 25 to 34)"),),
        curves=(curve("texture", (1, 2, 4)), curve("slope", (1, 2, 4))),
        pictures=(Shown(role="best", key="0" * 16, words="in the middle"),),
        cautions=("few seeds",),
        additions=tuple(additions),
    )
    return Findings(
        title="window", pictures=pictures, measured=pictures, validated="tried on curves", findings=(finding,)
    )


def curve(measure: str, steps: Sequence[float]) -> Curve:
    points = [
        Point(
            at=at, label=f"{at:g}", estimate=Estimate(value=at / 2, low=at / 2 - 0.25, high=at / 2 + 0.25, n=4), keys=()
        )
        for at in steps
    ]
    return Curve(measure=measure, axis="guidance", points=tuple(points))


def cells_of(folder: Path) -> dict[tuple[float, int], bytes]:
    """The picture of every cell that is made, by guidance and seed."""
    store = Store(folder)
    pictures = [(store.sidecar(key).recipe, store.path(key)) for key in store.keys()]  # noqa: SIM118  # no mapping
    return {(recipe.guidance, recipe.seed): path.read_bytes() for recipe, path in pictures}


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(result: Result, kind: type[SidelightError]) -> str:
    assert isinstance(result.exception, kind), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_what_a_run_says_is_printed_and_kept(folder: Path) -> None:
    result = call(folder, "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert (said["findings"]["pictures"], said["findings"]["measured"]) == (2, 2)
    assert said["command"].startswith(f"sidelight findings {folder}")
    assert kept.read(folder) == Findings.read(said["findings"])
    assert "window: 2 of 2 pictures measured" in call(folder).stdout
    assert (folder / "report.md").is_file()


def test_words_intervals_curves_and_what_to_do_next(folder: Path) -> None:
    said = FindingsAnswer(
        run="window",
        findings=told(3),
        command="sidelight findings window --add",
        wanted=9,
        can_add=2,
        more=(MoreAnswer(words="guidance 3 x seed 3, 4", count=2, why="the edge lies there"),),
        time="about 3 min",
        keep=("sidelight notes set demo-sdxl --from-run window",),
    )
    drawn = io.StringIO()
    print_findings(Console(file=drawn, width=100, highlight=False), said)
    text = drawn.getvalue()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "Guidance window, one end open demo-sdxl · steps 20 n 4",
        "+ texture: below 2 texture is 29 % lower (95 %: 25 to 34)",
        "! few seeds",
        "guidance texture, % contrast slope, stops",
        "1 0.5 (0.25 to 0.75) 0.5 (0.25 to 0.75)",
        "in 2 1 (0.75 to 1.25) 1 (0.75 to 1.25)",
        "in 4 2 (1.75 to 2.25) 2 (1.75 to 2.25)",
        f"best: pictures/{'0' * 16}.png in the middle",
        "next, 2 cells of 9 that would say more, about 3 min:",
        "2 cells, guidance 3 x seed 3, 4: the edge lies there",
        "sidelight findings window --add",
        "sidelight notes set demo-sdxl --from-run window",
    ):
        assert line in lines, text
    assert max(map(len, text.splitlines())) <= 100


def follow(prepared: Prepared, **_: object) -> Finished:
    """With a small engine in place of the real one."""
    last = list(run(prepared, open_engine=opener([])))[-1]
    assert isinstance(last, Finished)
    return last


@pytest.mark.usefixtures("asks")
def test_exactly_the_cells_that_are_asked_for_are_made_and_then_there_is_nothing_to_add(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings_command, "follow", follow)
    before = cells_of(folder)
    result = call(folder, "--add")
    assert result.exit_code == 0, result.output
    assert "2 cells to add" in result.stdout
    assert "guidance 3 x seed 3, 4" in result.stdout
    after = cells_of(folder)
    assert set(after) == {(2.0, 3), (4.0, 3), (3.0, 3), (3.0, 4)}
    assert before.items() <= after.items(), "old pictures keep their bytes"
    again = call(folder, "--add")
    assert (again.exit_code, "nothing to add" in again.stdout) == (0, True)
    assert set(cells_of(folder)) == set(after)


def test_rounds_go_on_while_more_is_asked_for_and_the_budget_lasts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(folder: Path) -> Findings:
        """Every look asks for the two next seeds; four say what was open."""
        seeds = {seed for _, seed in cells_of(folder)}
        more = Addition(values=(("seed", (max(seeds) + 1, max(seeds) + 2)),), count=2, why="more seeds")
        settled = told(len(seeds), [more])
        (finding,) = settled.findings
        return settled.but(findings=(finding.but(state="found", high=3),)) if len(seeds) > 4 else settled

    monkeypatch.setattr(findings_next, "found", found)
    monkeypatch.setattr(findings_command, "follow", follow)
    result = call(folder, "--add", "--rounds", "9", "--budget", "5")
    assert result.exit_code == 0, result.output
    assert [seed for guidance, seed in sorted(cells_of(folder)) if guidance == 2] == [3, 4, 5, 6, 7, 8]
    (line,) = [line for line in result.stdout.splitlines() if "(before:" in line or "before:" in line]
    assert "found from 2 to 3" in result.stdout
    assert "one end open" in line


@pytest.mark.usefixtures("asks")
def test_a_dry_run_says_which_cells_and_writes_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    said = json.loads(call(folder, "--add", "--dry-run", "--no-measure", "--json").stdout)
    assert (said["added"]["cells"], said["added"]["where"]) == (2, "seed == 3 or guidance == 3")
    assert len(said["added"]["keys"]) == 2
    cut = json.loads(call(folder, "--add", "--dry-run", "--no-measure", "--json", "--budget", "1").stdout)
    assert (cut["added"]["cells"], cut["added"]["wanted"]) == (1, 2)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.usefixtures("asks")
def test_cells_are_left_to_the_worker_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[Queue] = []
    monkeypatch.setattr(findings_command, "ensure_worker", starts.append)
    result = call(folder, "--add", "--queue")
    assert result.exit_code == 0, result.output
    (job,) = Queue().jobs("waiting")
    assert (job.folder, job.cells, len(starts)) == (folder.resolve(), 4, 1)
    assert read_toml(folder / SWEEP).where == "seed == 3 or guidance == 3"
    assert "is job" in refused(call(folder, "--add"), BusyError)
    Queue().wish(job.id, "cancel")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((("guidance", (3, 4.5)), ("seed", (1, 2, 3))), "guidance 3, 4.5 x seed 1 to 3"),
        ((("prompt", ("a " * 30,)), ("seed", (4, 9))), "seed 4, 9"),
        ((("steps", tuple(range(4, 60, 4))), ("scheduler", ("euler",))), "steps 4 to 56 (14 values) x scheduler euler"),
    ],
)
def test_cells_are_told_in_few_words(values: tuple[tuple[str, tuple[Value, ...]], ...], said: str) -> None:
    assert findings_next.words(Addition(values=values, count=1, why="")) == said


@pytest.mark.parametrize("flag", ["--queue", "--dry-run", "--rounds=2", "--new-numerics"])
def test_flags_that_need_add_are_refused_without_it(folder: Path, flag: str) -> None:
    assert "without --add" in refused(call(folder, flag), InputError)
    assert "leave out --queue" in refused(call(folder, "--add", "--rounds", "2", "--queue"), InputError)


@pytest.mark.usefixtures("asks")
def test_a_run_whose_checkpoint_is_gone_still_says_what_it_found(folder: Path) -> None:
    sweep = folder / SWEEP
    sweep.write_text(sweep.read_text().replace("demo-sdxl", "gone-xl"))
    result = call(folder)
    assert result.exit_code == 0
    assert "Above 2 the skin of demo-sdxl is kept" in result.stdout
    assert "cannot be added" in result.stdout
    assert kept.read(folder) == told(2, ADDITIONS[:1])
    assert "gone-xl" in refused(call(folder, "--add"), InputError)


def test_a_run_that_is_being_made_is_looked_at_and_left_alone(folder: Path) -> None:
    with Lock(folder / ".lock", "run"):
        result = call(folder)
    assert result.exit_code == 0
    assert "stay as they are" in result.stderr
    assert kept.read(folder) is None
    assert "is no run folder" in refused(call(folder.parent), InputError)


# ---- the page


@pytest.fixture
def site(folder: Path, tmp_path: Path) -> Site:
    return Site(folder.parent, Queue(tmp_path / "queue.sqlite"), start_worker=lambda _: None)


@pytest.fixture
def web(site: Site) -> Iterator[TestClient]:
    routed = api(site.runs)
    routed.router.routes[:0] = findings_routes.routes(site)
    with TestClient(routed, headers={"host": "127.0.0.1:7860"}) as client:
        yield client


def asked(web: TestClient) -> Any:
    answer = web.get("/api/runs/window/findings")
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.usefixtures("asks")
def test_the_page_is_told_what_can_be_added_and_only_what_is_new(web: TestClient, folder: Path) -> None:
    said = asked(web)
    assert (said["wanted"], said["can_add"], said["why_not"]) == (2, 2, "")
    assert said["more"][0]["words"] == "guidance 3 x seed 3, 4"
    assert said["command"] == f"sidelight findings {folder} --add"
    assert said["findings"]["findings"][0]["low"] == 2
    answer = web.get("/api/runs/window/findings")
    again = web.get("/api/runs/window/findings", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert web.get("/api/runs/nobody/findings").status_code == 404


@pytest.mark.usefixtures("asks")
def test_the_page_queues_the_cells_and_a_run_on_its_way_takes_none(web: TestClient, site: Site, folder: Path) -> None:
    with Lock(folder / ".lock", "run"):
        assert web.post("/api/runs/window/cells", json={"budget": 24}).status_code == 409
    assert site.queue.jobs() == ()
    answer = web.post("/api/runs/window/cells", json={"budget": 24})
    assert (answer.status_code, answer.json()["cells"]) == (202, 2)
    (job,) = site.queue.jobs("waiting")
    assert (job.id, job.cells) == (answer.json()["job"], 4)
    assert read_toml(folder / SWEEP).where == "seed == 3 or guidance == 3"
    busy = web.post("/api/runs/window/cells", json={})
    assert (busy.status_code, "\n" in busy.json()["error"]) == (409, False)
    site.queue.wish(job.id, "cancel")
    nothing = web.post("/api/runs/window/cells", json={"budget": 24})
    assert nothing.status_code == 422
    assert "nothing to add" in nothing.json()["error"]


def test_pictures_that_are_not_there_are_told(web: TestClient, folder: Path) -> None:
    for path in sorted((folder / "pictures").iterdir())[:3]:
        path.unlink()
    assert asked(web)["missing"] == 1
    assert "1 picture of this run is not there" in " ".join(call(folder).stdout.split())


@pytest.mark.parametrize("body", [{"budget": 0}, {"cells": 3}, {"budget": "many"}])
def test_a_budget_that_is_none_is_refused(web: TestClient, body: dict[str, object]) -> None:
    assert web.post("/api/runs/window/cells", json=body).status_code == 422
