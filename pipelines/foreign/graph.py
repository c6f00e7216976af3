"""A ComfyUI API graph: nodes, links, and values behind links. Knows nothing about samplers or prompts.

Every step along a link is counted and depth is limited, so that cycles and diamonds end in one line.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pipelines.errors import InputError
from pipelines.foreign.ledger import number, whole
from pipelines.foreign.said import Unmapped

T = TypeVar("T")
MOST_NODES = 20_000
MOST_STEPS = 30_000
DEEPEST = 150  # links from a saved picture to the last loader; large graphs with reroutes have about 60
LONGEST_TEXT = 1_000_000
_TEXTS = ("populated_text", "value", "string", "text", "String", "prompt", "text_0", "text2", "Text")
_NUMBERS = ("value", "seed", "noise_seed", "number", "int", "float", "Number", "Value", "seed_num")
_JOINED = (
    ("string_a", "string_b"),
    ("string1", "string2"),
    ("text_a", "text_b", "text_c", "text_d"),
    ("text1", "text2"),
)


class Link(NamedTuple):
    """Output number `output` of the node `id`."""

    id: str
    output: int


class Node(NamedTuple):
    """One node; `inputs` holds values and links."""

    id: str
    kind: str
    inputs: Mapping[str, Any]

    @property
    def label(self) -> str:
        """As a person finds it in the editor."""
        return f"node {self.id} {self.kind}"


class Graph:
    """The nodes by id, which of their inputs were read, and what found no place; `others` are no nodes."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self.nodes: dict[str, Node] = {}
        self.seen: set[str] = set()
        self.unmapped: list[Unmapped] = []
        self._read: set[tuple[str, str]] = set()
        self._steps = 0
        if len(entries) > MOST_NODES:
            raise InputError(f"its graph has {len(entries):,} nodes; allowed: {MOST_NODES:,}")
        self.others: dict[str, Any] = {}
        for name, entry in entries.items():
            if isinstance(entry, dict) and isinstance(kind := entry.get("class_type"), str):
                inputs = entry.get("inputs")
                self.nodes[str(name)] = Node(str(name), kind, inputs if isinstance(inputs, dict) else {})
            else:
                self.others[name] = entry

    def link(self, value: Any) -> Link | None:
        """The link that a value is; None for a plain value, or a link to a node that is not there."""
        if not isinstance(value, list) or len(value) != 2:
            return None
        name, output = str(value[0]) if isinstance(value[0], str | int) else "", whole(value[1], 0, 1000)
        return Link(name, output) if name in self.nodes and output is not None else None

    def follow(self, value: Any, depth: int) -> tuple[Node, int] | None:
        """The node behind a link and the output number; None for a plain value. Raises InputError when too deep."""
        found = self.link(value)
        if found is None:
            return None
        self._steps += 1
        if depth > DEEPEST or self._steps > MOST_STEPS:
            raise InputError(f"its graph goes in circles or is deeper than {DEEPEST} links (node {found.id[:40]})")
        self.seen.add(found.id)
        return self.nodes[found.id], found.output

    def take(self, node: Node, *names: str) -> Any:
        """The first of these inputs that is there, crossed off; None if none is."""
        for name in names:
            if name in node.inputs:
                self._read.add((node.id, name))
                return node.inputs[name]
        return None

    def whole(self, node: Node, *names: str, low: int = 0, high: int = 2**64 - 1) -> int | None:
        """The first of these inputs as a whole number, behind links if need be; listed as unmapped if it is none."""
        return self._checked(node, names, lambda value: whole(value, low, high), f"whole number from {low} to {high}")

    def number(self, node: Node, *names: str, low: float = 0, high: float = 100) -> float | None:
        """The same for a number."""
        return self._checked(node, names, lambda value: number(value, low, high), f"number from {low:g} to {high:g}")

    def text(self, value: Any, depth: int = 0) -> str | None:
        """A text, or the text that a node behind a link holds or joins; None where it is not in the graph."""
        if isinstance(value, str):
            return value
        if not (found := self.follow(value, depth)):
            return None
        node, _ = found
        if (names := _joined(node)) and (joined := self._join(node, names, depth)) is not None:
            return joined
        for name in _TEXTS:
            if name in node.inputs and (text := self.text(self.take(node, name), depth + 1)) is not None:
                return text
        return None

    def left(self) -> Iterator[tuple[Node, str, Any]]:
        """Plain inputs of nodes that were walked over and not read."""
        for name in self.nodes:
            if name in self.seen:
                node = self.nodes[name]
                for key, value in node.inputs.items():
                    if (name, key) not in self._read and self.link(value) is None:
                        yield node, key, value

    def aside(self) -> tuple[Node, ...]:
        """Nodes that no walk came by."""
        return tuple(node for name, node in self.nodes.items() if name not in self.seen)

    def linked(self) -> set[str]:
        """Ids of nodes that another node takes something from."""
        links = (self.link(value) for node in self.nodes.values() for value in node.inputs.values())
        return {link.id for link in links if link}

    def _checked(self, node: Node, names: tuple[str, ...], read: Callable[[Any], T | None], kind: str) -> T | None:
        name = next((name for name in names if name in node.inputs), "")
        value = self.take(node, name)
        plain = self._plain(value, 0)
        found = read(plain)
        if found is None and value is not None:
            why = f"is no {kind} that stands in the graph"
            self.unmapped.append(Unmapped.of(f"{node.label} {name}", value if plain is None else plain, why))
        return found

    def _plain(self, value: Any, depth: int) -> Any:
        if not (found := self.follow(value, depth)):
            return value
        name = next((name for name in _NUMBERS if name in found[0].inputs), "")
        return self._plain(self.take(found[0], name), depth + 1) if name else None

    def _join(self, node: Node, names: tuple[str, ...], depth: int) -> str | None:
        parts = [self.text(self.take(node, name), depth + 1) for name in names if name in node.inputs]
        between = self.take(node, "delimiter", "separator")
        whole_text = (
            (between if isinstance(between, str) else "").replace("\\n", "\n").join(part or "" for part in parts)
        )
        if len(whole_text) > LONGEST_TEXT:
            raise InputError(f"its graph joins texts to more than {LONGEST_TEXT:,} characters")
        return None if None in parts else whole_text


def _joined(node: Node) -> tuple[str, ...]:
    """The inputs that a node of any pack joins into one text; none if it does not."""
    is_joining = any(word in node.kind.casefold() for word in ("concat", "join", "combine"))
    return next((names for names in _JOINED if is_joining and names[0] in node.inputs and names[1] in node.inputs), ())
