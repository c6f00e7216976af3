"""models.txt: what a line may say, which list wins, what a name with options stands for, and rows added and removed."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from crash import FailingFiles, Quick
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pipelines import listing, own_list
from pipelines.errors import CheckpointError, DiskError, InputError
from pipelines.listing import SHIPPED, Row, Source, read_list, row_of, rows

ROOT = Path(__file__).parent.parent
VAE = {"decoder.conv_in.weight": np.zeros((8, 4, 3, 3), np.float16)}


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's own list lies in this test; no list yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SIDELIGHT_MODELS", str(tmp_path / "models"))
    return listing.own_list()


def listed(folder: Path, text: str) -> dict[str, Row]:
    (folder / "models.txt").write_text(text)
    return read_list(folder / "models.txt")


# lines


def test_a_line_gives_name_family_kind_place_and_options(tmp_path: Path) -> None:
    text = "# mine\n\nreal  sdxl  dir:sub/real  steps=12 trained_guidance=1..7 licence=mine gated=yes # good skin\n"
    row = listed(tmp_path, text)["real"]
    assert (row.name, row.family, row.kind, row.licence, row.is_gated) == ("real", "sdxl", "checkpoint", "mine", True)
    assert (row.place(), row.line) == (tmp_path / "sub/real", 3)
    assert row.asked == {"steps": "12", "trained_guidance": "1..7"}


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("hf:owner/re.po-1@main", Source("hf", "owner/re.po-1", "main")),
        ("hf:o/r@v1.0/a/b.safetensors", Source("hf", "o/r", "v1.0", "a/b.safetensors")),
        ("hf:o/r@main/models/enc", Source("hf", "o/r", "main", "models/enc")),
        ("file:a.gguf", Source("file", "/lists/a.gguf")),
        ("file:/x/../a.safetensors", Source("file", "/a.safetensors")),
        ("dir:../real", Source("dir", "/real")),
        ("demo:sidelight-demo-sdxl", Source("demo", "sidelight-demo-sdxl")),
    ],
)
def test_sources_are_read_and_written_alike(text: str, source: Source) -> None:
    assert listing.parse_source(text, beside=Path("/lists")) == source
    assert listing.parse_source(str(source), beside=Path("/elsewhere")) == source


def test_a_path_with_blanks_and_signs_stands_in_quotes(tmp_path: Path) -> None:
    row = listed(tmp_path, "real sdxl 'file:my #1 model=best+.safetensors' vae='./my vae'\n")["real"]
    assert row.place() == tmp_path / "my #1 model=best+.safetensors"
    assert row.options["vae"] == str(tmp_path / "my vae")


def test_the_home_folder_is_meant_by_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert listing.parse_source("dir:~/real", beside=Path("/lists")).place == "/home/me/real"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("real sdxl", r"expected: name family source"),
        ("real sdxl mine", r"expected: name family source .* hf:OWNER/REPO@REVISION"),
        ("real sd15 dir:mine", r"family sd15 is not known; allowed: sdxl, flux"),
        ("real sdlx dir:mine", r"family sdlx is not known; .* did you mean sdxl\?"),
        ("re+al sdxl dir:mine", r"name 're\+al' may hold letters"),
        ("real sdxl http://x", r"source http: is not known; allowed: hf:"),
        ("real sdxl dir:", r"source dir: names no path"),
        (
            "real sdxl demo:sidelight-demo",
            r"demo:sidelight-demo is not shipped; allowed: .*did you mean sidelight-demo",
        ),
        ("real sdxl demo:../demo/sidelight-demo-sdxl", r"is not shipped"),
        ("real sdxl hf:owner/repo", r"hf:owner/repo names no revision; write hf:owner/repo@main, or a commit"),
        ("real sdxl hf:owner/repo/a.safetensors", r"names no revision"),
        ("real sdxl hf:repo@main", r"source hf:repo@main is not understood; write hf:OWNER/REPO@REVISION"),
        ("real sdxl hf:../..@main", r"is not understood"),
        ("real sdxl hf:o/r@main/../x.safetensors", r"empty, \. or \.\. part"),
        ("real sdxl hf:o/r@main/x.ckpt", r"x.ckpt is a pickle, which can run code .* convert it to safetensors"),
        ("real sdxl file:x.CKPT", r"x.CKPT is a pickle"),
        ("real sdxl file:x.png", r"is no .safetensors or .gguf file; for a diffusers folder write dir:PATH"),
        ("real sdxl dir:mine stepz=3", r"option stepz is not known; allowed: .*steps.*; did you mean steps\?"),
        ("real sdxl dir:mine steps", r"option steps has no value; write steps=VALUE"),
        ("real sdxl dir:mine steps=3 steps=4", r"option steps stands here twice"),
        ("real sdxl dir:mine steps=many", r"steps 'many': input should be a valid integer"),
        ("real sdxl dir:mine guidance=", r"guidance '': input should be a valid number"),
        ("real sdxl dir:mine trained_guidance=7", r"trained_guidance.*"),
        ("real sdxl dir:mine kind=lara", r"kind 'lara' is not known; allowed: checkpoint, lora.*did you mean lora\?"),
        ("real sdxl dir:mine gated=maybe", r"gated 'maybe' is not known; allowed: yes, no"),
        ("real sdxl dir:mine quantisation=int4", r"quantisation 'int4' is not known; allowed: gguf, nf4, int8"),
        ("real sdxl dir:mine quantisation=gguf", r"quantisation gguf does not fit dir:"),
        ("real flux file:x.gguf quantisation=nf4", r"quantisation nf4 does not fit file:"),
        ("real sdxl dir:mine variant=a/b", r"variant 'a/b' must be one word"),
        ("real sdxl file:x.safetensors variant=fp16", r"variant fp16 is for folders"),
        ("real sdxl dir:mine vae=", r"option vae has no value"),
        ("real sdxl dir:mine base=first", r"base is for one file"),
        ("real sdxl dir:mine kind=lora", r"a lora is one file"),
        ("real sdxl 'dir:mine", r"a quotation mark has no partner"),
        ("first sdxl dir:other", r"name first stands here twice; rename one"),
    ],
)
def test_a_wrong_line_is_told_with_file_and_number(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"models.txt line 3: .*{reason}") as told:
        listed(tmp_path, f"# models\nfirst sdxl dir:mine\n{line}\n")
    assert "\n" not in str(told.value)


PIECES = ["real", "sdxl", "flux", "hf:", "o/r", "@main", "/", "..", "dir:", "file:", "demo:", ".gguf", "steps=", "vae="]
PIECES += ["3", "=", "+", "'", '"', "\\", "#", " ", "é", "\0", "kind=lora", "guidance=nan", "steps=" + "9" * 5000, "~x"]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map("".join))
def test_whatever_a_line_says_it_is_a_row_or_refused(text: str) -> None:
    for line in (text, f"real flux {text}"):
        with contextlib.suppress(InputError):
            row = listing.parse_row(line, listed_in=Path("/lists/models.txt"), number=1)
            if row:
                assert listing.parse_source(str(row.source), beside=Path("/elsewhere")) == row.source


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a sdxl dir:\xff"])
def test_a_list_that_is_no_text_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "models.txt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"models.txt cannot be read .* UTF-8 text file"):
        read_list(tmp_path / "models.txt")


# the shipped list


def test_every_shipped_row_says_kind_licence_and_gating() -> None:
    shipped = read_list(SHIPPED)
    assert len(shipped) >= 20
    for row in shipped.values():
        assert row.licence, row.name
        assert row.source.kind == "demo" or "gated" in row.options, row.name
    kinds = {row.kind for row in shipped.values()}
    assert {"checkpoint", "vae", "adapter"} <= kinds
    assert {row.family for row in shipped.values()} == {"sdxl", "flux", "flux2"}


def test_what_a_shipped_row_needs_is_a_shipped_row_of_its_family() -> None:
    shipped = read_list(SHIPPED)
    for row in shipped.values():
        for option in ("base", "vae"):
            if option in row.options:
                assert shipped[row.options[option]].family == row.family


def test_a_checkout_and_a_wheel_have_one_list() -> None:
    assert (ROOT / "models.txt").resolve() == SHIPPED


# own list and names


def test_the_own_list_wins_by_name_and_keeps_the_rest(own: Path, tmp_path: Path) -> None:
    assert rows() == read_list(SHIPPED)
    own.parent.mkdir(parents=True)
    own.write_text("demo-sdxl sdxl dir:here\nmine flux dir:there\n")
    found = rows()
    assert found["demo-sdxl"].place() == own.parent / "here"
    assert found.keys() == read_list(SHIPPED).keys() | {"mine"}
    own.write_text("demo-sdxl\n")
    with pytest.raises(CheckpointError, match=r"models.txt line 1: expected"):
        rows()


def test_a_name_with_options_is_the_row_with_them_changed() -> None:
    row = row_of("demo-flux+quantisation=int8+steps=9")
    assert (row.name, row.options["quantisation"]) == ("demo-flux+quantisation=int8+steps=9", "int8")
    assert row.asked == dict(row_of("demo-flux").asked) | {"steps": "9"}


def test_an_option_may_hold_a_plus(tmp_path: Path) -> None:
    assert row_of(f"demo-sdxl+vae={tmp_path}/a+b+steps=3").options["vae"] == f"{tmp_path}/a+b"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("demo-sdx", r"'demo-sdx': it is neither a name in models.txt \(closest: demo-sdxl.*sidelight models list"),
        ("nothing-alike-at-all", r"neither a name in models.txt nor a diffusers folder"),
        ("demo-sdxl+stepz=3", r"option stepz is not known; .*did you mean steps\?"),
        ("demo-sdxl+kind=vae", r"kind cannot be changed"),
        ("demo-sdxl+quantisation=gguf", r"quantisation gguf does not fit demo:"),
        ("sdx+steps=3", r"neither a name"),
        ("~nobody-at-all/x", r"neither a name"),
        ("a\0b", r"neither a name"),
        ("demo-sdxl+vae=/a\nb", r"it holds a line break"),
    ],
)
def test_what_is_no_model_is_told_in_one_line(wanted: str, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason) as told:
        row_of(wanted)
    assert "\n" not in str(told.value)


def test_a_folder_and_a_file_are_rows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = listing.DEMO / "sidelight-demo-flux"
    row = row_of(str(demo) + "+steps=3")
    assert (row.name, row.family, row.kind, row.place()) == ("sidelight-demo-flux+steps=3", "flux", "checkpoint", demo)
    monkeypatch.chdir(tmp_path)
    save_file(VAE, "soft.safetensors")
    row = row_of("soft.safetensors")
    assert (row.name, row.family, row.kind, row.place()) == ("soft", "sdxl", "vae", tmp_path / "soft.safetensors")
    Path("evil.ckpt").write_bytes(b"never read")
    with pytest.raises(CheckpointError, match=r"evil.ckpt is a pickle"):
        row_of("evil.ckpt")


def test_a_link_keeps_its_name_as_in_the_hubs_cache(tmp_path: Path) -> None:
    save_file(VAE, tmp_path / "blob")
    (tmp_path / "soft.safetensors").symlink_to("blob")
    assert row_of(str(tmp_path / "soft.safetensors")).source.is_file


def test_reading_the_list_loads_nothing_heavy() -> None:
    code = (
        "import sys; from pipelines import listing; listing.row_of('demo-sdxl'); "
        "print([n for n in ('torch', 'diffusers', 'transformers', 'httpx2', 'huggingface_hub') if n in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout == "[]\n"


# adding and removing


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder as people have it: checkpoints in folders, files, pickles and other things, two of one name."""
    shelf = tmp_path / "shelf"
    for path in ("vae/soft one.safetensors", "old/soft one.safetensors"):
        (shelf / path).parent.mkdir(parents=True)
        save_file(VAE, shelf / path)
    (shelf / "real/unet").mkdir(parents=True)
    (shelf / "real/model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionXLPipeline"}))
    (shelf / "real/unet/diffusion_pytorch_model.safetensors").write_bytes(b"part of the folder, not looked at")
    (shelf / "old/legacy.ckpt").write_bytes(b"never read")
    (shelf / "torn.safetensors").write_bytes(b"torn")
    (shelf / "notes.txt").write_text("no model")
    (shelf / ".cache").mkdir()
    save_file(VAE, shelf / ".cache/hidden.safetensors")
    (shelf / "loop").symlink_to(shelf)
    return shelf


