"""Lights and their words: templates, contradictions, and texts that never change unnoticed.

`python -m tests.test_prompts` writes golden_prompts.json anew after a wording was changed on purpose.
"""

import json
import re
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import light as lights
from pipelines import prompts
from pipelines.errors import InputError
from pipelines.light import FIELDS, KINDS, FilmFormat, Hardness, Light, Pattern, Shot, implied_focal_mm
from pipelines.prompts import described, resolve, templates, words
from pipelines.recipe import FamilyName

GOLDEN = Path(__file__).with_name("golden_prompts.json")
FAMILIES: tuple[FamilyName, ...] = get_args(FamilyName)
SUBJECT = "a woman with short grey hair"
ASKED_FOR = {
    "window", "raking", "soft-wide", "rembrandt", "split", "tungsten", "neon", "overcast", "low-key", "soft-roll-off",
    "dark-skin", "make-up", "plain-hair", "crop-later", "age-25", "age-50", "age-75", "brief",
}  # fmt: skip
BARE: dict[str, Any] = {"subject": "a man", "shot": "close-up"}
EXAMPLES: dict[str, tuple[Any, Any]] = {
    "shot": ("close-up", "half-length"), "film_format": ("super 35", "large format"), "hardness": ("hard", "soft"),
    "direction": ("left-45", "right-45"), "pattern": ("rembrandt", "loop"), "forbidden": (("HDR",), ("ring light",)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own lights, empty at first."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = prompts.own_lights()
    assert tmp_path in folder.parents
    folder.mkdir(parents=True)
    return folder


def golden() -> dict[str, dict[str, dict[str, str | None]]]:
    return {
        name: {family: vars(words(light.but(subject=SUBJECT), family)) for family in FAMILIES}
        for name, light in templates().items()
    }


def bounds(field: str) -> tuple[float, float]:
    """Lowest and highest of a number field."""
    limits = {type(each).__name__: each for each in Light.model_fields[field].metadata}
    return limits["Ge"].ge, limits["Le"].le


def numbers() -> list[str]:
    return [field for field, kind in KINDS.items() if kind == "number"]


def test_every_asked_for_light_is_shipped_with_a_note_for_people() -> None:
    known = templates()
    assert known.keys() >= ASKED_FOR
    assert all(light.name == name and light.title and len(light.about) > 40 for name, light in known.items())


def test_texts_are_the_golden_ones() -> None:
    assert golden() == json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(ASKED_FOR))
def test_text_is_whole_and_in_the_manner_of_its_family(name: str) -> None:
    light = resolve(name, SUBJECT, {})
    sdxl, flux = words(light, "sdxl"), words(light, "flux")
    for text in (sdxl.prompt, flux.prompt):
        assert SUBJECT in text
        assert not re.search(r"None|[{}()\[\]]|\s\s|,\s*,|\.\.| ,|\bold\b", text, re.IGNORECASE), text
    assert ". " not in sdxl.prompt
    assert sdxl.negative
    assert "=>" not in sdxl.negative
    assert flux.negative is None
    assert not re.search(r"\b(no|not|without|never)\b", flux.prompt, re.IGNORECASE)
    assert re.fullmatch(r"([A-Z][^.]*(\d\.\d[^.]*)*\.\s?)+", flux.prompt), flux.prompt
    assert words(light, "flux2") == flux


@pytest.mark.parametrize("name", sorted(ASKED_FOR - {"brief"}))
def test_what_matters_is_said_first_and_plainly(name: str) -> None:
    light = resolve(name, SUBJECT, {})
    first = ", ".join(words(light, "sdxl").prompt.split(", ")[:9])
    assert re.search(rf"side light from the {light.side}\b", first)
    assert "pores" in first
    assert f"Side light from the {light.side} of the picture" in words(light, "flux").prompt
    if light.hardness and light.hardness != "medium":
        assert ("hard light" if light.hardness.startswith("hard") else "soft light") in first


@pytest.mark.parametrize("name", sorted(ASKED_FOR))
def test_side_of_the_key_is_named_in_no_other_field(name: str) -> None:
    """Else a sweep over the direction would put the light on both sides."""
    light = resolve(name, "", {"direction": "none", "pattern": "none"})
    for family in FAMILIES:
        assert not re.search(r"\b(left|right)\b", words(light, family).prompt)


def test_honest_brief_has_three_sentences() -> None:
    light = resolve("brief", SUBJECT, {})
    who, feel, forbidden = words(light, "flux").prompt.removesuffix(".").split(". ")
    assert SUBJECT in who
    assert light.place in who
    assert light.hour in who
    assert light.feel in feel
    assert "visible pores" in forbidden


def test_three_ages_stand_under_one_light() -> None:
    ages = [templates()[f"age-{age}"] for age in (25, 50, 75)]
    same = [
        light.model_dump(exclude={"name", "title", "age_years", "texture"}) | {"words": described(light)[13:]}
        for light in ages
    ]
    assert same[0] == same[1] == same[2]
    assert [light.age_years for light in ages] == [25, 50, 75]
    assert len({light.texture for light in ages}) == 3


def test_left_75_is_raking_light_from_the_left() -> None:
    light = resolve("window", SUBJECT, {"direction": "left-75"})
    assert "side light from the left, raking at 75 degrees" in words(light, "sdxl").prompt
    flux = words(light, "flux").prompt
    assert "Side light from the left of the picture rakes across the face at 75 degrees, almost straight from" in flux


@pytest.mark.parametrize(
    ("direction", "said"),
    [
        ("front", "frontal light"), ("left-10", "light from the left, close to the camera"),
        ("right-90", "side light from the right at 90 degrees, straight from the side"),
        ("left-120", "light from the left and from behind"), ("right-170", "backlight, a little from the right"),
        ("back", "backlight from straight behind"),
    ],
)  # fmt: skip
def test_direction_goes_all_around(direction: str, said: str) -> None:
    assert said in words(resolve("window", "", {"direction": direction}), "sdxl").prompt


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_is_an_axis_in_every_family(field: str) -> None:
    """Two values give two texts, whatever the template says besides."""
    if KINDS[field] == "number":
        low, high = bounds(field)
        pair: tuple[Any, Any] = (low, (low + high) / 2)
    else:
        pair = EXAMPLES.get(field, ("first thing", "second thing"))
    base = BARE | ({"direction": "left-45"} if field == "pattern" else {})
    for family in FAMILIES:
        assert len({words(Light.read(base | {field: value}), family) for value in pair}) == 2


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_numbers_anywhere_in_their_range_have_words_with_the_number(data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(numbers()))
    low, high = bounds(field)
    light = Light.read(BARE | {field: data.draw(st.sampled_from([low, high]) | st.floats(low, high))})
    for family in FAMILIES:
        text = words(light, family).prompt
        number = repr(abs(getattr(light, field))).removesuffix(".0")
        assert number in text or getattr(light, field) == 0, text
        assert "{" not in text


def test_every_choice_has_words() -> None:
    said = prompts.wording()["choices"]
    choices: dict[str, Any] = {"shot": Shot, "hardness": Hardness, "pattern": Pattern, "film_format": FilmFormat}
    assert {field: set(table) for field, table in said.items()} == {
        field: set(get_args(choice)) for field, choice in choices.items()
    }
    assert all({"tags", "sentences"} == set(phrase) for table in said.values() for phrase in table.values())
    assert prompts.wording()["families"].keys() == set(FAMILIES)


def test_every_field_stands_in_both_orders() -> None:
    said = prompts.wording()
    tags = " ".join(said["tags"]["order"])
    sentences = " ".join(part for sentence in said["sentences"]["order"] for part in sentence["parts"])
    for field in FIELDS:
        assert f"{{{field}}}" in sentences
        assert f"{{{field}}}" in tags or field == "forbidden"


def test_article_and_plural_follow_the_number() -> None:
    for mm, said in ((85, "an 85mm"), (50, "a 50mm"), (11, "an 11mm"), (18, "an 18mm"), (180, "a 180mm")):
        assert f"with {said} lens" in words(Light.read({"lens_mm": mm}), "flux").prompt
    assert "1 stop under" in words(Light.read({"fill_stops": 1}), "sdxl").prompt
    assert "1.5 stops under" in words(Light.read({"fill_stops": 1.5}), "sdxl").prompt


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("raking", {"source_cm": "200", "source_distance_m": "0.5"}, ["127 degrees", "up to 36", "hardness=soft"]),
        ("window", {"source_cm": "2"}, ["nearly a point", "source_cm from 13"]),
        ("split", {"direction": "front"}, ["needs the key 75 to 105", "direction is front", "pattern=none"]),
        ("split", {"direction": "none"}, ["needs a direction"]),
        ("window", {"lens_mm": "24", "camera_distance_m": "3"}, ["frames 450 cm", "close-up is 32 cm", "lens_mm=none"]),
        ("window", {"colour": "cyan"}, ["colour and colour_k", "colour=none"]),
        ("window", {"texture": "pores, anamorphic bokeh"}, ["speaks of the lens", "anamorphic"]),
        ("brief", {"margin_percent": "20"}, ["give shot too"]),
        ("window", {"direction": "left"}, ["left-DEGREES", "left-45"]),
        ("window", {"direction": "left-180"}, ["1 to 179"]),
        ("window", {"direction": "left-4.5"}, ["left-DEGREES"]),
        ("window", {"lens_mm": "85mm"}, ["lens_mm '85mm'", "mm, 8 to 1200"]),
        ("window", {"fill_stops": "nan"}, ["fill_stops"]),
        ("window", {"fill_stops": "9"}, ["fill_stops '9'", "0 to 8"]),
        ("window", {"hardness": "crisp"}, ["hardness 'crisp'", "'hard'", "'very soft'"]),
        ("window", {"place": "in a room."}, ["place", "ends with '.'"]),
        ("window", {"place": "in a\nroom"}, ["one line"]),
        ("window", {"directon": "left-45"}, ["'directon'", "near: direction"]),
        ("window", {"name": "x"}, ["'name' is not known"]),
        ("windw", {}, ["'windw'", "near: window", "sidelight prompt list"]),
    ],
)  # fmt: skip
def test_contradictions_and_slips_are_refused_in_one_line_that_says_what_to_change(
    name: str, fields: dict[str, str], said: list[str]
) -> None:
    with pytest.raises(InputError) as error:
        resolve(name, SUBJECT, fields)
    assert "\n" not in str(error.value)
    for part in said:
        assert part in str(error.value)


