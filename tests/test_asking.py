"""A sweep from the page becomes a run folder and a job; what cannot be is refused before a file is written."""

from pathlib import Path

import pytest
from PIL import Image

from pipelines.errors import InputError
from sweeps.sweep import Sweep, from_flags
from workbench.jobs import INTERACTIVE
from workbench.queue import Queue
from workbench.web.asking import begin
from workbench.web.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "runs", Queue(tmp_path / "queue.sqlite"), start_worker=lambda _: None)


def asked(name: str = "window", **given: str) -> Sweep:
    flags = {"checkpoint": ["demo-sdxl"], "prompt": ["a face"], "guidance": ["2,3"]}
    return from_flags(name, flags | {field: [text] for field, text in given.items()})


def test_the_run_folder_holds_all_that_its_worker_needs(site: Site, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (90, 70, 60)).save(tmp_path / "start.png")
    job = begin(site, asked(start=str(tmp_path / "start.png"), strength="0.5"))
    (copy,) = (job.folder / "inputs").iterdir()
    assert f'start = "inputs/{copy.name}"' in (job.folder / "sweep.toml").read_text()
    assert (job.name, job.cells, job.state) == ("window", 2, "waiting")


def test_the_same_sweep_goes_on_and_another_of_its_name_gets_a_folder_of_its_own(site: Site) -> None:
    first = begin(site, asked())
    site.queue.wish(first.id, "cancel")
    again = begin(site, asked())
    assert again.folder == first.folder
    assert begin(site, asked(guidance="2,3,4")).folder.name == f"{first.folder.name}-2"


def test_a_picture_that_somebody_waits_for_always_begins_a_new_run(site: Site) -> None:
    folders = {begin(site, asked(), priority=INTERACTIVE).folder for _ in range(3)}
    assert len(folders) == 3


def test_what_waits_already_is_refused_and_nothing_is_replaced(site: Site) -> None:
    job = begin(site, asked())
    before = (job.folder / "sweep.toml").read_bytes()
    with pytest.raises(InputError, match="in the queue already"):
        begin(site, asked())
    assert (job.folder / "sweep.toml").read_bytes() == before
    assert len(site.queue.jobs()) == 1


def test_what_cannot_be_is_refused_before_anything_is_written(site: Site) -> None:
    with pytest.raises(InputError, match="steps"):
        begin(site, asked(steps="0"))
    assert not site.runs.exists()
    assert site.queue.jobs() == ()
