"""A picture on disk: whole or not at all, through every crash, every failing call and a full disk."""

import errno
import hashlib
import itertools
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines import metadata
from pipelines.device import Numerics
from pipelines.errors import DiskError, DiskFullError, InputError
from pipelines.files import DISK, Disk, Files, OpenFile, put
from pipelines.metadata import Embedded
from pipelines.raster import Raster, to_png
from pipelines.recipe import Recipe, SchedulerChoice, Weights
from pipelines.store import Circumstances, Facts, Saved, Store
from sweeps import journal
from sweeps.journal import Journal, PictureDone, RunFinished, RunPaused, RunStarted
from tests.crash import FailingFiles, Quick, RecordingFiles, SmallDisk, State, crash_states, lay_out, tree

NUMERICS = Numerics(
    torch="2.13", diffusers="0.42", transformers="5", device="cpu", threads=1, dtype="float32", lanes=4, lane_width=2
)
BASE = Recipe(
    checkpoint=Weights(digest="c" * 64, family="sdxl", name="demo-sdxl"),
    prompt="portrait, side light from the left",
    seed=7,
    width=16,
    height=16,
    steps=20,
    guidance=4.5,
    scheduler=SchedulerChoice(name="euler"),
)
RECIPES = tuple(BASE.but(seed=seed) for seed in (1, 2))
RESERVE = 40