@pytest.mark.parametrize("fields", [{"hardness": "medium"}, {"source_cm": "none"}, {"source_distance_m": "10"}])
def test_what_is_only_taste_is_not_refused(fields: dict[str, str]) -> None:
    resolve("window", SUBJECT, fields)


def test_advice_of_a_refusal_is_accepted() -> None:
    with pytest.raises(InputError, match="source_cm up to 87"):
        resolve("window", "", {"hardness": "hard"})
    resolve("window", "", {"hardness": "hard", "source_cm": "87"})
    with pytest.raises(InputError, match="source_cm from 13"):
        resolve("window", "", {"source_cm": "12"})
    resolve("window", "", {"source_cm": "13"})


def test_none_unsays_a_field_and_subject_may_stay_the_templates() -> None:
    light = resolve("window", "", {"lens_mm": "none", "forbidden": "none"})
    assert (light.lens_mm, light.forbidden, light.subject) == (None, (), "a person")
    assert words(light, "sdxl").negative is None
    assert "85mm" not in words(light, "flux").prompt


def test_fields_in_any_order_and_number_spelling_give_the_same_light() -> None:
    one = resolve("window", SUBJECT, {"direction": "left-045", "fill_stops": "1.50"})
    two = resolve("window", SUBJECT, {"fill_stops": "1.5", "direction": "left-45"})
    assert one == two


