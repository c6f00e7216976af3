"""The notebooks run from top to bottom on a fresh run folder, and are stored with what they printed."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from pipelines.draft import Draft
from sweeps.axes import Axis
from sweeps.prepare import prepare
from sweeps.run import run
from sweeps.sweep import Sweep
from tests.small import opener

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_is_stored_executed(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = nbformat.read(path, as_version=4)
    assert all(cell.outputs for cell in stored.cells if cell.cell_type == "code")
    axes = [Axis(fields=("guidance",), values=((2.0,), (4.0,))), Axis(fields=("steps",), values=((2,), (3,)))]
    sweep = Sweep.over("demo", Draft(checkpoint="demo-sdxl", prompt="a face"), axes=axes)
    for _ in run(prepare(sweep, tmp_path / "run", asked={}), open_engine=opener([])):
        pass
    monkeypatch.setenv("SIDELIGHT_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("PYTHONPATH", str(path.parent.parent))
    NotebookClient(stored, timeout=120, kernel_name="python3").execute()


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS
