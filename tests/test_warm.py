"""The engine that is kept from job to job: never in the way of another one, and no picture shows that it was kept."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from making import engine, recipe, told
from PIL import Image
from tiny import tiny_checkpoint

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics, less_memory
from pipelines.draft import Draft
from pipelines.errors import BusyError
from pipelines.events import Encoding, Event, Failed, Loading, Made, Shrunk, Stepped
from pipelines.recipe import Lora, Recipe, Weights
from pipelines.room import Kind, Room
from pipelines.store import Store
from sweeps.axes import Axis
from sweeps.engines import open_engine, shared_engine
from sweeps.prepare import Prepared, ask, prepare, self_contained
from sweeps.run import OpenEngine
from sweeps.sweep import Sweep
from tests.small import SmallEngine, numerics, prepared
from tests.small_worker import reopened as small_run
from tests.test_run import contents
from tests.test_worker import added, calm
from workbench.jobs import INTERACTIVE, Asked, Job, lay_down
from workbench.queue import Queue
from workbench.warm import Warm
from workbench.worker import Means, Worker, reopened
from workbench.worker_log import open_log

GIGABYTE = 10**9
LANES = [[recipe] for recipe in sorted(prepared(Path()).recipes.values(), key=lambda recipe: recipe.key)[:3]]


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue.sqlite")


class Opening:
    """Opens small engines and remembers them without holding them; `does` is what the next one is told to do."""

    def __init__(self) -> None:
        self.engines: list[weakref.ref[SmallEngine]] = []
        self.alive: list[int] = []
        self.turns: list[Callable[[], Store]] = []

    def __call__(self, _: Checkpoint, kept: Numerics, turn: Callable[[], Store]) -> SmallEngine:
        self.alive.append(sum(engine() is not None for engine in self.engines))
        engine = SmallEngine(kept)
        self.engines.append(weakref.ref(engine))
        self.turns.append(turn)
        return engine

    @property
    def last(self) -> SmallEngine:
        engine = self.engines[-1]()
        assert engine
        return engine


def checkpoint(digit: str = "0") -> Checkpoint:
    """One without files, whose weights are told."""
    made = Checkpoint("small", "sdxl", Path(), {})
    vars(made)["weights"] = Weights(digest=digit * 64, family="sdxl")
    return made


@pytest.fixture
def one() -> Checkpoint:
    return checkpoint()


def ended(warm: Warm, weights: Checkpoint, kept: Numerics, store: Path, lanes: Any = LANES) -> list[Event]:
    """All events of a run of its own."""
    return list(warm.lend(weights, kept, Store(store)).run(lanes))


def test_the_same_weights_and_numerics_are_opened_once_and_each_run_has_its_own_inputs(
    one: Checkpoint, tmp_path: Path
) -> None:
    opening = Opening()
    warm = Warm(opening)
    for name in ("first", "second"):
        made = [event for event in ended(warm, one, numerics(), tmp_path / name) if isinstance(event, Made)]
        assert len(made) == 3
        assert opening.turns[0]().path("a") == tmp_path / name / "pictures/a.png"
    assert opening.alive == [0]


def test_reasons_are_those_of_the_run(one: Checkpoint, tmp_path: Path) -> None:
    """They are written into pictures, and a fresh engine would have had this run's."""
    warm = Warm(Opening())
    ended(warm, one, numerics().because("asked for", lanes=3), tmp_path)
    second = numerics().because("as many as fit", lanes=3)
    events = ended(warm, one, second, tmp_path)
    assert {event.numerics.reasons for event in events if isinstance(event, Made)} == {second.reasons}


@pytest.mark.parametrize("other", ["weights", "numerics"])
def test_the_old_engine_is_gone_before_another_one_is_opened(one: Checkpoint, tmp_path: Path, other: str) -> None:
    opening, freed = Opening(), list[int]()
    warm = Warm(opening, free=lambda: freed.append(gc.collect()))
    ended(warm, one, numerics(), tmp_path)
    weights = checkpoint("1") if other == "weights" else one
    ended(warm, weights, numerics(2 if other == "numerics" else 3), tmp_path)
    assert opening.alive == [0, 0]
    assert len(freed) == 1


