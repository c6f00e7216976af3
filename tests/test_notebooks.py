"""The notebooks run from top to bottom on the small runs beside them, and are stored with what they print."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from pipelines.store import Store
from sweeps import measure

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
RUNS = sorted(path for path in (FOLDER / "runs").iterdir() if path.is_dir())


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What its cells print, one text a cell."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(each.text for each in cell.outputs if each.output_type == "stream") for cell in cells]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_prints_what_it_is_stored_with(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = nbformat.read(path, as_version=4)
    assert all(cell.outputs for cell in stored.cells if cell.cell_type == "code")
    before = printed(stored)
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    NotebookClient(stored, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}).execute()
    assert printed(stored) == before


def test_there_are_three_notebooks_and_their_runs_are_whole_and_measured() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["compare-two-checkpoints", "guidance-window", "read-a-run"]
    for run in RUNS:
        store = Store(run)
        assert all(store.whole(key) for key in store.keys())  # noqa: SIM118  # a Store is no mapping
        assert not measure.missing(run)
