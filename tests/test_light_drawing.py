"""The drawing of a light shows where the key stands and what it does to a face, the same whenever it is drawn."""

import io
import os
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.light import Hardness, Light
from pipelines.prompts import templates
from workbench.web.light_drawing import svg

SVG = "{http://www.w3.org/2000/svg}"
MARKUP = '</svg><script>window.ran = 1</script>"\' onload="x" & \x00\x0b\ud800\uffff ü'


def points(drawing: str, name: str) -> NDArray[np.float64]:
    """Corners of the first path of a class, in its half's own units: x to the right of the picture, y down."""
    root = ET.fromstring(drawing)
    (half,) = (g for g in root.iter(f"{SVG}g") if g.get("class") == "set")
    turned = -1 if half[0].get("transform") == "scale(-1 1)" else 1
    (path, *_) = (each for each in half.iter(f"{SVG}path") if each.get("class") == name)
    pairs = re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d", ""))
    return np.array([(turned * float(x), float(y)) for x, y in pairs])


def lit(**fields: Any) -> Light:
    return Light(**{"direction": "left-45", "hardness": "medium", "fill_stops": 3} | fields)


@pytest.mark.parametrize("name", templates())
def test_every_template_draws(name: str) -> None:
    light = templates()[name]
    drawing = svg(light, size_px=96)
    root = ET.fromstring(drawing)
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("192", "96", "0 0 192 96")
    assert (root.get("role"), root.get("aria-label")) == ("img", light.title)
    assert root[0].tag == f"{SVG}title"
    assert root[1].tag == f"{SVG}desc"
    assert (light.direction or "not said") in (root[1].text or "")
    assert len(drawing) < 25_000
    assert "nan" not in drawing
    assert "id=" not in drawing, "two drawings on one page would share it"


def test_only_greys_are_used_and_nothing_is_fetched() -> None:
    drawing = svg(templates()["neon"], size_px=96)
    for colour in re.findall(r"#([0-9a-f]+)", drawing):
        assert len(set(re.findall(".." if len(colour) == 6 else ".", colour))) == 1
    assert not re.search(r"href|url\(|<style|<script", drawing)


def test_equal_lights_give_equal_text() -> None:
    assert svg(lit(), size_px=96) == svg(lit(), size_px=96)
    assert svg(lit(), size_px=96) != svg(lit(key_height_deg=40), size_px=96)


@pytest.mark.parametrize(
    ("direction", "across", "down"),
    [
        ("left-45", -1, 1),
        ("right-45", 1, 1),
        ("left-90", -1, 0),
        ("right-135", 1, -1),
        ("front", 0, 1),
        ("back", 0, -1),
    ],
)
def test_the_key_stands_where_the_direction_says(direction: str, across: int, down: int) -> None:
    """Seen from the head: left of the picture is left, towards the camera is down."""
    head = (0, -5)
    middle = points(svg(lit(direction=direction), size_px=96), "key").mean(axis=0) - head
    assert [int(np.sign(round(float(each)))) for each in middle] == [across, down]


@pytest.mark.parametrize("direction", ["45", "90", "140"])
def test_a_mirrored_light_gives_the_mirrored_drawing(direction: str) -> None:
    left, right = (svg(lit(direction=f"{side}-{direction}"), size_px=96) for side in ("left", "right"))
    assert left.count("scale(-1 1)") == 0
    assert right.count("scale(-1 1)") == 2
    assert right.replace(' transform="scale(-1 1)"', "").replace("right", "left") == left


def test_the_fill_stands_opposite_the_key() -> None:
    assert points(svg(lit(direction="left-60"), size_px=96), "fill")[:, 0].mean() > 10
    assert 'class="fill"' not in svg(Light(direction="left-60"), size_px=96)


def test_a_wider_source_is_drawn_wider_and_a_further_one_further_within_limits() -> None:
    def drawn(cm: float, metres: float) -> tuple[float, float]:
        corners = points(svg(Light(direction="left-90", source_cm=cm, source_distance_m=metres), size_px=96), "key")
        return float(np.ptp(corners[:, 1])), float(-corners[:, 0].mean())

    widths = [drawn(cm, 1.5)[0] for cm in (1, 30, 100, 160, 2000)]
    assert widths == sorted(widths)
    assert 3 < widths[0] < widths[-1] < 36
    aways = [drawn(60, metres)[1] for metres in (0.1, 0.5, 1, 2, 5, 100)]
    assert aways == sorted(aways)
    assert 16 < aways[0] < aways[-1] < 43