def test_a_cancelled_run_keeps_the_engine(one: Checkpoint, tmp_path: Path) -> None:
    opening = Opening()
    warm = Warm(opening)
    with closing(warm.lend(one, numerics(), Store(tmp_path)).run(LANES)) as events:
        assert isinstance(next(events), Stepped)
    ended(warm, one, numerics(), tmp_path)
    assert opening.alive == [0]


class Spoilt(SmallEngine):
    """Ends with an error, or with cells that failed."""

    def __init__(self, kept: Numerics, fault: BaseException | None) -> None:
        super().__init__(kept)
        self._fault = fault

    def run(self, lanes: Any) -> Iterator[Event]:
        yield Loading("unet", 0, 1)
        if self._fault:
            raise self._fault
        yield from (Failed(recipe.key, "no such LoRA") for lane in lanes for recipe in lane)


@pytest.mark.parametrize(
    "fault", [RuntimeError("CUDA error"), KeyboardInterrupt(), None], ids=["error", "stop", "failed"]
)
def test_an_engine_that_may_be_broken_is_not_used_again(
    one: Checkpoint, tmp_path: Path, fault: BaseException | None
) -> None:
    opened: list[int] = []

    def opening(_: Checkpoint, kept: Numerics, __: Any) -> SmallEngine:
        opened.append(1)
        return Spoilt(kept, fault) if len(opened) == 1 else SmallEngine(kept)

    warm = Warm(opening)
    with pytest.raises(type(fault)) if fault else nullcontext():
        ended(warm, one, numerics(), tmp_path)
    events = ended(warm, one, numerics(), tmp_path)
    assert sum(isinstance(event, Made) for event in events) == 3
    assert len(opened) == 2


def with_loras(*files: str) -> list[list[Recipe]]:
    loras = tuple(Lora(file=file * 64, weight=0.5, family="sdxl") for file in sorted(files))
    return [[LANES[0][0].but(loras=loras)]]


def test_loras_that_the_next_run_does_not_name_leave_with_the_engine(one: Checkpoint, tmp_path: Path) -> None:
    """They would take room that a fresh engine had."""
    opening = Opening()
    warm = Warm(opening)
    lent = warm.lend(one, numerics(), Store(tmp_path))
    for files in ("a", "b"):  # two phases of one run: nothing is opened anew between them
        list(lent.run(with_loras(files)))
    assert len(opening.alive) == 1
    ended(warm, one, numerics(), tmp_path, with_loras("a", "b", "c"))
    assert len(opening.alive) == 1
    ended(warm, one, numerics(), tmp_path, with_loras("a", "b"))
    assert opening.alive == [0, 0]


class Tight(SmallEngine):
    """Has no room for its second picture."""

    def run(self, lanes: Any) -> Iterator[Event]:
        made = 0
        for event in super().run(lanes):
            if isinstance(event, Made) and made:
                self.numerics = less_memory(self.numerics)
                yield Shrunk(self.numerics, "out of memory")
            made += isinstance(event, Made)
            yield event


def test_where_memory_runs_out_a_fresh_engine_is_tried_before_numerics_change(one: Checkpoint, tmp_path: Path) -> None:
    opened: list[type] = []
    turns = [Tight, SmallEngine, Tight]

    def opening(_: Checkpoint, kept: Numerics, __: Any) -> SmallEngine:
        opened.append(turns[len(opened)])
        return opened[-1](kept)

    warm = Warm(opening)
    ended(warm, one, numerics(), tmp_path, [LANES[0], [], []])  # one picture: there is room for it
    events = ended(warm, one, numerics(), tmp_path)
    assert not any(isinstance(event, Shrunk) for event in events)
    assert sorted(event.key for event in events if isinstance(event, Made)) == [lane[0].key for lane in LANES]
    assert opened == [Tight, SmallEngine]
    ended(warm, one, numerics(2), tmp_path, [LANES[0], []])
    assert opened == [Tight, SmallEngine, Tight]


