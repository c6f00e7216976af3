"""Conditions that keep or drop cells, as in `guidance <= 4 or steps >= 20`. Knows nothing about sweeps or plans.

The grammar wanted is a small part of Python's, so Python's own parser reads it (precedence, chained comparisons and
positions are right from the start) and nothing is ever evaluated: what is not listed here is refused when it is read.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipelines import schedulers
from pipelines.draft import LIGHT, Draft, Settled
from pipelines.errors import InputError, SweepError
from pipelines.prompts import Light
from sweeps.axes import KINDS
from sweeps.ranges import SPAN, Value, label

Values = Mapping[str, int | float | str | None]
"""A cell's value of every field of a Draft, by name."""
Test = Callable[[Values], bool]

AS_WRITTEN = (
    "checkpoint", "start", "mask", "strength", "context", "reference", "reference_weight", "reference_role",
    "reference_by", "scheduler", "loras", "light", "subject",
)  # fmt: skip
"""Fields that are compared as they stand in the draft."""
LONGEST = 2000  # characters: far below where Python's parser would run out of stack
ORDERS: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
LIKE = "like: guidance <= 4 or steps >= 20"
HELP = (
    "A condition compares fields: guidance <= 4 or steps >= 20; 2 < guidance < 5; scheduler in ('euler', 'heun'); "
    "'freckles' in prompt; not (seed == 7); strength == none; light.direction == 'front'. checkpoint, start, mask, "
    "loras and subject are compared as they were written, all else as it will be run."
)
"""The grammar as a person reads it."""


@dataclass(frozen=True)
class Condition:
    """A condition that was read and makes sense."""

    text: str
    holds: Test
    """Whether the cell with these values meets it; raises SweepError where a field that has no value is ordered."""


class Term(NamedTuple):
    """One side of a comparison: a field, or a value that was written."""

    kind: str
    field: str | None
    value: int | float | str | None


def condition(text: str) -> Condition:
    """Read a condition; raises SweepError with the character where it stops making sense."""
    for odd in ("\\", "#"):
        if odd in text:
            raise SweepError(
                f"condition '{text}', character {text.index(odd) + 1}: {odd} means nothing here; leave it out"
            )
    if not text.strip() or len(text) > LONGEST:
        raise SweepError(f"a condition has 1 to {LONGEST} characters, not {len(text.strip())}; write it {LIKE}")
    line = text.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    try:
        tree = ast.parse(line.lstrip(), mode="eval")
    except SyntaxError as error:
        at = min(len(line) - len(line.lstrip()) + (error.offset or 1), len(line))
        why = "one = compares nothing; write ==" if line[at - 1] == "=" else f"ends making sense; write it {LIKE}"
        raise SweepError(f"condition '{text}', character {at}: {why}") from None
    except (RecursionError, MemoryError, ValueError):
        raise SweepError(f"condition '{text}': is too deeply nested to be read; write it {LIKE}") from None
    return Condition(text, _Reader(text, line).truth(tree.body))


def values_of(draft: Draft, settled: Settled | None) -> Values:
    """What conditions see of a cell; if it cannot be made (None), what the draft says, None where it is silent."""
    values: dict[str, int | float | str | None] = {}
    for field in KINDS:
        if field.startswith(LIGHT):
            values[field] = _of_light(field, draft, settled and settled.light)
            continue
        value = draft.value(field) if settled is None or field in AS_WRITTEN else getattr(settled.recipe, field)
        values[field] = label(value) if isinstance(value, tuple) else value
    if settled:
        values["scheduler"] = settled.recipe.scheduler.name
        values["strength"] = settled.recipe.start.strength if settled.recipe.start else None
        for reference in settled.recipe.references:
            values |= {"reference_weight": reference.weight, "reference_by": reference.mechanism}
    elif draft.scheduler:
        values["scheduler"] = _canonical(draft.scheduler) or draft.scheduler
    return values


def _of_light(field: str, draft: Draft, light: Light | None) -> float | str | None:
    """The value that the template has in the end, or what the draft says where nothing is settled."""
    said = getattr(light, field.removeprefix(LIGHT)) if light else draft.value(field)
    if isinstance(said, tuple):
        return "; ".join(said)
    return float(said) if said is not None and KINDS[field] == "number" else said


def _canonical(name: str) -> str | None:
    try:
        return schedulers.named(name).name
    except InputError:
        return None