def test_forbidden_is_a_negative_on_sdxl_and_its_positive_on_flux() -> None:
    light = resolve("window", SUBJECT, {"forbidden": "Plastic Skin; hats => a bare head; hats => a bare head"})
    assert words(light, "sdxl").negative == "Plastic Skin, hats, hats"
    assert words(light, "flux").prompt.endswith(
        "The photograph shows natural skin texture with visible pores and a bare head."
    )
    with pytest.raises(InputError, match=r"'hats' has no positive wording.*what is there instead"):
        words(resolve("window", SUBJECT, {"forbidden": "hats"}), "flux")
    with pytest.raises(InputError, match="near: plastic skin"):
        words(resolve("window", SUBJECT, {"forbidden": "plastik skin"}), "flux")


def test_implied_focal_length_is_the_lens_on_its_format_or_follows_from_the_distance() -> None:
    def focal(**fields: Any) -> float | None:
        return implied_focal_mm(Light.read(fields))

    assert focal(lens_mm=85) == 85
    assert focal(lens_mm=60, film_format="super 35") == pytest.approx(83.4, abs=0.1)
    assert focal(lens_mm=110, film_format="medium format") == pytest.approx(68.3, abs=0.1)
    assert focal(lens_mm=240, film_format="large format") == pytest.approx(68, abs=0.1)
    assert focal(shot="head and shoulders", camera_distance_m=1.3) == pytest.approx(36 * 1300 / 550)
    assert focal(shot="close-up", camera_distance_m=1, margin_percent=25) == pytest.approx(36 * 1000 / 400)
    assert focal(shot="close-up") is None
    assert "implied focal length 85 mm, 2x anamorphic" in described(Light.read({"lens_mm": 85, "anamorphic": 2}))


