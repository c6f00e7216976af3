"""The lights as the page gets them, and the pictures that were made last; the picker alone on a bare page."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from pipelines import prompts
from pipelines.checkpoint import find
from pipelines.recipe import Recipe
from sweeps.run import run
from tests import bare_page
from tests.bare_page import FAULTS, press
from tests.small import opener, prepared
from workbench.jobs import INTERACTIVE, OVERNIGHT, Asked
from workbench.queue import Queue
from workbench.web import lights_routes
from workbench.web.last import MOST, Last
from workbench.web.routes import api
from workbench.web.site import Site

MARKUP = bare_page.MARKUP


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "runs").mkdir()
    return Site(tmp_path / "runs", Queue(tmp_path / "queue.sqlite"), start_worker=lambda _: None)


def client(site: Site) -> TestClient:
    return TestClient(api(site.runs, lookup=find, more=lights_routes.routes(site)), raise_server_exceptions=False)


def made(site: Site, name: str, *, priority: int = INTERACTIVE) -> None:
    """A run of four small pictures whose job has ended."""
    folder = site.runs / name
    list(run(prepared(folder, guidance=(3, 4), seeds=(5, 6)), open_engine=opener([])))
    site.queue.add(Asked(folder, name, cells=4, priority=priority))
    claimed = site.queue.claim()
    assert claimed
    site.queue.end(claimed, "done")


def test_every_light_comes_with_its_drawing_and_its_fields(site: Site) -> None:
    answer = client(site).get("/api/lights").json()
    assert [light["name"] for light in answer["lights"]] == list(prompts.names())
    for light in answer["lights"]:
        assert ElementTree.fromstring(light["svg"]).tag.endswith("svg")
        assert prompts.resolve(light["name"], "", light["values"]) == prompts.resolve(light["name"], "", {})
    assert [field["name"] for field in answer["fields"]] == list(prompts.FIELDS)
    hardness = next(field for field in answer["fields"] if field["name"] == "hardness")
    assert "very soft" in hardness["choices"]
    assert not hardness["is_free"]


def test_a_field_said_otherwise_is_drawn_otherwise_or_refused_in_one_line(site: Site) -> None:
    page = client(site)
    plain, turned = (page.get("/api/lights/window", params=said).json() for said in ({}, {"direction": "right-70"}))
    assert plain["svg"] != turned["svg"]
    assert "right-70" in turned["told"]
    for said in ({"direction": "sideways"}, {"nonsense": "1"}, {"age_years": MARKUP}):
        answer = page.get("/api/lights/window", params=said)
        assert answer.status_code == 422
        assert "\n" not in answer.json()["error"]
    assert page.get("/api/lights/..%2fwindow").status_code in (404, 422)


def test_last_pictures_are_those_that_somebody_waited_for_newest_first(site: Site) -> None:
    made(site, "2026-01-02-night", priority=OVERNIGHT)
    made(site, "2026-01-03-first")
    made(site, "2026-01-04-second")
    answer = client(site).get("/api/pictures?last=6").json()
    assert [each["run"] for each in answer["pictures"]] == ["2026-01-04-second"] * 4 + ["2026-01-03-first"] * 2
    page = client(site)
    for each in answer["pictures"]:
        assert page.get(each["picture"]).headers["content-type"] == "image/png"
        assert dict(each["values"])["prompt"] == "a face"
    assert answer["jobs"] == []
    for wrong in ("0", str(MOST + 1), "-1", "many", "1e1"):
        assert page.get(f"/api/pictures?last={wrong}").status_code == 422


def test_jobs_are_told_while_they_are_open_and_the_last_one_if_it_failed(site: Site) -> None:
    job = site.queue.add(Asked(site.runs / "2026-01-02-new", "new", cells=1, priority=INTERACTIVE))
    site.queue.add(Asked(site.runs / "2026-01-02-night", "night", cells=9))
    page = client(site)
    assert [each["state"] for each in page.get("/api/pictures").json()["jobs"]] == ["waiting"]
    claimed = site.queue.claim()
    assert claimed and claimed.id == job.id  # noqa: PT018  # the second needs the first
    assert [each["state"] for each in page.get("/api/pictures").json()["jobs"]] == ["running"]
    site.queue.end(claimed, "failed", "memory ran out\nlower the size")
    assert page.get("/api/pictures").json()["jobs"][0]["error"] == "memory ran out; lower the size"
    made(site, "2026-01-05-later")
    assert page.get("/api/pictures").json()["jobs"] == []


def test_damaged_and_trashed_runs_are_left_out_and_estimates_come_from_what_was_made(site: Site) -> None:
    last = Last(site)
    made(site, "2026-01-03-first")
    made(site, "2026-01-04-second")
    sidecar = next((site.runs / "2026-01-04-second/pictures").glob("*.json"))
    recipe = Recipe.read(json.loads(sidecar.read_text())["recipe"])
    for path in (site.runs / "2026-01-04-second/pictures").glob("*.json"):
        said = json.loads(path.read_text())
        path.write_text(json.dumps({**said, "circumstances": {**said["circumstances"], "seconds": {"made": 6.0}}}))
    seconds = last.seconds(recipe)
    assert seconds == pytest.approx(6.0)
    assert last.seconds(recipe.but(steps=recipe.steps * 3)) == pytest.approx(18.0)
    assert last.seconds(recipe.but(width=512)) is None
    sidecar.write_text("{")
    assert len(last.answer(24).pictures) == 7
    (site.runs / "2026-01-03-first").rename(site.runs / ".gone")
    assert len(last.answer(24).pictures) == 3


# The picker alone.

FIELDS = [
    {"name": "direction", "kind": "name", "meaning": "where", "choices": ["left-45", "front"], "is_free": True},
    {"name": "hardness", "kind": "name", "meaning": "edge", "choices": ["hard", "soft"], "is_free": False},
    {"name": "source_cm", "kind": "number", "meaning": "width", "choices": [], "is_free": True},
]
MOUNT = """async ({lights, fields}) => {
    const { mount } = await import("/lights.js");
    document.head.append(Object.assign(document.createElement("link"), {rel: "stylesheet", href: "/lights.css"}));
    window.chosen = []; window.drawn = [];
    const one = async (name, said) => { drawn.push([name, said]); return lights.find((each) => each.name === name); };
    window.lights = mount(document.getElementById("place"), {
        source: {all: async () => ({lights, fields}), one}, onChoose: (said) => chosen.push(said)});
}"""


def light(name: str, title: str) -> dict[str, Any]:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="192" height="96"><rect width="192" height="96"/></svg>'
    values = {"direction": "left-60", "hardness": "soft"}
    return {"name": name, "title": title, "about": title, "told": title, "subject": "", "svg": svg, "values": values}


LIGHTS = [light("window", "Window"), light("split", MARKUP), light("neon", "Neon")]


@pytest.fixture(scope="module")
def served() -> Iterator[bare_page.Site]:
    with bare_page.served() as site:
        yield site


@pytest.fixture
def picker(browser: Any, served: bare_page.Site) -> Iterator[Callable[[], Any]]:
    with bare_page.tabs(browser, served) as open_page:

        def opened() -> Any:
            tab = open_page()
            tab.evaluate(MOUNT, {"lights": LIGHTS, "fields": FIELDS})
            tab.wait_for_selector(".sl-head[data-light=neon]")
            return tab

        yield opened


@pytest.mark.browser
def test_lights_are_chosen_by_click_and_by_arrows(picker: Callable[[], Any]) -> None:
    tab = picker()
    tab.click(".sl-head[data-light=window]")
    press(tab, "ArrowRight", "End", "Home")
    said = [each["light"] for each in tab.evaluate("chosen")]
    assert said == ["window", "split", "neon", ""]
    assert tab.evaluate("document.activeElement.ariaChecked") == "true"
    assert tab.evaluate("document.querySelectorAll('[role=radio][tabindex=\"0\"]').length") == 1
    assert tab.evaluate("window.ran") is None
    assert not tab.is_visible(".sl-light-panel")


@pytest.mark.browser
def test_fields_said_otherwise_are_sent_drawn_and_taken_back(picker: Callable[[], Any]) -> None:
    tab = picker()
    tab.click(".sl-head[data-light=window]")
    tab.fill(".sl-light-main input", "right-70")
    press(tab, "Tab")
    tab.select_option(".sl-light-main select", "hard")
    assert tab.evaluate("chosen.at(-1)") == {"light": "window", "fields": {"direction": "right-70", "hardness": "hard"}}
    tab.wait_for_function("drawn.length && drawn.at(-1)[1].hardness === 'hard'")
    tab.select_option(".sl-light-main select", "")
    tab.fill(".sl-light-main input", "left-60")  # as the template has it
    press(tab, "Tab")
    assert tab.evaluate("chosen.at(-1)") == {"light": "window", "fields": {}}


@pytest.mark.browser
def test_what_python_says_is_shown(picker: Callable[[], Any]) -> None:
    tab = picker()
    tab.evaluate("lights.show({light: 'split', fields: {source_cm: '20'}, fault: 'cannot be so'})")
    assert tab.inner_text(".sl-light-panel b") == MARKUP
    assert tab.inner_text(".sl-fault") == "cannot be so"
    assert "1 said otherwise" in tab.inner_text("summary")
    assert tab.evaluate("window.ran") is None
    assert tab.evaluate("chosen") == []
    assert tab.evaluate(FAULTS) == []
