"""What is worth keeping for a checkpoint: the Note and the evidence it rests on. Knows nothing about files or runs.

Whatever is not said stays empty: a note with nothing but a remark is a note.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from pipelines import schedulers
from pipelines.frozen import Frozen
from pipelines.recipe import SHA256, FamilyName, Text
from sweeps.findings import Kind, Shown

Steps = Annotated[int, Field(ge=1, le=1000)]
Guidance = Annotated[float, Field(ge=0, le=100)]


def _scheduler(name: str) -> str:
    """Our spelling of any tool's name, with its options; raises RecipeError for one that is not known."""
    if not name:
        return ""
    return schedulers.named(name).text


def _each_once(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stripped for item in items if (stripped := item.strip())))


Scheduler = Annotated[str, AfterValidator(_scheduler)]
Words = Annotated[tuple[Text, ...], AfterValidator(_each_once)]


class Pair(Frozen):
    """Settings that belong together; what is not said is left to the checkpoint. `key`: a picture made with them."""

    steps: Steps | None = None
    guidance: Guidance | None = None
    scheduler: Scheduler = ""
    key: Annotated[str, Field(pattern="^([0-9a-f]{16})?$")] = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.steps is None and self.guidance is None and not self.scheduler:
            raise ValueError("a pair says nothing; give steps, guidance or scheduler")
        return self

    @property
    def text(self) -> str:
        """As a person says it: "24 steps, guidance 4.5, euler"."""
        steps = f"{self.steps} steps" if self.steps is not None else ""
        guidance = f"guidance {self.guidance:g}" if self.guidance is not None else ""
        return ", ".join(filter(None, [steps, guidance, self.scheduler]))

    @property
    def settings(self) -> tuple[int | None, float | None, str]:
        """What it says, without the picture that shows it."""
        return self.steps, self.guidance, self.scheduler


class Window(Frozen):
    """The guidance window: mud below `low`, plastic above `high`; None: that end was not reached."""

    low: Guidance | None = None
    high: Guidance | None = None

    @model_validator(mode="after")
    def _has_ends(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("a window needs low, high or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"a window must begin before it ends; low {self.low:g} is above high {self.high:g}")
        return self

    @property
    def text(self) -> str:
        """As "3 to 6", "from 3" or "up to 6"."""
        if self.low is None:
            return f"up to {self.high:g}"
        return f"from {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"


class NoteEvidence(Frozen):
    """A finding that the note rests on, as it was when it was kept: its words, pictures and circumstances.

    `folder` is where the run lay on the machine that kept it; it never leaves it. `digest` is that of the weights that
    made the pictures, `devices` are "cpu", "mps" or GPU names, `n` counts seeds or pairs. `imported` says when, and
    from whom if that was said, it came from another machine.
    """

    run: str
    folder: str = ""
    kind: Kind
    id: str
    sentence: Text
    held: tuple[tuple[str, str], ...] = ()
    pictures: tuple[Shown, ...] = ()
    n: Annotated[int, Field(ge=0)] = 0
    votes: Annotated[int, Field(ge=0)] = 0
    digest: SHA256
    devices: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    date: str = ""
    validated: str = ""
    imported: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Of the pictures that show it."""
        return tuple(dict.fromkeys(each.key for each in self.pictures))

    @property
    def same(self) -> tuple[str, str]:
        """What tells pieces of evidence apart: the run and the finding in it."""
        return self.run, self.id


class Note(Frozen):
    """What was learned about one checkpoint. `pairs` win in their order, the first is what one starts from.

    `digest` and `quantisation` are the identity of the weights it speaks of, `plateau` the step count to stop at,
    `lights` templates that work, `forbid` what to say no to, `by` who kept it (only if said), `kept` the UTC time of
    the last change as a label.
    """

    checkpoint: Annotated[str, Field(min_length=1)]
    family: FamilyName
    digest: SHA256
    quantisation: str = ""
    pairs: tuple[Pair, ...] = ()
    window: Window | None = None
    plateau: Steps | None = None
    lights: Words = ()
    forbid: Words = ()
    remarks: Text = ""
    evidence: tuple[NoteEvidence, ...] = ()
    by: Text = ""
    kept: str = ""

    @property
    def day(self) -> str:
        """The date of the last change, as people write it in a line."""
        return self.kept[:10] or "without date"

    @property
    def pictures(self) -> tuple[str, ...]:
        """Keys of all pictures that the note rests on, each once."""
        shown = [key for each in self.evidence for key in each.keys]
        return tuple(dict.fromkeys([pair.key for pair in self.pairs if pair.key] + shown))
