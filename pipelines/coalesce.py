"""Stock pipelines side by side, their denoiser calls merged. Knows nothing about families, schedulers or guidance.

Every cell runs an unchanged pipeline on its own thread, used as a coroutine: exactly one thread runs at a time. The
pipeline gets a `twin` of the denoiser, whose forward parks the cell with its arguments. Once every live cell is parked,
calls of one kind are laid side by side into the slots of their lanes, run as one forward, and each cell is handed its
rows and runs on to its next call. One lane holds one cell at a time, so no two rows ever want the same slot.

Rounding depends on the number of rows of a forward and on the slot a row sits in, not on its neighbours. So with more
than one lane every forward has `lanes x lane_width` rows, empty slots filled with copies of a live one, and a cell
gives the same bytes alone, in any company, and after a restart. With one lane a forward has just the call's own rows:
that is the stock pipeline, bit for bit.
"""

import copy
import inspect
import operator
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.utils._pytree import TreeSpec, tree_flatten, tree_map_only, tree_unflatten

TABLES = frozenset({"img_ids", "txt_ids"})
"""Where every token lies: FLUX.1 passes them once for all rows; FLUX.2 for each row, and reads the first's alone."""


class Stop(BaseException):
    """Raised inside a cell's pipeline to end it; no Exception, so that no pipeline swallows it."""