def test_a_shortage_of_a_fresh_engine_is_told_and_it_is_not_kept(one: Checkpoint, tmp_path: Path) -> None:
    """A run that ends at this moment leaves an engine whose weights were opened for the larger numerics."""
    opened: list[Numerics] = []

    def opening(_: Checkpoint, kept: Numerics, __: Any) -> SmallEngine:
        opened.append(kept)
        return Tight(kept)

    warm = Warm(opening)
    with closing(warm.lend(one, numerics(), Store(tmp_path)).run(LANES)) as events:
        shrunk = next(event.numerics for event in events if isinstance(event, Shrunk))
    ended(warm, one, shrunk, tmp_path, [LANES[0]])
    assert opened == [numerics(), shrunk]


def test_what_an_engine_holds_counts_as_free_for_the_next_run(one: Checkpoint, tmp_path: Path) -> None:
    """A fake GPU of 24 GB with 20 free, of which an engine takes 8."""
    opening = Opening()

    def held(kind: Kind) -> int:
        return 8 * GIGABYTE if kind == "cuda" and opening.engines and opening.engines[-1]() else 0

    def look(kind: Kind) -> Room:
        return Room(20 * GIGABYTE - held(kind), 30 * GIGABYTE, 32 * GIGABYTE)

    warm = Warm(opening, held=held, look=look)
    cold = warm.look("cuda"), warm.look("cpu")
    ended(warm, one, numerics(), tmp_path)
    assert look("cuda") != cold[0]
    assert (warm.look("cuda"), warm.look("cpu")) == cold
    assert opening.last
    ended(warm, one, numerics().because("it was tight", offload="model"), tmp_path)
    assert (warm.look("cuda"), warm.look("cpu")) == cold
    assert opening.engines[-1]() is None  # weights in main memory cannot be told from the disk's cache


def test_a_device_that_another_process_holds_has_the_room_for_itself(one: Checkpoint, tmp_path: Path) -> None:
    opening = Opening()
    warm = Warm(opening)
    ended(warm, one, numerics(), tmp_path)

    @contextmanager
    def busy(_: Numerics) -> Iterator[None]:
        raise BusyError("held by process 7")
        yield

    with warm.cooling(lambda _: nullcontext())(numerics()):
        assert opening.last
    with pytest.raises(BusyError), warm.cooling(busy)(numerics()):
        pass
    gc.collect()
    assert opening.engines[0]() is None


class Overtaken(SmallEngine):
    """Lets something happen after so many pictures of its first run."""

    does: Callable[[], object] | None = None

    def run(self, lanes: Any) -> Iterator[Event]:
        made = 0
        for event in super().run(lanes):
            yield event
            made += isinstance(event, Made)
            if made == 4 and self.does:
                does, self.does = self.does, None
                does()


def test_an_interactive_job_overtakes_a_sweep_on_the_same_engine_and_no_cell_is_lost(
    queue: Queue, one: Checkpoint, tmp_path: Path
) -> None:
    sweep = added(queue, "sweep")
    opened: list[Overtaken] = []

    def opening(_: Checkpoint, kept: Numerics, __: Any) -> SmallEngine:
        opened.append(Overtaken(kept))
        opened[-1].does = lambda: added(queue, "click", cells=6, priority=INTERACTIVE)
        return opened[-1]

    def reopen(job: Job) -> Prepared:
        return replace(small_run(job), checkpoints={one.weights.identity: one})

    means = Means(reopen, Warm(opening).lend, lambda _: nullcontext())
    Worker(queue, open_log(queue.path.parent), means=means, tell_seconds=0.0).serve(once=True, idle_seconds=0)
    click = queue.job(2)
    assert (click.state, click.done, queue.job(sweep.id).state, queue.job(sweep.id).done) == ("done", 6, "done", 9)
    assert len(opened) == 1
    assert contents(tmp_path / "sweep") == calm(tmp_path / "calm")


