"""Doctor: what it finds is true, what fails is a line, nothing private is printed, and the report can be pasted."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from pipelines import listing
from pipelines.downloads.lockfile import Entry, LockedFile, change
from pipelines.room import Room
from tests.tiny import tiny_checkpoint
from workbench import doctor_kernels, doctor_machine, doctor_models
from workbench.doctor import Finding, Report, Section, examined, private, quiet
from workbench.doctor_command import doctor, examine, shown

SECTIONS = ["system", "hardware", "kernels", "disk", "models", "what fits", "speed"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without models, lists or logins."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name, value in {
        "HOME": folder,
        "XDG_DATA_HOME": folder / "data",
        "XDG_CONFIG_HOME": folder / "config",
        "XDG_CACHE_HOME": folder / "cache",
        "XDG_STATE_HOME": folder / "state",
        "SIDELIGHT_MODELS": folder / "models",
        "HF_HOME": folder / "hub",
    }.items():
        monkeypatch.setenv(name, str(value))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return folder


def run(*words: str) -> Any:
    app = typer.Typer()
    app.command()(doctor)
    return CliRunner().invoke(app, list(words))


def own_row(line: str) -> None:
    listing.own_list().parent.mkdir(parents=True, exist_ok=True)
    listing.own_list().write_text(line + "\n")


def named(findings: Any, name: str) -> Finding:
    return next(one for one in findings if one.name == name)


# the whole report


def test_quick_report_has_every_section_and_finds_the_demo_checkpoints_whole() -> None:
    ended = run("--quick", "--json")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert list(told["sections"]) == SECTIONS
    assert told["broken"] == []
    assert told["verdict"].startswith("Sidelight works here: 2 checkpoints can be used on ")
    models = {one["name"]: one for one in told["sections"]["models"]}
    assert models["demo-sdxl"]["state"] == "here" or "whole" in models["demo-sdxl"]["text"]
    fits = {one["name"]: one for one in told["sections"]["what fits"]}
    assert fits["demo-flux"]["fits"]
    assert fits["demo-flux"]["numerics"]["reasons"]
    assert torch.__version__ in json.dumps(told["sections"]["system"])


def test_text_starts_with_the_verdict_and_fits_into_80_columns() -> None:
    lines = run("--quick").stdout.splitlines()
    assert lines[0].startswith("Sidelight works here")
    assert max(map(len, lines)) <= 80
    assert [line.lower() for line in lines if line.isupper() and len(line) < 20][: len(SECTIONS)] == SECTIONS


def test_speed_is_measured_by_really_making_pictures() -> None:
    (found,) = doctor_models.measured()
    assert re.fullmatch(r"[\d.]+ s a picture \(256x256, 8 steps\), measured now", found.text)
    assert 0 < found.values["seconds"] < 120


def test_speed_is_remembered_from_runs_and_never_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(doctor_models.remembered()) == []
    checkpoint = next(one for one in doctor_models.ready() if one.name == "demo-sdxl")
    digest = checkpoint.weights.digest[:16]
    kept = Path(os.environ["XDG_CACHE_HOME"]) / "sidelight/speeds.json"
    kept.write_text(json.dumps({f"{digest} 256x256 + aaa": 0.05, f"{digest} 512x512 + aaa": 9.0, "f" * 16: 3.0}))
    (found,) = doctor_models.remembered()
    assert (found.name, found.values["seconds"]) == ("demo-sdxl", 0.05 * 2 * 20)


def test_a_device_that_is_busy_is_not_measured() -> None:
    from pipelines.device import decide
    from sweeps.engines import device_lock

    with device_lock(decide(family="sdxl", pixels=1, lane_width=1, cells=1, forwards=1, asked={})):
        (found,) = doctor_models.measured()
    assert found.text.startswith("not measured: the device")
    assert found.state == "remark"


# models


def test_a_damaged_checkpoint_is_broken_with_what_to_do(tmp_path: Path) -> None:
    tiny_checkpoint("sdxl", tmp_path / "mine")
    own_row(f"mine sdxl dir:{tmp_path / 'mine'}")
    assert named(doctor_models.models(thorough=False), "mine").state == "fine"
    (weights,) = (tmp_path / "mine/unet").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-5])
    found = named(doctor_models.models(thorough=False), "mine")
    assert found.state == "broken"
    assert "damaged" in found.text
    assert "get it again" in found.advice
    assert "mine" not in [one.name for one in doctor_models.ready()]
    ended = run("--quick")
    assert ended.exit_code == 1
    assert ended.stdout.startswith("Something is broken: mine (damaged:")


def test_a_folder_that_is_gone_is_broken(tmp_path: Path) -> None:
    own_row(f"mine sdxl dir:{tmp_path / 'gone'}")
    found = named(doctor_models.models(thorough=False), "mine")
    assert (found.state, found.values["state"]) == ("broken", "missing")
    assert "models remove mine" in found.advice


def test_a_list_that_cannot_be_read_is_one_line_and_the_rest_is_told() -> None:
    own_row("mine nofamily dir:/x")
    told = json.loads(run("--quick", "--json").stdout)
    (line,) = told["sections"]["models"]
    assert "line 1: family nofamily is not known" in line["text"]
    assert told["sections"]["system"]


@pytest.fixture
def pulled(tmp_path: Path) -> Path:
    """A row that was pulled from a hub, as the lock file has it; its folder."""
    import hashlib

    revision = "1" * 40
    folder = listing.models_folder() / "someone--tiny" / revision
    tiny_checkpoint("sdxl", folder)
    own_row("tiny sdxl hf:someone/tiny@main")
    files = tuple(
        LockedFile(
            path=str(path.relative_to(folder)),
            size=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
    entry = Entry(source="hf:someone/tiny@main", repo="someone/tiny", revision=revision, files=files, complete=True)
    change(listing.models_folder(), entry)
    return folder


def test_thorough_finds_one_changed_byte_where_the_cheap_look_does_not(pulled: Path) -> None:
    assert named(doctor_models.models(thorough=True), "tiny").text.startswith(
        "sdxl checkpoint, whole (every byte read)"
    )
    (weights,) = (pulled / "unet").glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert named(doctor_models.models(thorough=False), "tiny").state == "fine"
    found = named(doctor_models.models(thorough=True), "tiny")
    assert found.state == "broken"
    assert weights.name in found.text
    assert "sidelight models pull tiny" in found.advice


def test_a_login_is_asked_for_only_where_a_gated_row_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    own_row("secret flux hf:someone/secret@main gated=yes")
    assert "hf auth login" in named(doctor_models.models(thorough=False), "licences").advice
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijk")
    assert "licences" not in [one.name for one in doctor_models.models(thorough=False)]


def test_a_checkpoint_too_large_for_this_machine_is_told_with_its_numbers() -> None:
    found = {one.name: one for one in doctor_models.fits(look=lambda _: Room(10**5, 10**5, 10**5))}
    assert found["demo-sdxl"].values == {"fits": False}
    assert re.search(r"cannot be used here: demo-sdxl at 256x256 needs \d+ MB", found["demo-sdxl"].text)


def test_a_checkpoint_that_this_device_cannot_open_is_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_checkpoint("flux", tmp_path / "mine")
    own_row(f"mine flux dir:{tmp_path / 'mine'} quantisation=nf4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = named(doctor_models.fits(), "mine")
    assert (found.state, found.values["fits"]) == ("remark", False)
    assert "nf4 needs an NVIDIA GPU" in found.text


# the machine


def test_a_torch_without_cuda_beside_an_nvidia_driver_gets_the_line_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 4070, 570.86.10'\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    (found,) = doctor_machine.torch_build()
    assert found.state == "remark"
    assert re.search(
        r"RTX 4070 is here but torch is a CPU build.*pip install --force-reinstall torch==\d", found.advice
    )
    assert "seen by the driver, not by torch" in next(iter(doctor_machine.gpus())).text
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    (found,) = doctor_machine.torch_build()
    assert "driver 570.86.10 does not run torch's CUDA 13.0" in found.advice


def test_a_gpu_is_told_with_all_that_is_asked_for_in_issues(monkeypatch: pytest.MonkeyPatch) -> None:
    class Card:
        name, major, minor = "NVIDIA X1", 8, 9

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Card)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (3 * 10**9, 12 * 10**9))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    (found,) = doctor_machine.gpus()
    assert found.text == "NVIDIA X1, 3.0 GB of 12.0 GB free, compute 8.9, bfloat16, driver unknown"
    assert found.advice == "9.0 GB of GPU 0 are taken by other programs: close them"


def test_a_disk_that_is_nearly_full_or_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def free(number: int) -> Finding:
        usage = shutil._ntuple_diskusage(10**12, 0, number)  # type: ignore[attr-defined]
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        return next(doctor_machine.disk({"runs": tmp_path / "not/there/yet"}))

    assert (free(10**11).state, free(10**11).advice) == ("fine", "")
    assert "only 5.0 GB are free" in free(5 * 10**9).advice
    assert free(10**8).state == "broken"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_broken(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert next(doctor_machine.disk({"runs": tmp_path / "runs"})).state == "broken"


# kernels


def test_attention_is_known_by_calling_it() -> None:
    found = named(doctor_kernels.attention(), "attention")
    assert found.state == "fine"
    assert "math" in found.values["runs"]


def test_a_kernel_that_fails_is_named_and_a_device_without_any_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no kernel image is available\nfor execution on the device")

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", fails)
    found = named(doctor_kernels.attention(), "attention")
    assert found.state == "broken"
    assert found.text.endswith("(no kernel image is available)")


def test_quantisation_that_is_not_installed_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    found = named(doctor_kernels.quantisation(), "gguf")
    assert (found.state, found.values["runs"]) == ("fine", False)


# failing probes, privacy


def test_a_probe_that_fails_is_a_line_and_the_others_are_told() -> None:
    def bad() -> Iterator[Finding]:
        yield Finding("first", "told")
        raise OSError("the sensor\nis on fire")

    section = examined("heat", {"sensor": bad, "fan": lambda: [Finding("fan", "turns")]})
    assert [(one.name, one.text) for one in section.findings] == [
        ("first", "told"),
        ("sensor", "cannot be told (the sensor)"),
        ("fan", "turns"),
    ]


def test_a_broken_torch_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    broken = tmp_path / "broken/torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')\n")
    code = "import typer; from workbench.doctor_command import doctor; typer.run(doctor)"
    root = Path(__file__).parent.parent
    told = subprocess.run(
        [sys.executable, "-c", code, "--quick"],
        env={**os.environ, "PYTHONPATH": f"{broken.parent}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert told.returncode == 1, told.stderr
    assert told.stdout.startswith("Something is broken: torch build (torch cannot be imported (libcudart.so.13")
    assert "Traceback" not in told.stdout + told.stderr
    assert "demo-sdxl" in told.stdout


def test_nothing_private_is_printed(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklm")
    monkeypatch.setenv("SOME_API_KEY", "sk-0123456789")
    told = {"a": f"{home}/runs and {home} but not {home}less", "b": ["Bearer hf_abcdefghijklm", ("sk-0123456789", 7)]}
    assert private(told) == {
        "a": f"~/runs and ~ but not {home}less",
        "b": ["Bearer ...", ["...", 7]],
    }
    for words in (["--quick"], ["--quick", "--json"]):
        text = run(*words).stdout
        assert str(home) not in text
        assert "hf_abcdefghijklm" not in text


def test_libraries_that_talk_are_not_heard(capfd: pytest.CaptureFixture[str]) -> None:
    import logging
    import warnings

    with quiet():
        print("chatter")  # noqa: T201
        warnings.warn("chatter", stacklevel=1)
        logging.getLogger("x").error("chatter")
    assert "chatter" not in "".join(capfd.readouterr())
    assert logging.root.manager.disable == 0


def test_what_is_broken_comes_first_in_what_to_change() -> None:
    findings = (Finding("a", "slow", "remark", "tune it"), Finding("b", "dead", "broken", "mend it"))
    report = Report((Section("x", findings),))
    assert report.advice == ("mend it", "tune it")
    assert report.verdict == "Something is broken: b (dead)"
    assert shown(report).splitlines()[-2:] == ["- mend it", "- tune it"]


def test_thorough_adds_a_real_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    probes: dict[str, Callable[..., Any]] = {"compiling": doctor_kernels.compiling, "models": doctor_models.models}
    for name in probes:
        module = doctor_kernels if name == "compiling" else doctor_models
        monkeypatch.setattr(module, name, lambda name=name, **given: called.append(f"{name} {given}") or [])
    examine(quick=True, thorough=True)
    assert called == ["compiling {}", "models {'thorough': True}"]
