"""`sidelight notes` and `--from-note` as a person meets them: kept from a run, by hand, undone, sent, started from."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from pipelines.errors import BusyError, InputError
from pipelines.files import put
from pipelines.prompts import resolve
from tests.noting import found_in, picture, plateau, window, window_run
from workbench import face_repair, notes, notes_commands, notes_parcel, notes_set_command, sweep_commands
from workbench.notes import Note, Pair, Window

app = typer.Typer(rich_markup_mode=None)
app.command("list")(notes_commands.list_notes)
app.command("show")(notes_commands.show)
app.command("set")(notes_set_command.set_note)
app.command("diff")(notes_commands.diff)
app.command("history")(notes_commands.history)
app.command("export")(notes_commands.export)
app.command("import")(notes_commands.import_note)
app.command("sweep")(sweep_commands.sweep_run)
app.command("repair")(face_repair.repair)


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def run(*said: str) -> Result:
    ended: Any = CliRunner().invoke(app, list(said))
    if isinstance(ended.exception, InputError | BusyError):
        raise ended.exception
    assert ended.exit_code == 0, f"{ended.output}\n{ended.exception!r}"
    return ended


def told(*said: str) -> Any:
    return json.loads(run(*said, "--json").stdout)


def note() -> Note:
    found = notes.read("demo-sdxl")
    assert found is not None
    return found


# set, show, history


def test_set_keeps_what_a_run_found_with_thumbnails(tmp_path: Path) -> None:
    window_run(tmp_path / "run")
    shown = run("set", "demo-sdxl", "--from-run", str(tmp_path / "run")).stdout
    assert "guidance window   3 to 6" in shown
    assert "only the demo" in shown
    for key in note().pictures:
        with Image.open(notes.thumbs() / f"{key}.webp") as small:
            assert (small.format, small.size) == ("WEBP", (256, 192))
    assert told("show", "demo-sdxl")["window"] == {"low": 3.0, "high": 6.0}
    assert "3 to 6" in run("list").stdout


def test_a_later_run_that_contradicts_needs_take_and_evidence_grows(tmp_path: Path) -> None:
    window_run(tmp_path / "one")
    window_run(tmp_path / "two", low=2, high=5)
    run("set", "demo-sdxl", "--from-run", str(tmp_path / "one"))
    with pytest.raises(
        InputError, match=r"window: 3 to 6 \(old\), 2 to 5 \(new\): say which holds with --take old, new"
    ):
        run("set", "demo-sdxl", "--from-run", str(tmp_path / "two"))
    assert note().window == Window(low=3, high=6)
    changed = told("set", "demo-sdxl", "--from-run", str(tmp_path / "two"), "--take", "window", "--dry-run")
    assert [each["field"] for each in changed["changed"]] == ["window", "evidence"]
    assert note().window == Window(low=3, high=6)
    run("set", "demo-sdxl", "--from-run", str(tmp_path / "two"), "--take", "new")
    assert note().window == Window(low=2, high=5)
    assert [each.run for each in note().evidence] == ["one", "two"]


def test_a_run_without_findings_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    key = picture(folder, guidance=4)
    with pytest.raises(InputError, match=r"no findings\.json yet; `sidelight findings"):
        run("set", "demo-sdxl", "--from-run", str(folder))
    found_in(folder, [window({"best": key}, state="none")])
    with pytest.raises(InputError, match="has no finding to keep"):
        run("set", "demo-sdxl", "--from-run", str(folder))
    window_run(folder)
    with pytest.raises(InputError, match="says nothing about demo-flux, but about demo-sdxl"):
        run("set", "demo-flux", "--from-run", str(folder))


def test_values_by_hand_change_what_they_say_and_add_to_lists() -> None:
    run("set", "demo-sdxl", "--steps", "24", "--guidance", "4", "--window", "3..6", "--light", "window", "--by", "Ann")
    run("set", "demo-sdxl", "--scheduler", "DPM++ 2M Karras", "--light", "rembrandt", "--remark", "hands are poor")
    run("set", "demo-sdxl", "--also", "--steps", "40", "--remark", "teeth too", "--forbid", "plastic skin")
    now = note()
    assert [pair.settings for pair in now.pairs] == [(24, 4.0, "dpmpp-2m-karras"), (40, None, "")]
    assert (now.lights, now.forbid, now.remarks) == (
        ("window", "rembrandt"),
        ("plastic skin",),
        "hands are poor\nteeth too",
    )
    assert now.by == "Ann"
    assert "guidance 9 lies above the window 3 to 6" in run("set", "demo-sdxl", "--guidance", "9").stderr
    run("set", "demo-sdxl", "--clear", "lights,remarks", "--light", "neon")
    assert (note().lights, note().remarks) == (("neon",), "")
    assert "says that already" in run("set", "demo-sdxl", "--light", "neon").stdout


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([], "nothing is said"),
        (["--light", "nolight"], "--light 'nolight' is no template"),
        (["--scheduler", "eulr"], "nearest: euler"),
        (["--window", "6..3"], "low 6 is above high 3"),
        (["--window", "6"], "--window '6': is no window; write LOW..HIGH"),
        (["--window", ".."], "needs low, high or both"),
        (["--also"], "--also is given without settings"),
        (["--take", "new", "--steps", "3"], "--take is given without --from-run"),
        (["--clear", "steps"], "--clear 'steps' is no field; allowed: pairs, window"),
        (["--from", "3"], "version 3 of the note of demo-sdxl is not there; there are: none yet"),
    ],
)
def test_what_cannot_be_set_is_refused_in_one_line(said: list[str], reason: str) -> None:
    notes.put(notes_set_command.empty("demo-sdxl").but(remarks="x"))
    with pytest.raises(InputError) as refused:
        run("set", "demo-sdxl", *said)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_flux_forbids_only_what_has_words_for_what_is_there_instead() -> None:
    with pytest.raises(InputError, match="no positive wording"):
        run("set", "demo-flux", "--forbid", "purple fog")
    run("set", "demo-flux", "--forbid", "purple fog => clear air")


def test_history_tells_each_change_and_any_version_can_be_brought_back() -> None:
    run("set", "demo-sdxl", "--steps", "24")
    run("set", "demo-sdxl", "--plateau", "20")
    run("set", "demo-sdxl", "--steps", "9", "--clear", "plateau")
    versions = told("history", "demo-sdxl")["versions"]
    assert [each["changed"] for each in versions] == [["plateau"], ["pairs", "plateau"]]
    run("set", "demo-sdxl", "--from", "2")
    assert (note().pairs[0].steps, note().plateau) == (24, 20)
    assert told("show", "demo-sdxl", "--version", "1")["plateau"] is None
    assert "3  until" in run("history", "demo-sdxl").stdout


def test_an_earlier_version_takes_the_place_of_a_file_that_was_broken_by_hand() -> None:
    run("set", "demo-sdxl", "--steps", "24")
    run("set", "demo-sdxl", "--plateau", "20")
    notes.path_of("demo-sdxl").write_text("steps = = 3")
    with pytest.raises(InputError, match="line 1"):
        run("set", "demo-sdxl", "--plateau", "30")
    run("set", "demo-sdxl", "--from", "1")
    assert (note().pairs[0].steps, note().plateau) == (24, None)
    assert notes.history("demo-sdxl")[-1].path.read_text() == "steps = = 3"
    assert "invalid value" in run("history", "demo-sdxl").stdout


def test_show_draws_the_markdown_of_a_file_that_was_changed_by_hand() -> None:
    run("set", "demo-sdxl", "--plateau", "20")
    path = notes.path_of("demo-sdxl")
    path.write_text(path.read_text().replace("plateau = 20", "plateau = 28"))
    assert "stop at 28" in run("show", "demo-sdxl").stdout
    assert "stop at 28" in path.with_suffix(".md").read_text()


def test_diff_holds_a_note_against_versions_files_and_others(tmp_path: Path) -> None:
    run("set", "demo-sdxl", "--steps", "24")
    with pytest.raises(InputError, match="has no earlier version"):
        run("diff", "demo-sdxl")
    run("export", "demo-sdxl", "--out", "sent.zip")
    run("set", "demo-sdxl", "--plateau", "20")
    assert told("diff", "demo-sdxl")["differences"][0]["field"] == "plateau"
    assert "plateau" in run("diff", "demo-sdxl", "sent.zip").stdout
    run("set", "demo-flux", "--steps", "8")
    assert "weights" in run("diff", "demo-sdxl", "demo-flux").stdout


def test_a_note_broken_by_hand_is_told_beside_the_others() -> None:
    run("set", "demo-sdxl", "--steps", "24")
    run("set", "demo-flux", "--steps", "8")
    notes.path_of("demo-flux").write_text('checkpoint = "demo-flux"\nfamily = "sd15"\n')
    ended = CliRunner().invoke(app, ["list"])
    assert ended.exit_code == 1
    assert "demo-sdxl" in ended.stdout
    assert "line 2: family 'sd15'" in ended.stderr


def test_a_checkpoint_without_a_note_names_those_that_have_one() -> None:
    with pytest.raises(InputError, match="none of any checkpoint yet"):
        run("show", "demo-flux")
    run("set", "demo-sdxl", "--steps", "24")
    with pytest.raises(InputError, match=r"no note of demo-flux \(there are notes of demo-sdxl\)"):
        run("show", "demo-flux")


# export, import


def test_an_exported_note_holds_no_path_and_no_name_but_the_one_said(tmp_path: Path) -> None:
    home = tmp_path / "home of ann"
    window_run(home / "run")
    (found,) = notes.from_findings(found_in(home / "run", _with_paths(home)), home / "run")
    notes.put(
        found.but(checkpoint=f"demo-sdxl+vae={home}/my vae.safetensors", by="Ann", remarks=f"see {home / 'x.png'}")
    )
    notes_name = f"demo-sdxl+vae={home}/my vae.safetensors"
    sent = told("export", notes_name, "--out", "sent.zip")
    assert sent["checkpoint"] == "demo-sdxl+vae=my vae.safetensors"
    with zipfile.ZipFile("sent.zip") as archive:
        texts = b"".join(archive.read(name) for name in archive.namelist())
    for secret in (str(tmp_path), "home of ann", "Ann"):
        assert secret.encode() not in texts
    run("export", notes_name, "--out", "said.toml", "--toml", "--by", "Ann")
    assert 'by = "Ann"' in Path("said.toml").read_text()
    with pytest.raises(InputError, match="is there already"):
        run("export", notes_name, "--out", "sent.zip")


def _with_paths(home: Path) -> list[Any]:
    key = picture(home / "run", guidance=4)
    start = str(home / "start.png")
    said = window({"best": key}, held=(("start", start),), sentence=f"From {start} guidance 3 to 6 keeps skin.")
    return [said]


def test_an_imported_note_says_where_it_comes_from_and_shows_its_conflicts(tmp_path: Path) -> None:
    window_run(tmp_path / "run")
    run("set", "demo-sdxl", "--from-run", str(tmp_path / "run"), "--plateau", "24")
    run("export", "demo-sdxl", "--out", "sent.zip", "--by", "Ann")
    own = note()
    assert "says all of it already" in run("import", "sent.zip").stdout
    assert note() == own
    for path in notes.folder().rglob("*.*"):
        path.unlink()
    shown = run("import", "sent.zip").stdout
    assert "from another machine: imported" in shown
    assert "from Ann" in shown
    assert (notes.thumbs() / f"{own.pairs[0].key}.webp").is_file()
    run("set", "demo-sdxl", "--plateau", "30")
    with pytest.raises(InputError, match=r"plateau: 30 \(ours\), 24 \(theirs\)"):
        run("import", "sent.zip")
    run("import", "sent.zip", "--take", "theirs", "--dry-run")
    assert note().plateau == 30
    run("import", "sent.zip", "--take", "theirs")
    assert note().plateau == 24


def test_a_note_of_another_family_is_not_taken() -> None:
    run("set", "demo-sdxl", "--steps", "24")
    run("export", "demo-sdxl", "--out", "sent.toml", "--toml")
    with pytest.raises(InputError, match="is about sdxl, demo-flux is flux"):
        run("import", "sent.toml", "--as", "demo-flux")


def test_what_is_no_exported_note_is_refused_and_nothing_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        run("import", "nothing.zip")
    Path("broken.zip").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(InputError, match="no note that was exported"):
        run("import", "broken.zip")
    Path("picture.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match="no UTF-8 text"):
        run("import", "picture.png")
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("note.toml", b"#" * (notes_parcel.LARGEST_NOTE + 1))
    with pytest.raises(InputError, match="larger than 2000 kB"):
        run("import", "bomb.zip")
    window_run(tmp_path / "run")
    run("set", "demo-sdxl", "--from-run", str(tmp_path / "run"))
    key = note().pictures[0]
    put({tmp_path / "evil.zip": notes_parcel.packed(note(), notes.thumbs())})
    with zipfile.ZipFile("evil.zip", "a") as archive:
        archive.writestr("../../escaped.txt", "x")
        archive.writestr("thumbs/extra.webp", "x")
    run("import", "evil.zip")
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not list(tmp_path.rglob("extra.webp"))
    with zipfile.ZipFile("script.zip", "w") as archive:
        archive.writestr("note.toml", notes.path_of("demo-sdxl").read_text())
        archive.writestr(f"thumbs/{key}.webp", "<svg onload=x>")
    with pytest.raises(InputError, match="is no WebP picture"):
        run("import", "script.zip")


# --from-note


def sweep(*said: str) -> tuple[Any, str]:
    ended = run("sweep", *said, "--from-note", "--out", "made", "--dry-run", "--json")
    return json.loads(ended.stdout), ended.stderr


def test_a_sweep_takes_what_is_not_said_from_the_note_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    run("set", "demo-sdxl", "--steps", "7", "--guidance", "3", "--light", "window", "--forbid", "purple fog")
    plan, lines = sweep("--checkpoint", "demo-sdxl", "--subject", "a woman", "--guidance", "2,4")
    assert (plan["cells"], plan["evaluations"]) == (2, 14)
    assert "): steps 7, light window, forbidden purple fog\n" in lines
    assert "note: only the demo" in lines
    assert (
        run("sweep", "--checkpoint", "demo-sdxl", "--prompt", "x", "--from-note", "--dry-run", "--quiet").stderr == ""
    )


def test_what_the_note_forbids_joins_what_the_light_forbids() -> None:
    run("set", "demo-sdxl", "--forbid", "purple fog")
    from pipelines.draft import Draft

    draft, _ = notes.start_from(note(), Draft(checkpoint="demo-sdxl", light="window", subject="a woman"))
    light = resolve("window", "a woman", dict(draft.light_fields))
    assert set(light.forbidden) == {*resolve("window", "a woman", {}).forbidden, "purple fog"}


def test_without_a_note_or_in_a_begun_run_from_note_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--from-note: there is no note of demo-sdxl; keep one"):
        sweep("--checkpoint", "demo-sdxl", "--prompt", "x")
    run("set", "demo-sdxl", "--steps", "7")
    with pytest.raises(InputError, match="there is no note of demo-flux"):
        sweep("--checkpoint", "demo-sdxl,demo-flux", "--prompt", "x")
    Path("file.toml").write_text('checkpoint = "demo-sdxl"\nprompt = "x"\nseed = [1, 2]\n')
    plan, _ = sweep("file.toml")
    assert plan["evaluations"] == 14
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun/sweep.toml").write_text(Path("file.toml").read_text())
    with pytest.raises(InputError, match="--from-note is for a new run"):
        run("sweep", "begun", "--from-note", "--dry-run")


def test_a_repair_takes_steps_guidance_and_scheduler_alone(tmp_path: Path) -> None:
    notes.put(notes_set_command.empty("demo-sdxl").but(pairs=(Pair(steps=10, guidance=3),), lights=("window",)))
    Image.new("RGB", (256, 256), "grey").save("photo.png")
    Image.new("L", (256, 256), 255).save("mask.png")
    said = ["repair", "photo.png", "--mask", "mask.png", "--checkpoint", "demo-sdxl", "--dry-run", "--from-note"]
    ended = run(*said, "--strength", "0.5", "--guidance", "2")
    assert "): steps 10\n" in ended.stderr
    assert "5 network evaluations" in ended.stdout
    with pytest.raises(InputError, match="--from-note takes one checkpoint, not demo-sdxl, demo-flux"):
        run(*said, "--checkpoint", "demo-flux")


def test_plateau_and_window_in_one_run_make_one_pair(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    key = picture(folder, guidance=4, steps=24)
    found_in(folder, [window({"best": key}), plateau({"plateau": key})])
    run("set", "demo-sdxl", "--from-run", str(folder))
    assert (note().pairs[0].settings, note().pairs[0].key) == ((24, 4.0, "euler"), key)
