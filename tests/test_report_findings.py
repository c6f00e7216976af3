"""The report's top: what was found in words, pictures and curves, nothing that was not, and no network asked."""

import io
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sweeps import charts, crops, report, report_words
from sweeps import findings as kept
from sweeps.findings import Findings
from sweeps.journal import Spent
from sweeps.places import Places
from tests import told
from tests.photographs import collins
from tests.told import findings, key, nothing, window

MARKUP = '</script><script>window.ran = 1</script><img src=x onerror="window.ran = 1"> | *stars* _and_ [links](x)'


def written(folder: Path, what: Findings, *, finds_faces: bool = False, **grid: Any) -> tuple[str, str]:
    """report.html and report.md of a small run with these findings; where faces are not looked for, a cheek is set."""
    if not finds_faces:
        set_cheek(folder)
    paths = report.tell(told.grid(folder, **grid), folder, findings=what)
    assert [path.name for path in paths] == ["report.html", "report.md", "findings.json"]
    return paths[0].read_text(), paths[1].read_text()


def set_cheek(folder: Path) -> None:
    (folder / "places.json").write_text(json.dumps(Places(cheek=(0.5, 0.5, 0.2, 0.2)).model_dump(exclude_none=True)))


def texts(page: str, kind: str) -> list[str]:
    """Inner text of every element of a class."""
    found = re.findall(rf'<(\w+) class="{kind}"[^>]*>(.*?)</\1>', page, re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]+>", " ", inner)).split()) for _, inner in found]


def test_what_was_found_stands_before_what_was_not_in_five_sentences_at_most(tmp_path: Path) -> None:
    many = [nothing(), *(window(checkpoint=f"model {number}", sentence=f"Sentence {number}.") for number in range(6))]
    page, _ = written(tmp_path, findings(*many))
    lead = page[: page.index('<ul class="cards"')]
    said = texts(lead, "said")
    assert said == ["Sentence 0.", "Sentence 1.", "Sentence 2.", "Sentence 3.", "3 more below: 2 found, 1 no finding."]
    assert page.count('class="finding"') == 7


def test_no_finding_says_why_and_which_cells_would_settle_it(tmp_path: Path) -> None:
    page, text = written(tmp_path, findings(nothing()))
    assert texts(page, "more") == ["Two more seeds would tell. (4 cells)"]
    assert "No finding: two seeds are too few." in page
    assert "no finding" in texts(page, "state none")
    command = f"sidelight findings {tmp_path} --add --budget 4"
    assert f"```sh\n{command}\n```" in text
    assert command in [
        " ".join(unescape(re.sub("<[^>]+>", "", each)).split()) for each in re.findall("<code>(.*?)</code>", page)
    ]


def test_the_first_caution_stands_beside_its_sentence(tmp_path: Path) -> None:
    page, text = written(tmp_path, findings(window(cautions=("eyes are 43 px apart", "another sigma"))))
    assert texts(page, "care") == ["eyes are 43 px apart"]
    assert "keeps the skin. *eyes are 43 px apart*" in text


def test_a_run_without_any_finding_says_so(tmp_path: Path) -> None:
    page, text = written(tmp_path, findings())
    assert texts(page, "said") == [
        "There is nothing to compare yet: no axis of this run was measured over several seeds."
    ]
    assert "nothing to compare yet" in text


def test_what_to_run_next_is_only_what_there_is_to_do(tmp_path: Path) -> None:
    told.journal(tmp_path)
    run = str(tmp_path)

    def next_of(what: Findings, **grid: Any) -> list[tuple[str, str]]:
        lines = report.journal.read(tmp_path).lines
        return [
            (each.text, each.words)
            for each in report_words.told(what, told.grid(tmp_path, **grid), lines, tmp_path).commands
        ]

    assert next_of(findings(window(kind="engine"))) == []
    assert [text for text, _ in next_of(findings(window()))] == [f"sidelight notes set demo-sdxl --from-run {run}"]
    failed, measure, add = next_of(findings(nothing(), measured=1), failed=1)
    assert failed == (f"sidelight sweep run {run}", "Try the 1 that failed again")
    assert measure == (f"sidelight findings {run} --measure", "Measure the 2 pictures that were not, then look again")
    assert add[1] == "Add the 4 pictures that would settle what is open, about 8.0 s"