def test_anamorphic_is_kept_apart_from_texture_language() -> None:
    light = resolve("window", SUBJECT, {"anamorphic": "1.8"})
    plain = resolve("window", SUBJECT, {})
    for family, apart in (("sdxl", ", "), ("flux", " ")):
        text, before = words(light, family).prompt, words(plain, family).prompt  # type: ignore[arg-type]  # family names
        assert text.startswith(before + apart)
        assert "1.8x anamorphic" in text.removeprefix(before)


def test_shipped_lenses_agree_with_shot_and_distance() -> None:
    for light in templates().values():
        if light.lens_mm is not None:
            assert light.shot is not None
            assert light.camera_distance_m is not None
            seen = 36 * light.camera_distance_m * 100 / light.lens_mm
            assert seen == pytest.approx(lights.framed_cm(light.shot, light.margin_percent), rel=0.3)


def test_own_light_wins_by_name_and_is_read_again_when_changed(own: Path) -> None:
    (own / "window.toml").write_text('title = "Mine"\ndirection = "right-30"\n', encoding="utf-8")
    (own / "lamp.toml").write_text('source = "a lamp"\n', encoding="utf-8")
    assert resolve("window", "", {}).direction == "right-30"
    assert templates()["window"].title == "Mine"
    assert {"lamp", "window", "split"} <= set(prompts.names())
    (own / "window.toml").write_text('title = "Mine"\ndirection = "right-35"\n# longer\n', encoding="utf-8")
    assert resolve("window", "", {}).direction == "right-35"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('hardnes = "soft"', ["hardnes is not known", "near: hardness"]),
        ("lens_mm = [85]", ["lens_mm"]),
        ("lens_mm = 5", ["lens_mm 5", "8"]),
        ('name = "mine"', ["name is the file's own name"]),
        ('forbidden = ["a", 3]', ["forbidden.1 3"]),
        ("direction = left", ["no TOML"]),
        ('direction = "left-400"', ["direction 'left-400'", "1 to 179"]),
        ('hardness = "hard"\nsource_cm = 200\nsource_distance_m = 0.5', ["cannot be hard"]),
    ],
)
def test_wrong_own_file_is_one_line_with_file_and_key(own: Path, text: str, said: list[str]) -> None:
    path = own / "mine.toml"
    path.write_text(text, encoding="utf-8")
    for ask in (templates, lambda: resolve("mine", "", {})):
        with pytest.raises(InputError) as error:
            ask()
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
        assert all(part in str(error.value) for part in said), str(error.value)
    assert resolve("window", "", {}).name == "window", "one wrong file spoils no other light"


def test_bytes_that_are_no_text_and_odd_file_names_are_refused(own: Path) -> None:
    (own / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"mine\.toml: is no TOML"):
        resolve("mine", "", {})
    (own / "mine.toml").rename(own / "._mine.toml")
    templates()  # what macOS puts beside files is no template
    (own / "my light.toml").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="rename it"):
        templates()


def test_light_is_written_to_disk_and_read_back_the_same() -> None:
    for name, family in product(sorted(ASKED_FOR), FAMILIES):
        light = resolve(name, SUBJECT, {})
        again = Light.read(json.loads(light.model_dump_json()))
        assert again == light
        assert words(again, family) == words(light, family)


def test_caption_line_names_direction_hardness_and_implied_focal_length() -> None:
    light = resolve("raking", SUBJECT, {"direction": "right-80"})
    assert described(light) == (
        "light raking: right-80, hard, fill 3.5 stops under the key, 4800 K, implied focal length 100 mm"
    )
    assert described(Light.read({"name": "x"})) == "light x"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