def test_a_folder_is_looked_through_and_what_is_refused_says_why(shelf: Path, own: Path) -> None:
    candidates, refused = own_list.look_through(shelf)
    new, known = own_list.add(candidates)
    assert {name: str(source) for name, source in new.items()} == {
        "soft-one": f"file:{shelf}/old/soft one.safetensors",
        "soft-one-2": f"file:{shelf}/vae/soft one.safetensors",
        "real": f"dir:{shelf}/real",
    }
    assert known == {}
    reasons = {Path(path).name: reason for path, reason in refused.items()}
    assert reasons.keys() == {"legacy.ckpt", "torn.safetensors"}
    assert "is a pickle" in reasons["legacy.ckpt"]
    assert "is damaged" in reasons["torn.safetensors"]
    written = rows()
    assert (written["soft-one"].kind, written["soft-one"].family) == ("vae", "sdxl")
    assert (written["real"].kind, written["real"].place()) == ("checkpoint", shelf / "real")
    assert own.read_text().startswith("# Your models")


def test_nothing_is_added_twice(shelf: Path, own: Path) -> None:
    candidates, _ = own_list.look_through(shelf)
    own_list.add(candidates)
    before = own.read_bytes()
    new, known = own_list.add(own_list.look_through(shelf)[0])
    assert (new, known.keys()) == ({}, {"soft-one", "soft-one-2", "real"})
    assert own.read_bytes() == before