def test_no_text_becomes_markup_and_no_style_stands_inline(tmp_path: Path) -> None:
    what = window(
        sentence=MARKUP,
        checkpoint=MARKUP,
        held=(("steps", MARKUP[:30]),),
        cautions=(MARKUP,),
        pictures=(told.shown("best", 1, MARKUP),),
    )
    page, text = written(tmp_path, findings(what).but(validated=MARKUP, title=MARKUP))
    assert page.count("<script") == 2
    assert "<img src=x" not in page
    assert not re.search(r"<[^>]* style=", page)
    assert MARKUP in texts(page, "said")
    prose = re.sub("```.*?```", "", text, flags=re.DOTALL)
    assert "<script" not in prose.replace("\\<script", "")
    assert "\\*stars\\*" in text


def test_five_pictures_are_the_first_of_each_role_and_a_pair(tmp_path: Path) -> None:
    pair = window(
        kind="scheduler",
        between=("euler", "heun"),
        pictures=(told.shown("a", 1), told.shown("b", 2), told.shown("best", 3)),
    )
    plateau = window(kind="step-plateau", pictures=(told.shown("plateau", 2), told.shown("engraved", 3)))
    grid = told.grid(tmp_path)
    done = {cell.key: cell for cell in grid.cells}
    names = {cell.key: report_words.name_of(cell, grid) for cell in grid.cells}
    cards = report_words.cards((window(), plateau, pair), done, names)
    assert [card.title for card in cards] == ["Best", "Edge of mud", "Edge of plastic", "Plateau", "euler / heun"]
    assert [[shot.key for shot in card.shots] for card in cards] == [
        [key(1)],
        [key(0)],
        [key(3)],
        [key(2)],
        [key(1), key(2)],
    ]
    there = {each: done[each] for each in (key(0), key(1))}
    assert [card.title for card in report_words.cards((window(), plateau, pair), there, names)] == [
        "Best",
        "Edge of mud",
    ]


def test_two_engines_stand_against_each_other() -> None:
    engines = window(kind="engine", between=("demo-sdxl", "demo-flux"))
    assert report_words.about(engines) == "demo-sdxl against demo-flux · steps 20"
    assert report_words.about(window(held=(("prompt", "a face " * 20),))) == "demo-sdxl"


def test_a_picture_is_named_unless_its_words_name_it(tmp_path: Path) -> None:
    grid = told.grid(tmp_path)
    cell = grid.cells[1]
    names = {cell.key: report_words.name_of(cell, grid)}
    for words, name in (("in the middle", "guidance 2 · seed 7"), ("guidance 2, seed 7: in the middle", "")):
        (card,) = report_words.cards((window(pictures=(told.shown("best", 1, words),)),), {cell.key: cell}, names)
        assert card.shots[0].name == name


# ---- curves


def attributes(svg: str, kind: str) -> list[dict[str, str]]:
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(rf'<\w+ class="{kind}"[^>]*>', svg)]


def test_the_window_is_shaded_from_the_point_at_its_low_end_to_the_one_at_its_high() -> None:
    curve = told.curve()
    svg = charts.svg(curve, charts.marked(window(), curve))
    (shade,) = attributes(svg, "window")
    points = [float(each["cx"]) for each in attributes(svg, "point")]
    assert float(shade["x"]) == points[1]
    assert float(shade["x"]) + float(shade["width"]) == pytest.approx(points[2])
    assert len(attributes(svg, "edge")) == 2
    assert ">2 to 4<" in svg


