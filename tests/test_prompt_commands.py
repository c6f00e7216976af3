"""`sidelight prompt list|show|lint` as a person meets them: final texts, tokens, where the light stands, advice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from pipelines import attention, prompts
from pipelines.errors import InputError
from pipelines.prompts import resolve, words
from workbench import prompt_commands

ROOT = Path(__file__).parent.parent
app = typer.Typer(rich_markup_mode=None)
app.command("list")(prompt_commands.prompt_list)
app.command("show")(prompt_commands.prompt_show)
app.command("lint")(prompt_commands.prompt_lint)


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def run(*said: str) -> Result:
    ended: Any = CliRunner().invoke(app, list(said))
    if isinstance(ended.exception, InputError):
        raise ended.exception
    assert ended.exit_code == 0, f"{ended.output}\n{ended.exception!r}"
    return ended


def told(*said: str) -> Any:
    return json.loads(run(*said, "--json").stdout)


def test_list_shows_every_light_and_where_own_ones_go() -> None:
    text = run("list").stdout
    for name in prompts.names():
        assert name in text
    assert str(prompts.own_lights()) in text.replace("\n", "")
    rows = {row["name"]: row for row in told("list")}
    assert rows["window"]["direction"] == "left-60"
    assert rows["window"]["implied_focal_mm"] == 85


def test_list_of_fields_has_a_meaning_for_each() -> None:
    assert {row["field"] for row in told("list", "--fields")} == prompts.FIELDS.keys()
    text = run("list", "--fields").stdout
    assert "source_cm" in text
    assert "(cm, 0.5 to 2000)" in text


def test_show_gives_the_final_text_of_each_family_with_tokens() -> None:
    shown = told("show", "window", "--subject", "a man", "--light.direction", "right-75", "--light.fill_stops", "1")
    light = resolve("window", "a man", {"direction": "right-75", "fill_stops": "1"})
    assert shown["light"] == light.model_dump(mode="json")
    assert shown["implied_focal_mm"] == 85
    for family in ("sdxl", "flux"):
        said, each = words(light, family), shown["families"][family]  # type: ignore[arg-type]  # family names
        assert (each["prompt"], each["negative"]) == (said.prompt, said.negative)
        counts = attention.count(None, family, said.prompt)  # type: ignore[arg-type]
        assert [(count["encoder"], count["used"]) for count in each["tokens"]] == [
            (count.encoder, count.used) for count in counts
        ]
    text = run(
        "show", "window", "--subject", "a man", "--light.direction", "right-75", "--light.fill_stops", "1"
    ).stdout
    assert words(light, "sdxl").prompt in text
    assert "without: smooth skin" in text
    assert "implied focal length 85 mm" in text
    assert "T5: " in text


@pytest.mark.parametrize(
    ("direction", "line"),
    [
        ("left-90", "left |*-----------------+------------------| right   left-90"),
        ("left-45", "left |---------*--------+------------------| right   left-45"),
        ("right-60", "left |------------------+-----------*------| right   right-60"),
        ("front", "left |------------------*------------------| right   front"),
        ("right-120", "left |------------------+-----------o------| right   right-120, from behind"),
        ("back", "left |------------------o------------------| right   back, from behind"),
    ],
)
def test_show_draws_where_the_light_stands(direction: str, line: str) -> None:
    assert line in run("show", "window", "--light.direction", f"{direction}").stdout
    assert "left |" not in run("show", "brief").stdout


def test_show_counts_any_text_and_says_what_falls_off() -> None:
    many = " ".join(f"word{number}" for number in range(400))
    text = run("show", "--prompt", many, "--family", "flux").stdout
    assert "falls off: " in text
    assert text.rstrip().endswith("word399")
    assert "chunks of 75; nothing falls off" in run("show", "--prompt", many, "--family", "sdxl").stdout
    short = told("show", "--prompt", "a portrait", "--negative", "hats", "--family", "sdxl")
    assert short["light"] is None
    assert short["families"]["sdxl"]["tokens"][0]["used"] == 2
    assert short["families"]["sdxl"]["negative"] == "hats"


def test_show_counts_with_a_checkpoints_own_vocabulary() -> None:
    own = told("show", "window", "--checkpoint", "demo-flux")["families"]
    assert list(own) == ["flux"]
    shipped = told("show", "window", "--family", "flux")["families"]
    assert own["flux"]["prompt"] == shipped["flux"]["prompt"]
    assert own["flux"]["tokens"] != shipped["flux"]["tokens"]


def test_what_one_family_cannot_say_does_not_hide_the_other() -> None:
    families = told("show", "window", "--light.forbidden", "hats")["families"]
    assert families["sdxl"]["negative"] == "hats"
    assert families["flux"]["prompt"] is None
    assert "no positive wording" in families["flux"]["fault"]
    assert "no positive wording" in run("show", "window", "--light.forbidden", "hats").stdout
    with pytest.raises(InputError, match="attention weight"):
        run("show", "--prompt", "a (hat:1.3)", "--family", "flux")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (["show"], "one of them"),
        (["show", "window", "--prompt", "x"], "one of them"),
        (["show", "--prompt", "x", "--subject", "y"], "fill a light"),
        (["show", "--prompt", "x", "--light.direction", "front"], "fill a light"),
        (["show", "window", "--negative", "x"], "forbidden"),
        (["show", "window", "--light.shot", "wide"], "close-up"),
        (["show", "window", "--light.direction", "left"], "left-45"),
        (["show", "windw"], "near: window"),
        (["show", "window", "--family", "sd15"], "allowed: sdxl, flux"),
        (["show", "window", "--checkpoint", "demo-sdxl", "--family", "flux"], "demo-sdxl is sdxl, not flux"),
        (["lint"], "one of them"),
        (["lint", "a cat", "--examples"], "one of them"),
        (["lint", "window", "--negative", "hats"], "a light says itself"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(said: list[str], reason: str) -> None:
    with pytest.raises(InputError) as error:
        run(*said)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_lint_shows_before_and_after_and_spans_in_json() -> None:
    text = "professional portrait of a stunning man"
    shown = run("lint", text).stdout
    assert f"before   {text}" in shown
    assert "after    portrait of a man, 85mm lens" in shown
    assert "after    portrait of a man. Photographed with an 85mm lens." in shown
    families = told("lint", text)
    assert list(families) == ["sdxl", "flux"]
    spans = [(finding["start"], finding["end"], finding["text"]) for finding in families["sdxl"]["findings"]]
    assert spans == [(0, 21, "professional portrait"), (27, 35, "stunning")]
    assert families["sdxl"]["before"]["prompt"] == text


def test_lint_reads_a_light_by_name_and_the_negative_of_flux() -> None:
    light = resolve("raking", "", {})
    families = told("lint", "raking")
    for family in ("sdxl", "flux"):
        assert families[family]["before"]["prompt"] == words(light, family).prompt  # type: ignore[arg-type]
        assert families[family]["findings"] == []
    (finding,) = told("lint", "a cat", "--negative", "ring light", "--family", "flux")["flux"]["findings"]
    assert finding["field"] == "negative"


def test_lint_has_three_worked_examples() -> None:
    text = run("lint", "--examples").stdout
    assert text.count("  before ") == text.count("  after ") == 3
    shown = told("lint", "--examples")
    assert len({example["title"] for example in shown}) == 3
    assert all(example["before"]["prompt"] != example["after"]["prompt"] for example in shown)
    said = " ".join(str(example["after"]) for example in shown)
    assert all(word in said for word in ("85mm", "unretouched", "visible skin texture, natural pores"))


def test_prompts_load_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from workbench import prompt_commands as p\n"
        "p.prompt_show('window', 'a man')\n"
        "p.prompt_lint('a beautiful man')\n"
        "heavy = ('torch', 'diffusers', 'transformers', 'peft', 'compel', 'cv2', 'huggingface_hub')\n"
        "print('loaded', [name for name in heavy if name in sys.modules])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.endswith("loaded []\n")


@pytest.mark.parametrize("name", prompts.names())
def test_what_matters_is_read_before_anything_falls_off(name: str) -> None:
    """Subject, light and skin stand in SDXL's first chunk; T5 reads every sentence."""
    light = resolve(name, "a woman of about forty with short grey hair and a scar on her chin", {})
    tags = words(light, "sdxl").prompt
    if light.texture:
        until = tags[: tags.index(light.texture) + len(light.texture)]
        assert all(count.used <= 75 for count in attention.count(None, "sdxl", until))
    assert all(count.chunks <= 3 for count in attention.count(None, "sdxl", tags))
    assert attention.count(None, "flux", words(light, "flux").prompt)[-1].dropped == ""
