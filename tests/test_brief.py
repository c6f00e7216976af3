"""What the form of the Create tab means: flags, sizes, words, undo; a picture's recipe comes back as the same one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines import prompts
from pipelines.checkpoint import find
from pipelines.draft import Draft, Settled, settle
from pipelines.errors import InputError
from pipelines.foreign.mapping import text_of
from pipelines.recipe import Recipe
from sweeps.run import run
from sweeps.sweep import from_flags
from tests.pictures import NO_IMAGE
from tests.small import opener, prepared
from workbench.queue import Queue
from workbench.web import brief as meaning
from workbench.web import offer as offering
from workbench.web import readout as reading
from workbench.web.brief import EMPTY, FIRST, MOST_PICTURES, NAMES, Brief, Past
from workbench.web.offer import Offer
from workbench.web.site import Site
from workbench.web.tabs import create_fill

PLAIN = Brief(checkpoint="demo-sdxl", prompt="a face, side light")


def sdxl() -> Offer:
    return offering.of("demo-sdxl", find)


def flux() -> Offer:
    return offering.of("demo-flux", find)


def settled(brief: Brief, offer: Offer) -> Settled:
    return settle(meaning.sweep(brief, offer).base, find(offer.name), NO_IMAGE)


def draft_of(recipe: Recipe) -> Draft:
    """The draft that a picture's recipe is read as."""
    same = {"prompt", "negative", "seed", "width", "height", "steps", "guidance", "true_guidance", "guidance_interval",
            "spacing", "clip_skip", "text_tokens"}  # fmt: skip
    said = recipe.model_dump(include=same)
    return Draft(checkpoint=recipe.checkpoint.name, scheduler=text_of(recipe.scheduler), loras="none", **said)


def test_what_is_left_to_the_checkpoint_gives_no_flag() -> None:
    assert meaning.given(PLAIN, sdxl()) == {"checkpoint": ["demo-sdxl"], "prompt": ["a face, side light"]}


@pytest.mark.parametrize(
    "text",
    ["@/etc/passwd", "@@twice", 'a "quoted", face', "SKIP:all", " blanks ", "1..9:1", "two\nlines", "${x} {{y}}"],
)
def test_any_prompt_is_sent_letter_by_letter(text: str) -> None:
    brief = replace(PLAIN, prompt=text, negative=text)
    base = from_flags("any", meaning.given(brief, sdxl())).base
    assert (base.prompt, base.negative) == (text, text)
    light = replace(
        brief, light="window", subject="a man, 50", light_fields=json.dumps({"place": "in a hall, at noon"})
    )
    base = from_flags("any", meaning.given(light, sdxl())).base
    assert (base.light, base.subject, base.light_fields) == ("window", "a man, 50", (("place", "in a hall, at noon"),))


def test_seeds_are_exact_and_counted_up() -> None:
    largest = str(2**64 - 1)
    assert meaning.given(replace(PLAIN, seed=largest, pictures=8), sdxl())["seed"] == [largest]
    assert meaning.sweep(replace(PLAIN, seed=largest), sdxl()).base.seed == 2**64 - 1
    axis = meaning.sweep(replace(PLAIN, seed="18446744073709551612", pictures=4), sdxl()).axes[0]
    assert [values[0] for values in axis.values] == [2**64 - 4 + at for at in range(4)]
    with pytest.raises(InputError, match="go beyond"):
        meaning.sweep(replace(PLAIN, seed=largest, pictures=2), sdxl())
    for wrong in ("-1", "seven", "٣"):
        with pytest.raises(InputError, match="seed"):
            meaning.sweep(replace(PLAIN, seed=wrong, pictures=2), sdxl())


def test_a_decimal_comma_is_refused_and_not_made_two_pictures() -> None:
    with pytest.raises(InputError, match="guidance '4,5' means 2 values"):
        meaning.sweep(replace(PLAIN, guidance="4,5"), sdxl())
    assert meaning.sweep(replace(PLAIN, guidance="4.5"), sdxl()).base.guidance == 4.5


def test_fields_of_another_family_are_not_sent() -> None:
    everything = replace(
        PLAIN, negative="plastic", clip_skip="1", spacing="trailing", true_guidance="2", guidance_interval="0..0.6",
        text_tokens="32", guidance="3",
    )  # fmt: skip
    on_sdxl, on_flux = (
        meaning.given(everything, sdxl()),
        meaning.given(replace(everything, checkpoint="demo-flux"), flux()),
    )
    assert set(on_sdxl) - set(on_flux) == {"clip_skip", "spacing"}
    assert set(on_flux) - set(on_sdxl) == {"true_guidance", "text_tokens"}
    without = meaning.given(replace(everything, checkpoint="demo-flux", true_guidance=""), flux())
    assert not {"negative", "guidance_interval"} & set(without)


