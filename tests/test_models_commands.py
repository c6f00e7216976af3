"""`sidelight models` as a person meets it: list, pull, verify, add, remove, each in plain words and as JSON."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from fake_hub import FakeHub, serving
from safetensors.numpy import save_file
from test_fetch import BIG, FOLDER, placed, tree
from typer.testing import CliRunner

from pipelines import listing
from pipelines.downloads import lockfile
from pipelines.errors import SidelightError
from workbench import models_commands

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent

app = typer.Typer(pretty_exceptions_enable=False)
for name in ("pull", "verify", "add", "remove"):
    app.command(name)(getattr(models_commands, name))
app.command("list")(models_commands.list_models)


def main() -> None:
    """Entry point of a child process: as workbench.cli's, for this group alone."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        app()
    except SidelightError as error:
        typer.echo(f"sidelight: {error}", err=True)
        sys.exit(error.exit_code)


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own list, with rows that the hub of these tests holds."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SIDELIGHT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    own = listing.own_list()
    own.parent.mkdir(parents=True)
    own.write_text(
        "base  sdxl  hf:owner/repo@main  variant=fp16 licence=mine\n"
        "quick  sdxl  hf:owner/repo@main/film.safetensors  base=base licence=mine\n"
        "shut  flux  hf:owner/shut@main  licence=theirs gated=yes\n"
    )
    return own


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with serving({**FOLDER, "film.safetensors": BIG}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def run(*words: str, code: int = 0) -> str:
    """What the command prints, on both streams; its exit code must be `code`."""
    ended = CliRunner().invoke(app, list(words))
    if isinstance(ended.exception, SidelightError):
        assert ended.exception.exit_code == code, ended.exception
        assert "\n" not in str(ended.exception)
        return f"{ended.output}{ended.exception}"
    assert ended.exit_code == code, f"{ended.output}\n{ended.exception!r}"
    return ended.output


def told(*words: str, code: int = 0) -> Any:
    ended = CliRunner().invoke(app, [*words, "--json"])
    assert ended.exit_code == code, f"{ended.output}\n{ended.exception!r}"
    return json.loads(ended.stdout)


# list


def test_the_list_fits_80_columns_and_says_what_is_where(hub: FakeHub, models: Path) -> None:
    run("pull", "base", "--yes")
    text = run("list")
    lines = {line.split()[0]: line for line in text.splitlines() if line and line[0] != " "}
    assert lines["base"].split()[1:4] == ["sdxl", "checkpoint", "here"]
    assert f"    {placed(models, '')}\n" in text
    assert "gated" in lines["shut"]
    assert "gated" in lines["flux-dev-q4"]  # its base is
    assert "to be downloaded" in lines["sdxl-base"]
    assert all(len(line) <= 80 for line in text.splitlines() if line.split()[:1] and line.split()[0] in listing.rows())


def test_the_list_as_json_can_be_narrowed() -> None:
    every = told("list")
    assert {one["name"] for one in every} == listing.rows().keys()
    (demo,) = [one for one in every if one["name"] == "demo-sdxl"]
    assert (demo["state"], demo["family"], demo["licence"]) == ("here", "sdxl", "Apache-2.0")
    assert demo["bytes"] > 1_000_000
    vaes = told("list", "--kind", "vae", "--family", "sdxl")
    assert {one["name"] for one in vaes} == {"sdxl-vae-fp16-fix"}
    assert "kind vaee is not known; allowed: checkpoint" in run("list", "--kind", "vaee", code=2)


def test_a_row_whose_path_is_gone_is_missing(own: Path) -> None:
    own.write_text("gone sdxl dir:nowhere\n")
    assert [one["state"] for one in told("list") if one["name"] == "gone"] == ["missing"]


# pull and verify


def test_pull_says_how_much_it_is_then_fetches_and_checks(hub: FakeHub, models: Path) -> None:
    text = run("pull", "base", "--yes")
    assert "files to fetch" in text
    assert f"in all, into {models}" in text
    assert "is here: " in text
    assert text.index("in all") < text.index("is here: ")
    assert "already here" in run("pull", "base")
    assert told("verify") == {"files": len(tree(placed(models, ""))), "faults": []}
    (one,) = told("pull", "base")["pulled"]
    assert (one["source"], one["folder"]) == ("hf:owner/repo@main", str(placed(models, "")))


def test_a_file_with_a_base_brings_what_the_base_gives(hub: FakeHub, models: Path) -> None:
    run("pull", "quick", "--yes")
    assert listing.rows()["quick"].place() == placed(models, "film.safetensors")
    assert listing.rows()["base"].place() is None
    assert listing.rows()["base"].place_beside() == placed(models, "")
    assert not [path for path in hub.requests() if "unet/diffusion" in path]
    states = {one["name"]: one["state"] for one in told("list")}
    assert (states["quick"], states["base"]) == ("here", "to be downloaded")


def test_nobody_to_ask_means_yes_must_be_said(hub: FakeHub, models: Path) -> None:
    assert "give --yes" in run("pull", "base", code=2)
    assert not models.exists()


def test_what_lies_here_anyway_is_told() -> None:
    assert "demo-sdxl lies on this disk" in run("pull", "demo-sdxl")
    assert "neither a name" in run("pull", "demo-sdx", code=2)


def test_a_gated_model_is_told_in_one_line(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gated, hub.token = (401, "GatedRepo"), "hf_right"
    assert "accept its licence at https://huggingface.co/owner/repo, log in with `hf auth login`" in run(
        "pull", "base", "--yes", code=2
    )
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert "hf_right" not in run("pull", "base", "--yes")


def test_verify_finds_a_changed_byte_and_pull_mends_it(hub: FakeHub, models: Path) -> None:
    run("pull", "base", "--yes")
    path = placed(models, "vae/diffusion_pytorch_model.safetensors")
    path.write_bytes(bytes(path.stat().st_size))
    text = run("verify", "base", code=1)
    assert "vae/diffusion_pytorch_model.safetensors: damaged" in text
    assert "sidelight models pull" in text
    assert "incomplete" in run("list")
    hub.asked.clear()
    run("pull", "base", "--yes")
    assert len(hub.requests("resolve")) == 1
    assert told("verify", "base")["faults"] == []
    path.unlink()
    assert told("verify", code=1)["faults"] == [{"file": str(path), "reason": "missing"}]


def test_nothing_pulled_is_told() -> None:
    assert "0 models, 0 files read" in run("verify")
    assert "base was not pulled" in run("verify", "base", code=2)


def child(*words: str, **more: Any) -> subprocess.Popen[bytes]:
    code = f"import sys; sys.path[:0] = [{str(HERE)!r}, {str(ROOT)!r}]; from test_models_commands import main; main()"
    return subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, env=os.environ, **more)


def test_ctrl_c_keeps_what_came_and_the_next_pull_goes_on(hub: FakeHub, models: Path) -> None:
    hub.faults["film.safetensors"] = ["stall:150000"]
    process = child("pull", "quick", "--yes")
    assert hub.stalled.wait(60)
    while not (came := [path.stat().st_size for path in models.rglob("*.part")]) or max(came) < 150000:
        assert process.poll() is None
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert b"sidelight: stopped; what came is kept, and the same command goes on from there" in text
    hub.released.set()
    run("pull", "quick", "--yes")
    assert hub.sent["film.safetensors"] == len(BIG)


def test_a_person_can_say_no(hub: FakeHub, models: Path) -> None:
    mine, theirs = pty.openpty()
    process = child("pull", "base", stdin=theirs)
    os.write(mine, b"n\n")
    _, text = process.communicate(timeout=60)
    os.close(mine)
    os.close(theirs)
    assert process.returncode == 130, text
    assert b"fetch?" in text
    assert b"nothing was fetched" in text
    assert tree(models) == {}


# add and remove


def test_add_looks_through_a_folder_and_says_what_came_of_it(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    save_file({"decoder.conv_in.weight": np.zeros((8, 4, 3, 3), np.float16)}, shelf / "soft.safetensors")
    (shelf / "old.ckpt").write_bytes(b"never read")
    text = run("add", str(shelf))
    assert f"added soft  file:{shelf}/soft.safetensors" in text
    assert "not added: " in text
    assert "old.ckpt is a pickle" in text
    assert "1 added to " in text
    again = told("add", str(shelf))
    assert (again["added"], list(again["listed_before"]), len(again["refused"])) == ({}, ["soft"], 1)
    assert "listed before as soft" in run("add", str(shelf / "soft.safetensors"))
    only = told("add", str(shelf / "old.ckpt"), code=1)
    assert (only["added"], len(only["refused"])) == ({}, 1)


def test_add_takes_a_hub_source_and_a_row_with_options() -> None:
    source = "hf:owner/portrait-lora@main/film.safetensors"
    assert list(told("add", source, "--family", "sdxl", "--kind", "lora")["added"]) == ["film"]
    assert (listing.rows()["film"].kind, str(listing.rows()["film"].source)) == ("lora", source)
    assert "needs its family" in run("add", "hf:owner/other@main", code=2)
    assert "names no revision" in run("add", "hf:owner/other", "--family", "sdxl", code=2)
    assert list(told("add", "flux-dev+quantisation=int8", "--name", "flux-int8")["added"]) == ["flux-int8"]
    assert listing.rows()["flux-int8"].options["quantisation"] == "int8"
    assert listing.rows()["flux-int8"].is_gated
    assert "is taken" in run("add", "flux-dev+quantisation=int8", "--name", "flux-dev", code=2)
    assert "--name is for one thing" in run("add", source, source, "--family", "sdxl", "--name", "x", code=2)


def test_add_refuses_what_is_nothing(tmp_path: Path) -> None:
    assert "holds no diffusers folder" in run("add", str(tmp_path / "config"), code=2)
    (tmp_path / "a.png").write_bytes(b"")
    assert "is no .safetensors or .gguf file" in run("add", str(tmp_path / "a.png"), code=1)
    assert "neither a name" in run("add", str(tmp_path / "none"), code=2)


def test_remove_takes_the_row_and_with_files_what_was_pulled(hub: FakeHub, models: Path, own: Path) -> None:
    run("pull", "quick", "base", "--yes")
    assert "give --yes" in run("remove", "quick", "--files", code=2)
    assert "quick" in listing.rows()
    text = run("remove", "quick", "--files", "--yes")
    assert f"1 files, {len(BIG) / 1e6:.1f} MB in {placed(models, '')}" in text
    assert "row removed from your list" in text
    assert "quick" not in listing.rows()
    assert not placed(models, "film.safetensors").exists()
    assert told("verify")["faults"] == []
    gone = told("remove", "base", "--files", "--yes")
    assert gone["row_removed"]
    assert gone["bytes_deleted"] > 0
    assert lockfile.read(models).entries == ()
    assert not [path for path in tree(models) if not path.startswith((".", "models.lock"))]
    assert "not in your list" in run("remove", "base", code=2)


def test_a_shipped_row_stays_and_only_its_files_go(own: Path, hub: FakeHub, models: Path) -> None:
    assert "is a shipped row, which stays" in run("remove", "sdxl-base", code=2)
    assert "nothing was pulled for sdxl-base" in run("remove", "sdxl-base", "--files", "--yes")


def test_files_that_another_row_needs_are_named(hub: FakeHub, own: Path) -> None:
    own.write_text(own.read_text() + "coarse  sdxl  hf:owner/repo@main  variant=fp16 quantisation=nf4\n")
    run("pull", "base", "--yes")
    assert "; quick, coarse need them too" in run("remove", "base", "--files", "--yes")


def test_files_of_ones_own_are_never_deleted(tmp_path: Path, own: Path) -> None:
    save_file({"decoder.conv_in.weight": np.zeros((8, 4, 3, 3), np.float16)}, tmp_path / "soft.safetensors")
    run("add", str(tmp_path / "soft.safetensors"))
    assert "stay" in run("remove", "soft", "--files", "--yes")
    assert (tmp_path / "soft.safetensors").exists()
    assert "soft" not in listing.rows()