class CellThread:
    """One pipeline on its own thread, run only between `resume` and its next `park`."""

    def __init__(self, name: str, body: Callable[["CellThread"], Any]) -> None:
        self.name = name
        self.events: deque[Any] = deque()
        """What the body reports (steps, previews); handed on after each tick."""
        self.call: Call | None = None
        self.result: Any = None
        self.error: Exception | None = None
        self._reply: Any = None
        self._stopped = False
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._main, args=(body,), name=f"cell-{name}", daemon=True)

    def start(self) -> None:
        """Run the body until it parks or ends."""
        self._thread.start()
        self.resume(None)

    def resume(self, reply: Any) -> None:
        """Give the parked call its answer (an exception is raised there) and run on until the next one, or the end."""
        self._reply, self.call = reply, None
        self._go.release()
        self._back.acquire()

    def park(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Called by the pipeline on the cell's thread: wait until the merged forward has this call's rows."""
        self.call = Call.read(module, args, kwargs)
        self._back.release()
        self._go.acquire()
        if self._stopped:
            raise Stop
        if isinstance(self._reply, Exception):
            raise self._reply
        return self._reply

    def stop(self) -> None:
        """End the cell wherever it is, and wait until its thread is gone."""
        self._stopped = True
        self._go.release()
        self._thread.join()

    def _main(self, body: Callable[["CellThread"], Any]) -> None:
        self._go.acquire()
        try:
            if not self._stopped:
                with torch.no_grad():  # grad mode is per thread
                    self.result = body(self)
        except Stop:
            pass  # asked for: there is no result and no error
        except Exception as error:
            self.error = error
        self.call = None
        self._back.release()


def twin(module: torch.nn.Module, forward: Callable[..., Any]) -> torch.nn.Module:
    """A shallow copy of `module` (same weights, config and class, so pipelines accept it) that answers by `forward`."""
    other = copy.copy(module)
    other._forward_hooks, other._forward_pre_hooks = OrderedDict(), OrderedDict()  # shared ones would fire twice
    other.forward = forward
    return other


@dataclass(frozen=True, eq=False)
class Call:
    """One parked call of a denoiser. Calls of equal `kind` can run as one forward."""

    module: torch.nn.Module
    width: int
    """Rows of this call."""
    spec: TreeSpec
    leaves: tuple[Any, ...]
    batched: tuple[bool, ...]
    """Which leaves have one row a picture; the others are passed once and must be equal."""
    kind: tuple[Any, ...]

    @classmethod
    def read(cls, module: torch.nn.Module, args: Sequence[Any], kwargs: dict[str, Any]) -> "Call":
        """Bind the arguments to names, so that positional and keyword calls become alike, and find the batch axis."""
        names = _parameters(type(module).forward)
        given = dict(zip(names, args, strict=False)) | kwargs
        width = len(given[names[0]])
        if "timestep" in given:
            given["timestep"] = _one_per_row(given["timestep"], width, given[names[0]].device)
        leaves: list[Any] = []
        batched: list[bool] = []
        for name in sorted(given):
            flat = tree_flatten(given[name])[0]
            leaves += flat
            batched += [_is_batched(leaf, width) and name not in TABLES for leaf in flat]
        spec = tree_flatten({name: given[name] for name in sorted(given)})[1]
        looks = tuple(_look(leaf, by_row) for leaf, by_row in zip(leaves, batched, strict=True))
        return cls(module, width, spec, tuple(leaves), tuple(batched), (id(module), spec, looks))


@dataclass(frozen=True)
class Ended:
    """A cell is over: its body's result, or the error that ended it."""

    name: str
    result: Any
    error: Exception | None


@dataclass(frozen=True)
class Reported:
    """Something the body of a cell put into its `events`."""

    name: str
    event: Any


@dataclass
class Tally:
    """What a coalescer has done so far: fill of the slots is rows / slots."""

    calls: int = 0
    forwards: int = 0
    rows: int = 0
    slots: int = 0


class Coalescer:
    """Runs lanes of cells, merging the denoiser calls of the live ones. `lane_width` is the widest call in rows."""

    def __init__(self, lane_width: int) -> None:
        self.lane_width = lane_width
        self.tally = Tally()
        self._compared: dict[tuple[int, int], tuple[bool, torch.Tensor, torch.Tensor]] = {}

    def run(self, lanes: Sequence[Iterable[CellThread]]) -> Generator[Ended | Reported | None, None, None]:
        """Run every lane's cells one after the other, all lanes side by side; None marks a finished tick.

        Closing the generator stops every live cell. torch.OutOfMemoryError of a merged forward ends the run; any other
        error is handed to the cell whose call raises it alone.
        """
        waiting = [iter(lane) for lane in lanes]
        live: list[CellThread | None] = [None] * len(waiting)
        try:
            yield from self._fill(live, waiting)
            while any(live):
                self._tick([(lane, cell.call) for lane, cell in enumerate(live) if cell and cell.call], live)
                yield from self._fill(live, waiting)
                yield None
        finally:
            for cell in live:
                if cell:
                    cell.stop()

    def _fill(
        self, live: list[CellThread | None], waiting: Sequence[Iterator[CellThread]]
    ) -> Iterator[Ended | Reported]:
        """Hand on what the cells report; replace every ended cell by the next of its lane that reaches a call."""
        for lane, cells in enumerate(waiting):
            while True:
                cell = live[lane]
                while cell and cell.events:
                    yield Reported(cell.name, cell.events.popleft())
                if cell and cell.call:
                    break
                live[lane] = None
                if cell:
                    cell.stop()
                    yield Ended(cell.name, cell.result, cell.error)
                live[lane] = following = next(cells, None)
                if following is None:
                    break
                following.start()

    def _tick(self, parked: Sequence[tuple[int, Call]], live: Sequence[CellThread | None]) -> None:
        """One forward for every kind of call now parked."""
        groups: list[list[tuple[int, Call]]] = []
        for lane, call in parked:
            for group in groups:
                if group[0][1].kind == call.kind and self._agree(group[0][1], call):
                    group.append((lane, call))
                    break
            else:
                groups.append([(lane, call)])
        for group in groups:
            self._serve(group, live)

    def _agree(self, a: Call, b: Call) -> bool:
        """Whether what is passed once for all rows is equal."""
        pairs = zip(a.leaves, b.leaves, a.batched, strict=True)
        return all(by_row or not torch.is_tensor(x) or self._same(x, y) for x, y, by_row in pairs)

    def _same(self, a: torch.Tensor, b: torch.Tensor) -> bool:
        """Equality, asked once for each pair of tensors: on a GPU every answer waits for all work in flight."""
        if len(self._compared) > 1000:
            self._compared.clear()
        if (id(a), id(b)) not in self._compared:
            self._compared[id(a), id(b)] = (torch.equal(a, b), a, b)  # held, so that an id never means another tensor
        return self._compared[id(a), id(b)][0]

    def _serve(self, group: Sequence[tuple[int, Call]], live: Sequence[CellThread | None]) -> None:
        """Answer a group; if its forward raises, find the culprit by halves. Padding keeps the number of rows."""
        answers: list[Any] = []
        try:
            answers = self._forward(group, len(live))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            if len(group) == 1:
                answers = [error]
        if not answers:
            middle = len(group) // 2
            self._serve(group[:middle], live)
            self._serve(group[middle:], live)
            return
        for (lane, _), answer in zip(group, answers, strict=True):
            cell = live[lane]
            assert cell is not None
            cell.resume(answer)

    @torch.no_grad()
    def _forward(self, group: Sequence[tuple[int, Call]], lanes: int) -> list[Any]:
        """Lay the calls into their lanes' last slots, run once, cut the output into each call's rows."""
        first, blocks = group[0][1], dict(group)
        assert len(blocks) == len(group), "two calls in one lane"
        assert all(call.width <= self.lane_width for call in blocks.values()), "a call is wider than its lane"
        self.tally.calls += len(group)
        self.tally.rows += sum(call.width for call in blocks.values())
        self.tally.forwards += 1
        if lanes == 1:
            self.tally.slots += first.width
            return [first.module(**tree_unflatten(first.leaves, first.spec))]
        self.tally.slots += lanes * self.lane_width
        leaves = [
            self._lay(blocks, index, lanes) if by_row else leaf
            for index, (leaf, by_row) in enumerate(zip(first.leaves, first.batched, strict=True))
        ]
        output = first.module(**tree_unflatten(leaves, first.spec))
        ends = [((lane + 1) * self.lane_width, call.width) for lane, call in group]
        places = [operator.itemgetter(slice(end - width, end)) for end, width in ends]
        return [tree_map_only(torch.Tensor, place, output) for place in places]

    def _lay(self, blocks: dict[int, Call], index: int, lanes: int) -> torch.Tensor:
        """One argument for all slots: a lane's call sits at its end; what is empty repeats a live row."""
        spare = next(iter(blocks.values())).leaves[index][:1]
        rows: list[torch.Tensor] = []
        for lane in range(lanes):
            call = blocks.get(lane)
            empty = self.lane_width - (call.width if call else 0)
            rows += [spare] * empty
            if call:
                rows.append(call.leaves[index])
        return torch.cat(rows).contiguous()  # cat keeps a layout that all rows share, and the layout changes rounding


@cache
def _parameters(forward: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(forward).parameters)[1:]


def _one_per_row(timestep: Any, width: int, device: torch.device) -> torch.Tensor:
    """Schedulers differ in dtype; float32 holds their integers exactly and lets their calls merge."""
    value = torch.as_tensor(timestep, device=device)
    if value.dtype in (torch.int32, torch.int64, torch.float64):
        value = value.float()
    return value.expand(width) if value.ndim == 0 else value


def _is_batched(leaf: Any, width: int) -> bool:
    return torch.is_tensor(leaf) and leaf.ndim > 0 and leaf.shape[0] == width


def _look(leaf: Any, by_row: bool) -> tuple[Any, ...]:
    if not torch.is_tensor(leaf):
        return (repr(leaf),)
    return by_row, leaf.dtype, str(leaf.device), tuple(leaf.shape[1:] if by_row else leaf.shape)