@pytest.mark.parametrize("offered", [sdxl, flux])
@pytest.mark.parametrize("light", ["", "window"])
@pytest.mark.parametrize("negative", ["", EMPTY, "plastic skin"])
def test_a_recipe_in_the_form_gives_the_same_recipe(offered: Callable[[], Offer], light: str, negative: str) -> None:
    offer = offered()
    brief = replace(
        PLAIN, checkpoint=offer.name, light=light, negative=negative, seed="12345678901234567890", steps="7",
        guidance="3.25", width="208", height="304", scheduler="heun", true_guidance="1.5" if negative else "",
        light_fields=json.dumps({"direction": "right-40", "fill": "none"}) if light else "",
    )  # fmt: skip
    first = settled(brief, offer)
    again = meaning.of_draft(draft_of(first.recipe), first.light, Brief(), family=offer.family)
    assert settled(again, offer).recipe == first.recipe
    assert again.light == light
    assert again.keep_seed


def test_a_light_that_writes_otherwise_by_now_becomes_the_prompt() -> None:
    light = prompts.resolve("window", "a man", {})
    other = meaning.of_draft(Draft(checkpoint="demo-sdxl", prompt="older words"), light, Brief(), family="sdxl")
    assert (other.light, other.prompt) == ("", "older words")


@pytest.mark.parametrize("name", ["demo-sdxl", "demo-flux", "sdxl-base"])
def test_ratios_fit_the_grid_and_the_pixels_of_the_checkpoint(name: str) -> None:
    offer = offering.of(name, find)
    likes = offer.defaults
    budget = likes.width * likes.height if likes else 1024 * 1024
    for ratio, (width, height) in offer.sizes().items():
        across, down = map(int, ratio.split(":"))
        assert width % offer.grid == height % offer.grid == 0
        assert 0.85 * budget <= width * height <= budget
        assert width * down / (height * across) == pytest.approx(1, rel=0.05)
    assert offer.sizes()["1:1"] == ((1024, 1024) if likes is None else (256, 256))


def test_schedulers_are_those_that_work_for_the_family() -> None:
    assert {"euler", "heun"} <= set(sdxl().schedulers("text-to-image"))
    for offer in (sdxl(), flux()):
        for name in offer.schedulers("img2img")[::6]:
            settled(replace(PLAIN, checkpoint=offer.name, scheduler=name, steps="8"), offer)
    assert len(flux().schedulers("text-to-image")) < len(sdxl().schedulers("text-to-image"))


def test_a_checkpoint_that_is_not_here_says_so_and_still_counts_words() -> None:
    offer = offering.of("sdxl-base", find)
    assert offer.can_pull
    assert "to be downloaded" in offer.state
    told = reading.read(Brief(checkpoint="sdxl-base", prompt="a face"), offer, NO_IMAGE)
    assert "not on this disk" in told.fault
    assert told.prompt
    assert told.prompt.counts[0].used == 2
    assert "neither a name" in offering.of("nonsense", find).fault
    assert "pick one" in offering.of("", find).fault


def words(pieces: Any) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize(
    "text", ["a beautiful woman 👩🏽, 8k", "perfect skin perfect skin", "", "not blurry, no make-up"]
)
def test_the_readout_holds_every_letter_and_marks_what_is_told(text: str) -> None:
    told = reading.read(replace(PLAIN, prompt=text), sdxl(), NO_IMAGE)
    assert told.prompt
    assert words(told.prompt.pieces) == text
    for number, remark in enumerate(told.remarks):
        if remark.field == "prompt":
            assert remark.text in words(piece for piece in told.prompt.pieces if piece.finding == number) or not text


def test_what_an_encoder_does_not_read_is_told_apart() -> None:
    long = ", ".join(f"word {number}" for number in range(200))
    told = reading.read(Brief(checkpoint="demo-flux", prompt=long), flux(), NO_IMAGE)
    assert told.prompt
    is_read = words(piece for piece in told.prompt.pieces if piece.is_read)
    assert is_read + told.prompt.counts[-1].dropped == long
    assert any("falls off" in warning for warning in told.warnings)


def test_remarks_that_are_heeded_are_gone() -> None:
    brief = replace(PLAIN, prompt="a beautiful woman, 8k, masterpiece")
    told = reading.read(brief, sdxl(), NO_IMAGE)
    assert told.mended
    assert not reading.read(reading.mended(brief, told.mended), sdxl(), NO_IMAGE).remarks


def test_a_light_that_cannot_be_is_told_without_words() -> None:
    brief = replace(FIRST, checkpoint="demo-sdxl", light_fields='{"direction": "sideways"}')
    told = reading.read(brief, sdxl(), NO_IMAGE)
    assert told.prompt is None
    assert "direction" in told.fault
    assert "\n" not in told.fault


def test_words_that_a_family_would_misread_are_refused_beside_the_words() -> None:
    told = reading.read(Brief(checkpoint="demo-flux", prompt="a face, (skin:1.3)"), flux(), NO_IMAGE)
    assert told.prompt
    assert words(told.prompt.pieces) == "a face, (skin:1.3)"
    assert "attention weight" in told.fault