class _Reader:
    """Turns a parsed condition into a test, piece by piece."""

    def __init__(self, text: str, line: str) -> None:
        self.text = text
        self.line = line.lstrip()
        self.indent = len(line) - len(self.line)

    def fault(self, node: ast.expr, message: str) -> SweepError:
        """An error that points at the node."""
        at = len(self.line.encode()[: node.col_offset].decode()) + self.indent + 1
        return SweepError(f"condition '{self.text}', character {at}: {message}")

    def truth(self, node: ast.expr) -> Test:
        """What is true or false: comparisons, and, or, not."""
        match node:
            case ast.BoolOp(op=ast.And()):
                tests = [self.truth(part) for part in node.values]
                return lambda values: all(test(values) for test in tests)
            case ast.BoolOp():
                tests = [self.truth(part) for part in node.values]
                return lambda values: any(test(values) for test in tests)
            case ast.UnaryOp(op=ast.Not()):
                inner = self.truth(node.operand)
                return lambda values: not inner(values)
            case ast.Compare():
                sides = [node.left, *node.comparators]
                tests = [self.compare(a, op, b) for a, op, b in zip(sides, node.ops, sides[1:], strict=False)]
                return lambda values: all(test(values) for test in tests)
        given = ast.get_source_segment(self.line, node)
        raise self.fault(node, f"{given} alone is neither true nor false; compare it, as in steps >= 20")

    def compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Test:
        """One comparison."""
        if isinstance(op, ast.In | ast.NotIn):
            inside = self.membership(left, right)
            return inside if isinstance(op, ast.In) else lambda values: not inside(values)
        if isinstance(op, ast.Eq | ast.NotEq):
            a, b = self.alike(left, right)
            wanted = isinstance(op, ast.Eq)
            return lambda values: (_value(a, values) == _value(b, values)) == wanted
        if type(op) not in ORDERS:
            raise self.fault(right, "is not a comparison here; allowed: == != < <= > >= in, not in")
        return self.order(left, ORDERS[type(op)], right)

    def order(self, left: ast.expr, compare: Callable[[float, float], bool], right: ast.expr) -> Test:
        """< <= > >= between numbers."""
        a, b = self.term(left), self.term(right)
        for node, term in ((left, a), (right, b)):
            if term.kind != "number":
                raise self.fault(node, f"{_name(term)} is no number, so it has no order; use ==, != or in")
        return lambda values: compare(_number(a, values, self.text), _number(b, values, self.text))

    def membership(self, left: ast.expr, right: ast.expr) -> Test:
        """`field in (values)`, or `'words' in field`."""
        if isinstance(right, ast.Name | ast.Attribute) and (field := ast.unparse(right)) in KINDS:
            part, whole = self.term(left), self.term(right)
            if part.kind != "text" or whole.kind != "text":
                raise self.fault(right, f"{field} holds no list; write 'words' in prompt, or steps in (20, 30)")
            return lambda values: str(_value(part, values)) in str(_value(whole, values) or "")
        members = right.elts if isinstance(right, ast.Tuple | ast.List) else [right]
        pairs = [self.alike(left, member) for member in members]
        return lambda values: any(_value(a, values) == _value(b, values) for a, b in pairs)

    def alike(self, left: ast.expr, right: ast.expr) -> tuple[Term, Term]:
        """Two sides that can be equal: of one kind, spelled in one way."""
        a, b = self.term(left), self.term(right)
        if a.kind != b.kind and "none" not in (a.kind, b.kind):
            raise self.fault(right, f"{_name(a)} is a {a.kind} and {_name(b)} a {b.kind}; they are never equal")
        return self.spelled(left, a, b), self.spelled(right, b, a)

    def spelled(self, node: ast.expr, term: Term, other: Term) -> Term:
        """A written value in the spelling that the other side's field uses."""
        if term.field or not isinstance(term.value, str):
            return term
        if other.field == "scheduler":
            if ":" in term.value:
                raise self.fault(node, f"{term.value!r}: conditions compare a scheduler's name; leave out its options")
            try:
                return term._replace(value=schedulers.named(term.value).name)
            except InputError as error:
                raise self.fault(node, str(error)) from None
        if other.field == "guidance_interval":
            span = SPAN.fullmatch(term.value)
            if span is None:
                raise self.fault(node, f"{term.value!r} is no span; write '0..0.6'")
            return term._replace(value=label((float(span[1]), float(span[2]))))
        return term

    def term(self, node: ast.expr) -> Term:
        """A field, a number, a text or none."""
        match node:
            case ast.Name(id="none") | ast.Constant(value=None):
                return Term("none", None, None)
            case ast.Name() | ast.Attribute(value=ast.Name()):
                name = ast.unparse(node)
                if name not in KINDS:
                    known = ", ".join(KINDS)
                    raise self.fault(node, f"{name} is no field; put text in quotes, or take one of: {known}")
                return Term("number" if KINDS[name] in ("whole", "number") else "text", name, None)
            case ast.Constant(value=bool()):
                raise self.fault(node, "no field is true or false; compare with a number or a 'text'")
            case ast.Constant(value=int() | float() as number):
                return Term("number", None, number)
            case ast.Constant(value=str() as words):
                return Term("text", None, words)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return Term("number", None, -number)
        given = ast.get_source_segment(self.line, node)
        raise self.fault(node, f"{given} is not allowed here; a side is a field, a number, a 'text' or none")


def _name(term: Term) -> str:
    return term.field or ("none" if term.value is None else repr(term.value))


def _value(term: Term, values: Values) -> Value | None:
    return values[term.field] if term.field else term.value


def _number(term: Term, values: Values, text: str) -> float:
    value = _value(term, values)
    if not isinstance(value, int | float):
        raise SweepError(
            f"condition '{text}': {term.field} has no value in some cells; ask {term.field} != none and ..."
        )
    return value