def test_an_end_that_was_not_reached_is_dashed_and_at_the_edge_of_the_plot() -> None:
    curve = told.curve()
    svg = charts.svg(curve, charts.marked(window(state="open", high=None), curve))
    (dashed,) = attributes(svg, "edge open")
    assert dashed["d"].startswith(f"M{charts.WIDTH - charts.RIGHT} ")
    assert len(attributes(svg, "edge")) == 1
    assert ">2 to …<" in svg
    assert charts.marked(window(state="none"), curve) is None


def test_a_plateau_is_marked_from_the_count_to_stop_at() -> None:
    curve = told.curve()
    svg = charts.svg(curve, charts.marked(window(kind="step-plateau", high=None), curve))
    assert ">stop at 2<" in svg
    assert len(attributes(svg, "edge")) == 1
    assert not attributes(svg, "edge open")


def test_intervals_are_drawn_to_scale_and_one_seed_has_none() -> None:
    svg = charts.svg(told.curve())
    (first, *_), (point, *_) = attributes(svg, "interval"), attributes(svg, "point")
    top, bottom = map(float, re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", first["d"])[0])
    assert top < float(point["cy"]) < bottom
    assert bottom - float(point["cy"]) == pytest.approx(float(point["cy"]) - top, abs=0.2)
    alone = told.curve(n=1)
    assert not attributes(charts.svg(alone), "interval")
    assert "one seed" in charts.table(alone)


def test_photographs_range_is_a_band_where_it_is_near_and_words_where_it_is_not() -> None:
    assert attributes(charts.svg(told.curve()), "photographs")
    assert charts.photographs(told.curve()) == "photographs 2.1 to 7"
    far = told.curve("slope", (-3.1, -3.0, -3.0, -2.9))
    assert not attributes(charts.svg(far), "photographs")
    assert charts.photographs(far) == "photographs −0.7 to 0.5, all above this plot"
    assert charts.photographs(told.curve("unheard_of")) == ""


@pytest.mark.parametrize("values", [(3.0, 3.0, 3.0, 3.0), (0.0, 0.0, 0.0, 0.0), (-5000.0, 1.0, 2.0, 1e6)])
def test_every_curve_stays_inside_its_picture(values: tuple[float, ...]) -> None:
    curve = told.curve("halo", values)
    svg = charts.svg(
        curve.but(points=tuple(each.but(estimate=told.estimate(each.estimate.value, 0)) for each in curve.points))
    )
    for each in attributes(svg, "point"):
        assert 0 <= float(each["cx"]) <= charts.WIDTH
        assert 0 <= float(each["cy"]) <= charts.HEIGHT
    assert "nan" not in svg
    assert "inf" not in svg.replace("interval", "")


def test_whoever_cannot_see_the_curve_is_told_every_number(tmp_path: Path) -> None:
    page, text = written(tmp_path, findings(window()))
    label = unescape(re.findall(r'role="img" aria-label="([^"]*)"', page)[0])
    for at, value in zip(("1", "2", "4", "6"), ("1.8", "3", "3.2", "5.5"), strict=True):
        assert f"{at}: {value} (" in label
        assert f'<tr><th scope="row">{at}</th><td>{value}</td>' in page
        assert f"| {at} | {value} |" in text
    assert "n 6" in label


def test_effects_are_factors_where_the_measure_is_a_ratio() -> None:
    assert report_words.effect("texture", told.estimate(-1.0, 0)) == "× 0.5 (0.5 to 0.5)"
    assert report_words.effect("halo", told.estimate(0.25, 0.05)) == "+0.25 (0.2 to 0.3)"


def test_names_on_an_axis_have_no_line_between_them() -> None:
    curve = told.curve()
    named = curve.but(points=tuple(point.but(label=f"dpmpp-2m number {point.label}") for point in curve.points))
    svg = charts.svg(named, charts.marked(window(), named))
    assert not attributes(svg, "curve")
    assert not attributes(svg, "window")
    assert len(attributes(svg, "point")) == 4


def test_ticks_are_round_and_between() -> None:
    assert [text for _, text in charts.ticks(-0.31, 0.12)] == ["−0.3", "−0.2", "−0.1", "0.0", "0.1"]
    assert [text for _, text in charts.ticks(0, 41)] == ["0", "10", "20", "30", "40"]


# ---- crops


def where_it_lies(picture: NDArray[np.uint8], part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What of a picture is most like a part of it, as large as that."""
    distances = cv2.matchTemplate(picture, np.ascontiguousarray(part), cv2.TM_SQDIFF)
    _, _, (left, top), _ = cv2.minMaxLoc(distances)
    return picture[top : top + part.shape[0], left : left + part.shape[1]]


def test_a_cheek_is_the_pictures_own_pixels_without_loss(tmp_path: Path) -> None:
    told.grid(tmp_path, told.portrait())
    (crop,) = crops.cheeks(tmp_path, {key(0): f"pictures/{key(0)}.png"}).values()
    assert (crop.zoom, crop.is_found) == (1, True)
    cut = np.asarray(Image.open(tmp_path / crop.path))
    assert cut.shape == (crop.height, crop.width, 3)
    np.testing.assert_array_equal(where_it_lies(told.portrait(), cut), cut)


def test_all_cheeks_are_of_one_side_and_a_picture_without_a_face_is_cut_where_the_first_is(tmp_path: Path) -> None:
    grid = told.grid(tmp_path, faceless=(2,))
    cut = crops.cheeks(tmp_path, {cell.key: cell.picture or "" for cell in grid.cells})
    assert [cut[key(number)].is_found for number in range(4)] == [True, True, False, True]
    assert {crop.zoom for crop in cut.values()} == {3}
    what = findings(window(pictures=(told.shown("best", 1), told.shown("mud", 2))))
    page, _ = written(tmp_path, what, finds_faces=True, faceless=(2,))
    assert page.count("where the others have it: no face found") == 1


def test_both_pictures_of_a_pair_show_the_same_cheek_whichever_is_lit(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    light = np.linspace(1, 0.2, 256)[None, :, None]
    lit = [(collins() * each).astype(np.uint8) for each in (light, light[:, ::-1])]
    for number, pixels in enumerate(lit):
        Image.fromarray(pixels).save(tmp_path / f"pictures/{number}.png")
    for order in ("01", "10"):
        cut = crops.cheeks(tmp_path, {key(int(at)): f"pictures/{at}.png" for at in order})
        middles = [left_of(lit[at], np.asarray(Image.open(tmp_path / cut[key(at)].path))) for at in (0, 1)]
        assert abs(middles[0] - middles[1]) < 20
        is_right = middles[0] > 100
        assert is_right == (order == "10")


def left_of(picture: NDArray[np.uint8], part: NDArray[np.uint8]) -> float:
    """The middle column of a part in a picture."""
    found = cv2.minMaxLoc(cv2.matchTemplate(picture, np.ascontiguousarray(part), cv2.TM_SQDIFF))[2]
    return float(found[0] + part.shape[1] / 2)


def test_damaged_places_do_not_stop_a_report(tmp_path: Path) -> None:
    (tmp_path / "places.json").write_text("{")
    page, _ = written(tmp_path, findings(window()), finds_faces=True)
    assert "cheek, 300 %" in page


def test_a_run_without_faces_has_no_cheeks_and_says_so(tmp_path: Path) -> None:
    page, _ = written(tmp_path, findings(window()), finds_faces=True, faceless=(0, 1, 2, 3))
    assert page.count("no face found, so no cheek is shown") == 3
    assert not (tmp_path / "crops").exists()


def test_the_cheek_that_a_person_set_goes_first(tmp_path: Path) -> None:
    told.grid(tmp_path, faceless=(0,))
    set_cheek(tmp_path)
    (crop,) = crops.cheeks(tmp_path, {key(0): f"pictures/{key(0)}.png"}).values()
    assert crop.is_found
    assert crops.window((1000, 1000), (0.5, 0.5, 0.2, 0.2)) == ((300, 360, 900, 840), 1)
    assert crops.window((256, 256), (0.0, 0.9, 0.0, 0.1))[1] == 3


def test_cheeks_that_no_finding_shows_any_more_go_away(tmp_path: Path) -> None:
    written(tmp_path, findings(window()))
    (tmp_path / "crops" / "by-hand.png").write_bytes(b"mine")
    written(tmp_path, findings(window(pictures=(told.shown("best", 2),))))
    assert sorted(path.name for path in (tmp_path / "crops").iterdir()) == [f"{key(2)}-cheek.png", "by-hand.png"]


# ---- files


def test_equal_inputs_give_equal_bytes_and_findings_are_read_back(tmp_path: Path) -> None:
    told.journal(tmp_path)
    set_cheek(tmp_path)
    what = findings(window(), nothing(), votes=3)
    first = [path.read_bytes() for path in report.write(told.grid(tmp_path), tmp_path, findings=what)]
    assert [path.read_bytes() for path in report.write(told.grid(tmp_path), tmp_path, findings=what)] == first
    assert kept.read(tmp_path) == what


def test_the_contact_sheet_is_not_drawn_again_for_findings(tmp_path: Path) -> None:
    report.write(told.grid(tmp_path), tmp_path)
    (tmp_path / "contact-sheet.png").write_bytes(b"the sheet of the run")
    written(tmp_path, findings(window()))
    assert (tmp_path / "contact-sheet.png").read_bytes() == b"the sheet of the run"


def test_every_picture_that_the_markdown_links_to_is_there(tmp_path: Path) -> None:
    _, text = written(tmp_path, findings(window()))
    links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(links) == 6
    assert all((tmp_path / link).is_file() for link in links)


def test_failed_cells_stand_with_their_reasons(tmp_path: Path) -> None:
    page, text = written(tmp_path, findings(window()), failed=2)
    assert page.count(f"<td>{told.REASON}</td>") == 2
    assert f"| guidance 6 · seed 7 | {told.REASON.replace('_', chr(92) + '_')} |" in text


def test_energy_is_told_where_the_device_tells_it_and_its_lack_where_not(tmp_path: Path) -> None:
    told.journal(tmp_path)
    page, _ = written(tmp_path, findings(window()))
    assert "the device does not tell; only seconds are counted" in page
    gpu = Spent(phase="making", seconds=3600, cpu_seconds=90, joules=1_260_000, device="NVIDIA H100")
    told.journal(tmp_path, gpu, Spent(phase="measuring", seconds=5, cpu_seconds=4.2))
    page, text = written(tmp_path, findings(window()))
    assert "1 h 0 min, 1 min 30 s of CPU, 350 Wh on NVIDIA H100, the whole board" in page
    assert "5.0 s, 4.2 s of CPU" in text
    assert "does not tell" not in page


@pytest.mark.parametrize(("joules", "text"), [(812, "812 J"), (51_000, "14.2 Wh"), (4_716_000, "1.31 kWh")])
def test_joules_are_worded_as_people_pay_them(joules: float, text: str) -> None:
    assert report_words.energy(joules) == text


# ---- seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("found & kept")
    told.journal(folder)
    report.tell(told.grid(folder, told.portrait(), failed=1), folder, findings=findings(window(), nothing()))
    return folder


@pytest.fixture
def tab(browser: Any, folder: Path) -> Iterator[Any]:
    """The report in a tab; fails the test if the page asked for anything but files or complained."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    tab = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto((folder / "report.html").as_uri())
    yield tab
    assert not complaints
    assert all(url.startswith("file:") for url in asked)
    context.close()


@pytest.mark.browser
def test_the_report_opens_with_its_words_and_keys_reach_the_grid_only_when_it_is_in_sight(tab: Any) -> None:
    assert tab.evaluate("scrollY") == 0
    assert tab.get_by_text("Guidance 2 to 4 keeps the skin.").first.is_visible()
    tab.keyboard.press("c")
    assert tab.locator("#compare").is_hidden()
    tab.locator("#app").evaluate("app => app.scrollIntoView()")
    tab.keyboard.press("c")
    tab.locator("#compare").wait_for()


@pytest.mark.browser
def test_compare_on_a_card_opens_its_picture_in_the_grid(tab: Any) -> None:
    tab.locator(".compare", has_text="Compare").nth(1).click()
    tab.locator("#compare").wait_for()
    assert tab.locator("#panes .view img").get_attribute("src") == f"pictures/{key(0)}.png"
    assert tab.evaluate("Math.abs(document.querySelector('#app').getBoundingClientRect().top)") < 2


@pytest.mark.browser
@pytest.mark.parametrize("density", [1, 1.5])
def test_a_cheek_shows_one_pixel_of_the_picture_on_one_of_the_display(
    browser: Any, folder: Path, density: float
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, device_scale_factor=density)
    tab = context.new_page()
    tab.goto((folder / "report.html").as_uri())
    cheek = tab.locator(".cheek").first
    cheek.scroll_into_view_if_needed()
    tab.evaluate("for (const word of document.querySelectorAll('.cheek span')) word.hidden = true")
    box = cheek.evaluate("e => { const b = e.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom] }")
    left, top, right, bottom = (round(each * density) for each in box)
    seen: NDArray[np.uint8] = np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB"))[
        top:bottom, left:right
    ]
    cut = np.asarray(Image.open(folder / f"crops/{key(1)}-cheek.png"))
    middle = seen[seen.shape[0] // 2 - 100 :, seen.shape[1] // 2 - 100 :][:200, :200]
    np.testing.assert_array_equal(where_it_lies(cut, middle), middle)
    context.close()


FAINT = """() => {
        const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
            .map((s) => s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4)
            .reduce((sum, s, at) => sum + s * [0.2126, 0.7152, 0.0722][at], 0);
        const ground = (e) => { const c = parts(getComputedStyle(e).backgroundColor);
            return (c[3] ?? 1) > 0.5 || !e.parentElement ? c : ground(e.parentElement); };
        const faults = [];
        for (const e of document.querySelectorAll('#told *, #rest *')) {
            const isText = e.tagName === 'text';
            if (!(isText ? e.textContent : e.innerText)?.trim() || !e.checkVisibility()) continue;
            const style = getComputedStyle(e), colour = parts(isText ? style.fill : style.color);
            const [dark, bright] = [light(colour), light(ground(e))].sort((x, y) => x - y);
            if ((bright + 0.05) / (dark + 0.05) < 4.5) faults.push([e.tagName, e.textContent, colour]);
        }
        return faults;
    }"""
"""Words and labels with too little contrast against what lies behind them."""


@pytest.mark.browser
def test_the_words_have_contrast_on_screen_and_on_paper(tab: Any) -> None:
    for media in ("screen", "print"):
        tab.emulate_media(media=media)
        assert tab.evaluate(FAINT) == [], media


@pytest.mark.browser
def test_no_width_makes_the_page_scroll_sideways(tab: Any) -> None:
    for width in (360, 820, 1280, 1760):
        tab.set_viewport_size({"width": width, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_the_words_need_no_script(browser: Any, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((folder / "report.html").as_uri())
    for words in ("window light", "Guidance 2 to 4 keeps the skin.", told.VALIDATED, told.REASON):
        assert tab.get_by_text(words).first.is_visible()
    assert tab.locator("svg.chart").count() == 1
    assert not tab.get_by_role("button", name="Copy").count()
    context.close()