def test_harder_light_has_a_crisper_edge() -> None:
    order: tuple[Hardness, ...] = ("hard", "hard with soft roll-off", "medium", "soft", "very soft")
    layers = [svg(lit(hardness=hardness), size_px=96).count('class="beam"') for hardness in order]
    assert layers == sorted(set(layers))
    assert 'class="edge"' in svg(lit(hardness="hard"), size_px=96)
    assert 'class="edge"' not in svg(lit(hardness="soft"), size_px=96)


def test_text_is_only_text() -> None:
    drawing = svg(lit(title=MARKUP, name=MARKUP, source="<b>"), size_px=96)
    root = ET.fromstring(drawing)
    assert not list(root.iter(f"{SVG}script"))
    assert root[0].text == root.get("aria-label") == re.sub("[\x00\x0b\ud800\uffff]", "\ufffd", MARKUP)
    assert set(root.attrib) == {"width", "height", "viewBox", "role", "aria-label"}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[np.float64]]:
    """The right halves of some drawings as pixels, 0..1, seen by Chromium."""
    lights = {
        "left": lit(),
        "right": lit(direction="right-45"),
        "split": lit(direction="left-90", hardness="hard", key_height_deg=0, fill_stops=4),
        "rim": lit(direction="left-140", hardness="hard", fill_stops=4),
        "rembrandt": templates()["rembrandt"],
        "front": lit(direction="front"),
        "below": lit(direction="front", key_height_deg=-40),
    }
    page = tmp_path_factory.mktemp("drawings") / "page.html"
    drawings = "".join(f"<div>{svg(light, size_px=96)}</div>" for light in lights.values())
    page.write_text(f"<style>body {{ margin: 0 }} div {{ height: 96px }}</style>{drawings}")
    shot = np.asarray(Image.open(io.BytesIO(screenshot(page, 96 * len(lights)))).convert("L")) / 255
    return {name: shot[96 * at : 96 * (at + 1), 96:192] for at, name in enumerate(lights)}


def screenshot(page: Path, height: int) -> bytes:
    playwright = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        assert not os.environ.get("SIDELIGHT_REQUIRE_BROWSER"), "no chromium found, and the browser tests must run here"
        pytest.skip("no chromium found: install one to run the browser tests")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=flags)
        tab = browser.new_page(viewport={"width": 192, "height": height})
        tab.goto(page.as_uri())
        shot: bytes = tab.screenshot()
        browser.close()
    return shot


def patch(face: NDArray[np.float64], x: float, y: float) -> float:
    """Mean lightness of a small square; 0, 0 is the middle of the face, the border of the drawing is at 48."""
    column, row = round(48 + x), round(48 + y)
    return float(face[row - 2 : row + 3, column - 2 : column + 3].mean())


@pytest.mark.browser
def test_the_face_shows_the_pattern_of_its_light(faces: dict[str, NDArray[np.float64]]) -> None:
    assert np.abs(faces["left"] - faces["right"][:, ::-1])[8:88, 8:88].mean() < 0.01
    assert patch(faces["left"], -20, -14) > patch(faces["left"], 23, -14) + 0.3
    split = faces["split"]
    assert patch(split, -20, -20) > 0.7
    assert max(patch(split, x, y) for x in (12, 20) for y in (-24, 0, 16)) < 0.3
    triangle, around = (
        patch(faces["rembrandt"], 13, 3),
        (patch(faces["rembrandt"], 24, 8), patch(faces["rembrandt"], 14, 22)),
    )
    assert triangle > max(around) + 0.2
    rim = faces["rim"]
    assert rim[48, 18:30].max() > 0.6
    assert rim[48, 40:80].max() < 0.5
    assert patch(faces["front"], 0, -24) > patch(faces["below"], 0, -36) + 0.2