def test_values_of_a_browser_are_taken_as_they_can_be() -> None:
    wild = [7, None, {"a": 1}, "x", "", None, [1], 3.5, "9", 1, 99, *[None] * (len(NAMES) - 11)]
    brief = Brief.of(wild)
    assert (brief.keep_seed, brief.pictures, brief.checkpoint, brief.light) == (False, 1, "7", "")
    assert Brief.of(brief.values) == brief
    assert Brief.of(replace(brief, pictures=MOST_PICTURES).values).pictures == MOST_PICTURES


@pytest.mark.parametrize("kept", [None, [], "text", {"prompt": 3, "nonsense": 1}, {"light_fields": "{not json"}])
def test_what_a_browser_kept_never_breaks_the_form(kept: object) -> None:
    assert isinstance(Brief.kept(kept).said_of_light, dict)


def test_a_kept_start_image_that_is_gone_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    assert Brief.kept({"start": str(path), "prompt": "a face"}) == Brief(prompt="a face")
    Image.new("RGB", (16, 16)).save(path)
    assert Brief.kept({"start": str(path)}).start == str(path)


def test_start_images_from_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "secret.png").write_bytes(b"")
    (tmp_path / "runs/link.png").symlink_to(tmp_path / "secret.png")
    meaning.refuse_elsewhere("", [tmp_path / "runs"])
    meaning.refuse_elsewhere(str(tmp_path / "runs/one/pictures/a.png"), [tmp_path / "runs"])
    for path in ("/etc/passwd", str(tmp_path / "runs/../secret.png"), str(tmp_path / "runs/link.png")):
        with pytest.raises(InputError, match="neither a picture"):
            meaning.refuse_elsewhere(path, [tmp_path / "runs"])


@pytest.fixture
def forms() -> tuple[Any, ...]:
    return tuple((f"form {number}",) for number in range(40))


def test_undo_goes_back_burst_by_burst(forms: tuple[Any, ...]) -> None:
    past = Past()
    for number, at in ((0, 0.0), (1, 5.0), (2, 5.4), (3, 6.2), (3, 30.0), (4, 40.0)):
        past = past.with_now(forms[number], at)
    assert past.forms == (forms[0], forms[3], forms[4])
    for number in range(40):
        past = past.with_now(forms[number], 100.0 + 10 * number)
    assert len(past.forms) == meaning.MOST_UNDONE


def test_runs_are_named_by_what_they_show() -> None:
    assert meaning.name_of(FIRST) == "window a woman with short grey hair"
    assert meaning.name_of(PLAIN) == "a face, side light"
    assert meaning.name_of(Brief()) == "picture"
    assert 0 <= int(meaning.new_seed()) < 2**32


def test_a_picture_of_a_run_is_handed_on_with_its_recipe_or_as_a_start_image(tmp_path: Path) -> None:
    site = Site(tmp_path, Queue(tmp_path / "queue.sqlite"))
    folder = tmp_path / "2026-01-02-small"
    ready = prepared(folder, guidance=(3, 4), seeds=(5, 2**64 - 1))
    list(run(ready, open_engine=opener([])))
    key, recipe = next((key, recipe) for key, recipe in ready.recipes.items() if recipe.seed > 5)
    path = str(folder / f"pictures/{key}.png")
    said = create_fill.handed("create", site, folder.name, key)
    assert set(said) == set(NAMES)
    assert (said["seed"], said["guidance"], said["prompt"]) == (str(2**64 - 1), f"{recipe.guidance:g}", "a face")
    assert create_fill.handed("sweep", site, folder.name, key) == said
    began = create_fill.handed("start", site, folder.name, key)
    assert began == {**said, "start": path, "strength": "0.6"}
    pulled = create_fill.handed("reference", site, folder.name, key)
    assert (pulled["start"], pulled["strength"]) == (path, "0.5")
    assert not {"prompt", "seed", "checkpoint", "steps"} & set(pulled)
    for run_name, wrong in ((folder.name, "0" * 16), ("..", key), ("nothing", key), (folder.name, "../../x")):
        with pytest.raises(InputError, match="no whole picture"):
            create_fill.handed("create", site, run_name, wrong)
    assert create_fill.address(path, site) == f"/pictures/{folder.name}/{key}.webp"
    assert create_fill.address(str(tmp_path / "queue.sqlite"), site) == ""


@pytest.mark.parametrize("sent", [None, [], "x", {"light": "nonsense"}, {"light": "window", "fields": None}])
def test_what_the_drawings_send_is_a_light_or_none(sent: object) -> None:
    assert create_fill.lit(sent) in (("", ""), ("window", ""))
    assert create_fill.lit({"light": "split", "fields": {"direction": "left-80"}}) == (
        "split", '{"direction": "left-80"}',
    )  # fmt: skip