def test_remarks_order_and_odd_spacing_stay(own: Path, shelf: Path) -> None:
    own.parent.mkdir(parents=True)
    text = "# mine\n\nfirst   sdxl  dir:a   steps=3 # best\n#   second sdxl dir:b\nthird flux dir:c"
    own.write_text(text)
    own_list.add([own_list.Candidate("new", "sdxl", "checkpoint", Source("dir", "/x y"), {"steps": "4"})])
    assert own.read_text() == text + "\nnew  sdxl  'dir:/x y'  steps=4\n"
    own_list.remove("first")
    assert own.read_text() == (text + "\nnew  sdxl  'dir:/x y'  steps=4\n").replace(
        "first   sdxl  dir:a   steps=3 # best\n", ""
    )


def test_a_shipped_row_cannot_be_removed_and_an_unknown_one_is_told(own: Path) -> None:
    with pytest.raises(InputError, match=r"demo-sdxl is a shipped row, which stays"):
        own_list.remove("demo-sdxl")
    with pytest.raises(InputError, match=r"nobody is not in your list"):
        own_list.remove("nobody")


def test_a_wrong_line_in_the_own_list_is_told_before_anything_is_written(own: Path) -> None:
    own.parent.mkdir(parents=True)
    own.write_text("broken\n")
    with pytest.raises(CheckpointError, match=r"models.txt line 1"):
        own_list.add([own_list.Candidate("new", "sdxl", "checkpoint", Source("dir", "/x"), {})])
    assert own.read_text() == "broken\n"