def made(recipe: Recipe, date: str = "2026-01-01T00:00:00+00:00") -> Saved:
    """What an engine would give: the same bytes for the same recipe, other circumstances each time."""
    pixels = np.random.default_rng(recipe.seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    embedded = Embedded(recipe=recipe, numerics=NUMERICS, lane=recipe.seed % 4)
    return Saved(
        png=to_png(
            Raster(pixels, b""),
            text={metadata.CHUNK: embedded.text()},
            parameters=metadata.a1111(recipe, sampler="Euler"),
        ),
        embedded=embedded,
        facts=Facts(first_timestep=999, first_sigma=14.6, evaluations=recipe.steps),
        circumstances=Circumstances(seconds={"denoise": random.random()}, device="CPU", date=date),
        caption=metadata.caption(recipe),
    )


SAVED = {recipe.key: made(recipe) for recipe in RECIPES}


def run(folder: Path, files: Files) -> list[str]:
    """A small run with the real store and journal; gives the keys it had to make."""
    store, new = Store(folder, files), []
    store.repair()
    with Journal(folder, files, now=lambda: "label", reserve_bytes=RESERVE) as log:
        log.append(RunStarted(cells=len(SAVED)))
        for key, picture in SAVED.items():
            if store.whole(key):
                continue
            new.append(key)
            store.save(picture)
            if isinstance(files, RecordingFiles):
                files.promise()
            log.append(PictureDone(key=key, lane=0, seconds=0.1))
        log.append(RunFinished(made=len(new), failed=0))
    return new


def pictures(folder: Path) -> State:
    """What must be equal however often a run was interrupted: PNGs, captions, the recipe part of the sidecars."""
    store = Store(folder)
    same = {name: data for name, data in tree(folder / "pictures").items() if not name.endswith(".json")}
    keys = store.keys()
    return same | {f"{key}.json": store.sidecar(key).recipe_part().encode() for key in keys}


@pytest.fixture
def undisturbed(tmp_path: Path) -> State:
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    run(folder, Quick())
    return pictures(folder)


def test_a_saved_picture_is_whole_and_says_everything(tmp_path: Path) -> None:
    store = Store(tmp_path)
    sidecar = store.save(made(BASE))
    assert store.whole(BASE.key)
    assert store.keys() == (BASE.key,)
    assert store.sidecar(BASE.key) == sidecar
    assert sidecar.png_sha256 == hashlib.sha256(store.path(BASE.key).read_bytes()).hexdigest()
    assert sidecar.recipe == BASE
    assert sorted(tree(tmp_path)) == [f"pictures/{BASE.key}{suffix}" for suffix in (".json", ".png", ".txt")]
    assert (tmp_path / "pictures" / f"{BASE.key}.txt").read_text() == metadata.caption(BASE)


def test_recipe_part_knows_no_circumstances(tmp_path: Path) -> None:
    one = Store(tmp_path / "one").save(made(BASE, date="2026-01-01"))
    two = Store(tmp_path / "two").save(made(BASE, date="2027-01-01"))
    assert one.circumstances != two.circumstances
    assert one.recipe_part() == two.recipe_part()
    assert "2026" not in one.recipe_part()


def test_the_sequence_of_calls_is_the_promised_one(tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path)
    Store(tmp_path, files).save(made(BASE))
    key = f"pictures/{BASE.key}"
    assert [(call.name, call.path) for call in files.calls if call.name not in ("write", "fsync")] == [
        ("fsync_folder", "."),
        ("create", f"{key}.png.part"),
        ("create", f"{key}.txt.part"),
        ("rename", f"{key}.png.part"),
        ("rename", f"{key}.txt.part"),
        ("fsync_folder", "pictures"),
        ("create", f"{key}.json.part"),
        ("rename", f"{key}.json.part"),
        ("fsync_folder", "pictures"),
    ]
    names = [call.name for call in files.calls]
    assert names.count("fsync") == 3
    assert all(names[at + 1] == "fsync" for at, name in enumerate(names) if name == "write")


def recorded_run(folder: Path) -> list[tuple[int, State]]:
    """Every folder that a power cut during (the rest of) a run leaves, with the pictures reported as saved before."""
    files = RecordingFiles(folder)
    run(folder, files)
    return list(crash_states(files))


def check_resume(folder: Path, undisturbed: State, *, promised: int) -> None:
    store = Store(folder, Quick())
    whole = [key for key in SAVED if store.whole(key)]
    assert len(whole) >= promised, "a picture that was reported as saved is gone"
    for key in whole:
        assert store.path(key).read_bytes() == SAVED[key].png, "a broken picture is trusted"
    again = run(folder, Quick())
    assert sorted(again) == sorted(set(SAVED) - set(whole)), "a whole picture was made twice, or one was left out"
    assert pictures(folder) == undisturbed
    assert journal.read(folder).faults == ()
    after = tree(folder)
    assert store.repair() == ()
    Journal(folder, Quick(), reserve_bytes=RESERVE).close()
    assert tree(folder) == after, "a second repair changed something"


def test_every_crash_state_is_resumed_to_the_same_bytes(tmp_path: Path, undisturbed: State) -> None:
    states = recorded_run(lay_out({}, tmp_path / "live"))
    assert len(states) > 50
    for promised, state in states:
        check_resume(lay_out(state, tmp_path / "crashed"), undisturbed, promised=promised)
        shutil.rmtree(tmp_path / "crashed")


def test_a_second_power_cut_while_resuming_loses_nothing_either(tmp_path: Path, undisturbed: State) -> None:
    states = recorded_run(lay_out({}, tmp_path / "live"))
    for promised, state in random.Random(5).sample(states, 5):
        for more, twice in recorded_run(lay_out(state, tmp_path / "resumed")):
            check_resume(lay_out(twice, tmp_path / "crashed"), undisturbed, promised=max(promised, more))
            shutil.rmtree(tmp_path / "crashed")
        shutil.rmtree(tmp_path / "resumed")


def test_the_crash_states_would_show_a_missing_fsync_and_the_hash_would_catch_it(tmp_path: Path) -> None:
    fooled = {}
    for forgets in ((), ("fsync",), ("fsync_folder",)):
        live = tmp_path / "-".join(("live", *forgets))
        live.mkdir()
        files = RecordingFiles(live, forgets=forgets)
        Store(live, files).save(SAVED[RECIPES[0].key])
        fooled[forgets] = 0
        for _, state in crash_states(files):
            folder = lay_out(state, tmp_path / "crashed")
            store, key = Store(folder), RECIPES[0].key
            has_good_png = state.get(f"pictures/{key}.png") == SAVED[key].png
            fooled[forgets] += f"pictures/{key}.json" in state and not has_good_png
            assert has_good_png or not store.whole(key)
            shutil.rmtree(folder)
    assert fooled[()] == 0
    assert fooled[("fsync",)] > 0
    assert fooled[("fsync_folder",)] > 0


def test_setting_aside_loses_nothing_in_any_crash(tmp_path: Path) -> None:
    live, key = tmp_path / "live", RECIPES[0].key
    Store(live, Quick()).save(SAVED[key])
    png = live / "pictures" / f"{key}.png"
    torn = png.read_bytes()[:-9]
    png.write_bytes(torn)
    (live / "damaged").mkdir()
    (live / "damaged" / f"{key}.png").write_bytes(b"an earlier one")
    files = RecordingFiles(live)
    assert Store(live, files).repair() == (key,)
    count = 0
    for _, state in crash_states(files):
        folder = lay_out(state, tmp_path / "crashed")
        run(folder, Quick())
        kept = [data for name, data in tree(folder).items() if name.startswith("damaged/")]
        assert torn in kept
        assert b"an earlier one" in kept
        assert Store(folder).whole(key)
        shutil.rmtree(folder)
        count += 1
    assert count > 5


@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_any_failing_call_tears_nothing(tmp_path: Path, undisturbed: State, number: int, forever: bool) -> None:
    counter = FailingFiles(0, number)
    (tmp_path / "counted").mkdir()
    run(tmp_path / "counted", counter)
    assert counter.calls > 50
    stopped: list[DiskError] = []
    for n in range(1, counter.calls + 1):
        folder = tmp_path / f"failed-{n}"
        folder.mkdir()
        try:
            run(folder, FailingFiles(n, number, forever=forever))
        except DiskError as error:
            stopped.append(error)
        if not forever:
            assert not [name for name in tree(folder) if name.endswith(".part")]
        store = Store(folder)
        whole = [key for key in SAVED if store.whole(key)]
        assert all(store.path(key).read_bytes() == SAVED[key].png for key in whole)
        run(folder, Quick())
        assert pictures(folder) == undisturbed
        assert journal.read(folder).faults == ()
        shutil.rmtree(folder)
    assert len(stopped) > counter.calls // 4
    assert {isinstance(error, DiskFullError) for error in stopped} == {number == errno.ENOSPC}
    assert not any("\n" in str(error) for error in stopped)


def test_a_failed_fsync_is_never_asked_again(tmp_path: Path) -> None:
    """The kernel may have dropped the bytes and report success the second time; FailingFiles does just that."""
    retried = 0
    for n in range(1, 30):
        folder = tmp_path / str(n)
        files = FailingFiles(n, errno.EIO)
        try:
            put({folder / "a.png": b"0123456789"}, files)
        except DiskError:
            assert not (folder / "a.png").exists() or (folder / "a.png").read_bytes() == b"0123456789"
        else:
            retried += files.calls >= n
            assert (folder / "a.png").read_bytes() == b"0123456789"
    assert retried >= 3  # create, write, fsync


def test_a_full_disk_pauses_and_goes_on_after_space_is_made(tmp_path: Path, undisturbed: State) -> None:
    needed = sum(map(len, tree(tmp_path / "undisturbed").values()))
    paused: list[str] = []
    for room in range(needed - 1, needed // 3, -97):
        folder = tmp_path / f"room-{room}"
        folder.mkdir()
        disk = SmallDisk(folder, room)
        store = Store(folder, disk)
        with Journal(folder, disk, now=lambda: "label", reserve_bytes=200) as log:
            log.append(RunStarted(cells=len(SAVED)))
            try:
                for picture in SAVED.values():
                    store.save(picture)
            except DiskFullError as error:
                log.append(RunPaused(reason=str(error)[:40]))
                paused.append(str(error))
        assert not [name for name in tree(folder) if name.endswith(".part")]
        assert isinstance(journal.read(folder).lines[-1], RunPaused | RunStarted)
        disk.room = 10**9
        run(folder, disk)
        assert pictures(folder) == undisturbed
        assert (folder / ".reserve").stat().st_size == RESERVE
    assert len(paused) > 5
    assert all("MB needed" in line and "MB free" in line for line in paused)


class DevFull(Disk):
    """The real errors of a full device, without privileges."""

    def create(self, path: Path) -> OpenFile:
        path.touch()
        return super().append(Path("/dev/full"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_the_kernels_own_full_device_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"^disk full: \d+ MB needed .* \d+ MB free; .*again$"):
        Store(tmp_path, DevFull()).save(made(BASE))
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("suffix", [".png", ".json"])
def test_a_picture_with_any_changed_byte_is_set_aside_and_made_again(tmp_path: Path, suffix: str) -> None:
    store = Store(tmp_path, Quick())
    store.save(made(BASE))
    path = store.path(BASE.key).with_suffix(suffix)
    good = path.read_bytes()
    for at in range(0, len(good), max(1, len(good) // 60)):
        path.write_bytes(good[:at])
        assert not store.whole(BASE.key), f"{suffix} cut at {at}"
    path.write_bytes(good[: len(good) // 2])
    assert store.repair() == (BASE.key,)
    assert store.keys() == ()
    assert (tmp_path / "damaged" / path.name).read_bytes() == good[: len(good) // 2]
    store.save(made(BASE))
    assert store.whole(BASE.key)


def test_damaged_files_never_overwrite_each_other(tmp_path: Path) -> None:
    store = Store(tmp_path, Quick())
    for text in (b"first", b"second", b"third"):
        store.save(made(BASE))
        store.path(BASE.key).write_bytes(text)
        assert store.fault(BASE.key) == f"{BASE.key}.png is not the file that was committed"
        store.repair()
    kept = tree(tmp_path / "damaged")
    assert [kept[f"{BASE.key}{n}.png"] for n in ("", "-1", "-2")] == [b"first", b"second", b"third"]


def test_a_picture_somebody_changed_is_kept_even_without_its_sidecar(tmp_path: Path) -> None:
    store = Store(tmp_path, Quick())
    store.save(made(BASE))
    store.path(BASE.key).write_bytes(b"retouched")
    store.path(BASE.key).with_suffix(".json").unlink()
    store.save(made(BASE))
    assert store.whole(BASE.key)
    assert b"retouched" in tree(tmp_path / "damaged").values()


def test_a_sidecar_under_another_name_is_not_trusted(tmp_path: Path) -> None:
    store = Store(tmp_path, Quick())
    store.save(made(BASE))
    other = BASE.but(seed=8).key
    for suffix in (".png", ".json"):
        shutil.copy(store.path(BASE.key).with_suffix(suffix), store.path(other).with_suffix(suffix))
    assert store.fault(other) == f"{other}.json belongs to another picture"


def test_a_missing_sidecar_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^0123456789abcdef\.json cannot be read \(No such file"):
        Store(tmp_path).sidecar("0123456789abcdef")


def test_half_written_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    for folder in ("pictures", "inputs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.png.part").write_bytes(b"half")
    store = Store(tmp_path, DISK)
    assert store.repair() == ()
    assert tree(tmp_path) == {}


def test_equal_work_gives_equal_bytes() -> None:
    one, two = (made(BASE) for _ in range(2))
    assert one.png == two.png
    assert all(a.png != b.png for a, b in itertools.combinations(SAVED.values(), 2))