class Acting:
    """Opens engines as `lend` does; `does` is called once, in the middle of a picture."""

    def __init__(self, lend: OpenEngine, does: Callable[[], object]) -> None:
        self._lend, self._acts = lend, [does]
        self.loads: list[int] = []
        """Components that each run had to load."""

    def __call__(self, weights: Checkpoint, kept: Numerics, store: Store) -> "Acting":
        self._engine, self.numerics = self._lend(weights, kept, store), kept
        self.loads.append(0)
        return self

    def run(self, lanes: Any) -> Iterator[Event]:
        steps = 0
        with closing(self._engine.run(lanes)) as events:  # type: ignore[type-var]  # a generator
            for event in events:
                yield event
                self.loads[-1] += isinstance(event, Loading)
                steps += isinstance(event, Stepped)
                if steps == 3 and self._acts:
                    self._acts.pop()()


def queued(queue: Queue, name: str, prompt: str, seeds: tuple[int, ...]) -> Job:
    """A small run of the demo checkpoint from a start image of its own."""
    root = queue.path.parent
    image, folder = root / f"{name}.png", root / name
    colour = {"first": (200, 150, 120), "second": (40, 90, 60)}[name]
    Image.new("RGB", (64, 64), colour).save(image)
    draft = Draft(checkpoint="demo-sdxl", prompt=prompt, start=str(image), strength=0.7, width=64, height=64, steps=3)
    sweep = Sweep.over(name, draft, axes=[Axis(fields=("seed",), values=tuple((seed,) for seed in seeds))])
    asked = ask(sweep)
    lay_down(self_contained(sweep, asked.images), folder, asked.images)
    return queue.add(Asked(folder, name, cells=len(seeds), numerics={"device": "cpu"}))


def test_pictures_of_a_kept_engine_have_the_bytes_of_fresh_ones_after_a_cancel_and_with_previews(
    tmp_path: Path,
) -> None:
    """The demo checkpoint: a run cancelled within a picture, another one with its own start image, the first again."""
    made: dict[str, dict[str, Any]] = {}
    warm = Warm(partial(shared_engine, previews=lambda: True))
    for kind, lend in {"kept": warm.lend, "fresh": open_engine}.items():
        (tmp_path / kind).mkdir()
        queue = Queue(tmp_path / kind / "queue.sqlite")
        first = queued(queue, "first", "a face", (1, 2))
        queued(queue, "second", "side light from the left", (3, 4))
        acting = Acting(lend, partial(queue.wish, first.id, "cancel"))
        means = Means(reopened, acting, lambda _: nullcontext())
        worker = Worker(queue, open_log(tmp_path / kind), means=means, tell_seconds=0.0)
        worker.serve(once=True, idle_seconds=0)
        assert queue.job(first.id).state == "cancelled"
        queue.retry(first.id)
        worker.serve(once=True, idle_seconds=0)
        assert [job.state for job in queue.jobs()] == ["done", "done"]
        assert [bool(loads) for loads in acting.loads] == [True, kind == "fresh", kind == "fresh"]
        made[kind] = contents(tmp_path / kind / "first") | contents(tmp_path / kind / "second")
    assert len(made["kept"]) == 4
    assert made["kept"] == made["fresh"]


def test_prompts_of_earlier_runs_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.engine.KEPT_WORDS", 2)
    tiny = tiny_checkpoint("sdxl", tmp_path / "sdxl")
    kept = engine(tiny)

    def read(*prompts: str) -> int:
        events = told(kept, [[recipe(tiny, prompt=prompt, steps=1) for prompt in prompts]])
        assert all(isinstance(event, Made) for event in events if isinstance(event, Made | Failed))
        return sum(isinstance(event, Encoding) for event in events)

    assert read("a", "b", "c", "d") == 4  # what one run needs is never too much
    assert read("d") == 0
    assert read("e") == 1
    assert read("a") == 1


def test_a_run_is_prepared_by_what_it_is_told_is_free(tmp_path: Path) -> None:
    asked: list[Kind] = []

    def look(kind: Kind) -> Room:
        asked.append(kind)
        return Room(GIGABYTE, GIGABYTE, 2 * GIGABYTE)

    sweep = Sweep.over("a", Draft(checkpoint="demo-sdxl", prompt="a face"), axes=[])
    prepare(sweep, tmp_path, asked={"device": "cpu"}, look=look)
    assert asked == ["cpu"]