def test_a_disk_that_fails_at_any_call_leaves_the_list_as_it_was(own: Path) -> None:
    own.parent.mkdir(parents=True)
    own.write_text("first sdxl dir:a\n")
    candidate = own_list.Candidate("new", "sdxl", "checkpoint", Source("dir", "/x"), {})
    for n in range(1, 50):
        files = FailingFiles(n, 28)
        try:
            own_list.add([candidate], files=files)
        except DiskError:
            assert own.read_text() in ("first sdxl dir:a\n", "first sdxl dir:a\nnew  sdxl  dir:/x\n")
            own.write_text("first sdxl dir:a\n")
        else:
            break
    assert files.calls < n
    assert n > 4


def test_two_processes_adding_at_once_lose_nothing(own: Path) -> None:
    code = (
        "import sys; from pipelines import own_list; from pipelines.listing import Source\n"
        "for k in range(10):\n"
        "    source = Source('dir', f'/{sys.argv[1]}/{k}')\n"
        "    own_list.add([own_list.Candidate('same', 'sdxl', 'checkpoint', source, {})])\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, name], cwd=ROOT, env=os.environ) for name in "ab"]
    assert [child.wait() for child in children] == [0, 0]
    assert len(read_list(own)) == 20


def test_another_quantisation_of_the_same_file_is_another_row(own: Path) -> None:
    def candidate(**options: str) -> own_list.Candidate:
        return own_list.Candidate("x", "flux", "checkpoint", Source("dir", "/x"), options)

    new, known = own_list.add([candidate(), candidate(quantisation="int8"), candidate(steps="3")], files=Quick())
    assert (list(new), list(known)) == (["x", "x-2"], ["x"])
