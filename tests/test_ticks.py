"""Marks counted along an axis: numbers with what they are out of, and pairs only where asked."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sweeps import marks
from sweeps.grid import GridCell
from sweeps.marks import Mark
from sweeps.run import run
from sweeps.ticks import FaultCount, ticks
from tests.small import opener, prepared
from tests.test_places import NAME
from workbench.queue import Queue
from workbench.web.routes import api
from workbench.web.site import Site
from workbench.web.ticks_routes import routes


def cell(number: int, *place: int) -> GridCell:
    key = f"{number:016x}"
    return GridCell(place, key, f"pictures/{key}.png", "done")


CELLS = [cell(2 * column + row, column, row) for column in range(2) for row in range(2)]


def mark(number: int, **said: object) -> dict[str, Mark]:
    key = f"{number:016x}"
    return {key: Mark.read({"key": key} | said)}


MARKS = {
    **mark(0, pick="pick", stars=4, faults=["eyes"]),
    **mark(1, pick="reject", stars=1, faults=["eyes", "hands"]),
    **mark(2, stars=2, remark="wax"),
    **mark(3),  # all taken back
}


def test_every_value_is_counted_with_its_n() -> None:
    one, other = ticks(0, ("good", "bad"), CELLS, MARKS)
    assert (one.label, one.pictures, one.marked, one.picked, one.rejected, one.starred) == ("good", 2, 2, 1, 1, 2)
    assert one.mean_stars == 2.5
    assert one.faults == (FaultCount(fault="hands", pictures=1), FaultCount(fault="eyes", pictures=2))
    assert (other.pictures, other.marked, other.mean_stars, other.faults) == (2, 1, 2.0, ())


def test_another_axis_counts_the_same_marks_otherwise() -> None:
    one, other = ticks(1, ("1", "2"), CELLS, MARKS)
    assert [one.marked, other.marked, other.rejected, other.mean_stars] == [2, 1, 1, 1.0]


def test_pairs_leave_out_what_has_no_marked_counterpart() -> None:
    one, other = ticks(0, ("good", "bad"), CELLS, MARKS, is_paired=True)
    assert (one.pictures, one.marked, one.rejected) == (1, 1, 0)
    assert (other.pictures, other.marked) == (1, 1)


def test_a_picture_at_several_places_counts_once() -> None:
    cells = [cell(0, 0, 0), cell(0, 0, 1), cell(0, 1, 0)]
    one, other = ticks(0, ("a", "b"), cells, MARKS)
    assert (one.pictures, one.marked, other.pictures) == (1, 1, 1)


def test_nothing_marked_has_no_mean() -> None:
    (only,) = ticks(0, ("a",), CELLS[:2], {})
    assert (only.pictures, only.marked, only.mean_stars) == (2, 0, None)


@pytest.fixture
def page(tmp_path: Path) -> TestClient:
    ready = prepared(tmp_path / "runs" / NAME, guidance=(2, 4), seeds=(1, 2))
    assert list(run(ready, open_engine=opener([], bad=frozenset({max(ready.keys)}))))
    marks.append(ready.folder, Mark(key=min(ready.keys), stars=5, faults=("neck",)))
    app = api(tmp_path / "runs")
    app.router.routes.extend(routes(Site(tmp_path / "runs", Queue(tmp_path / "queue.sqlite"))))
    return TestClient(app)


def test_route_counts_a_run_and_names_the_axes_there_are(page: TestClient) -> None:
    said = page.get(f"/api/ticks/{NAME}").json()
    assert said["axes"] == ["picture"], "the checkpoint of this run is not here: its pictures lie in a row"
    assert sum(row["pictures"] for row in said["rows"]) == 3
    assert sum(row["marked"] for row in said["rows"]) == 1
    refused = page.get(f"/api/ticks/{NAME}?axis=colour")
    assert (refused.status_code, refused.json()["error"]) == (
        422, "axis 'colour' does not vary in this run; these do: picture"
    )  # fmt: skip
    assert page.get("/api/ticks/nowhere").status_code == 404


def test_the_page_ticks_the_faults_there_are_in_their_order() -> None:
    script = Path(__file__).parent.parent / "workbench/web/components/marks_bar.js"
    told = re.search(r"const FAULTS = \[(.+)\];", script.read_text())
    assert told
    assert tuple(re.findall(r"\w+", told[1])) == marks.FAULTS
