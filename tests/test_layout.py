"""What must hold of the code as a whole: imports point one way, light things stay light, README's commands work."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.sweep import parse_toml
from workbench.cli import app

ROOT = Path(__file__).parent.parent
ORDER = ("pipelines", "sweeps", "workbench")
HEAVY = ("torch", "diffusers", "transformers", "gradio", "cv2", "scipy")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_one_way(package: str) -> None:
    above = ORDER[ORDER.index(package) + 1 :]
    files = list((ROOT / package).rglob("*.py"))
    assert files
    wrong = [f"{path.name}: {name}" for path in files for name in imports(path) if name.split(".")[0] in above]
    assert not wrong


@pytest.mark.parametrize("package", ORDER)
def test_every_module_says_what_it_does_and_no_file_is_two(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"
        assert len(path.read_text().splitlines()) <= 400, f"{path} is two files"


@pytest.mark.parametrize("command", ["--help", "--version", "sweep run --help"])
def test_asking_for_help_loads_nothing_heavy(command: str) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['sidelight', *{command.split()}]\n"
        "from workbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('loaded', [name for name in {HEAVY} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.endswith("loaded []\n")


def blocks(kind: str) -> list[str]:
    """README's code blocks of a kind."""
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_commands_in_readme_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    lines = [line for block in blocks("sh") for line in block.strip().splitlines()]
    assert len(lines) >= 8
    for line in lines:
        words = [word.replace("~", str(tmp_path)) for word in shlex.split(line)]
        assert words[0] == "sidelight"
        pictures = sorted((tmp_path / "Sidelight/runs/first/pictures").glob("*.png"))
        ended = CliRunner().invoke(app, [str(pictures[0]) if word == "FILE" else word for word in words[1:]])
        assert ended.exit_code == 0, f"{line}\n{ended.output}\n{ended.exception}"


def test_script_in_readme_makes_pictures_and_says_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (script,) = blocks("python")
    assert len([line for line in script.splitlines() if line and not line.startswith(("from", "import"))]) < 10
    exec(compile(script, "README.md", "exec"), {})  # the reader's own script
    *events, told = capsys.readouterr().out.splitlines()
    assert events[0].startswith("Started(")
    assert events[-1].startswith("Finished(made=4")
    assert "2 seeds cannot tell" in told


def test_sweep_in_readme_is_one() -> None:
    (text,) = blocks("toml")
    assert len(parse_toml(text).axes) == 3
