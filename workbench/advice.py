"""Advice: what is wrong with one picture, in the order that saves work, and the job that would mend it.

Pure: facts in, steps out. Every step names the measure or recipe field that it rests on. Knows nothing about files or
pixels, and gives no score.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.advice_facts import Facts
from workbench.notes_data import Note

Remedy = Literal["generate-again", "wording", "finish", "inpaint", "reference", "nothing"]
Tab = Literal["create", "sweep", "face", "compare", "runs"]
REF = "REF.jpg"
"""Stands in a command for the photograph that only a person has; NAME for a checkpoint."""
NAME = "NAME"


@dataclass(frozen=True)
class Job:
    """Work that is prepared: the command that does it, and where on the page it is opened.

    `given` are the flags by field, as in a sweep, over the picture's own recipe. `masks` make it a repair. `needs` says
    what a person has to put in first, "" if it runs as it is; `keys` are pictures of the run to look at instead.
    """

    command: tuple[str, ...]
    tab: Tab
    given: tuple[tuple[str, tuple[str, ...]], ...] = ()
    masks: tuple[str, ...] = ()
    needs: str = ""
    keys: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The command as one line for a shell."""
        return shlex.join(self.command)

    @property
    def makes(self) -> bool:
        """Whether it makes pictures as it stands."""
        return bool(self.given or self.masks) and not self.needs


@dataclass(frozen=True)
class Step:
    """One thing that is wrong, or that there is to know, and what mends it.

    `rests_on` names each measure or field with its value as text. Remedy `nothing`: nothing here mends it.
    """

    problem: str
    rests_on: tuple[tuple[str, str], ...]
    remedy: Remedy
    why: str
    job: Job | None = None

    @property
    def can_work(self) -> bool:
        """Whether it is more than something to know."""
        return self.remedy != "nothing"

    @property
    def called(self) -> str:
        """The remedy as people say it."""
        if self.remedy == "nothing":
            return "to know"
        is_there = self.remedy == "generate-again" and self.job and not self.job.given
        return "look" if is_there else self.remedy.replace("-", " ")


Advice = tuple[Step, ...]


def advise(facts: Facts, *, note: Note | None = None) -> Advice:
    """Every step that the rules give, in the order that saves work; `note` is the checkpoint's, if there is one."""
    from workbench.advice_rules import RULES  # reads the skin measures, and so cv2

    return tuple(step for rule in RULES for step in rule(facts, note))


def first(advice: Sequence[Step]) -> Step | None:
    """The advice itself: the first step whose remedy can work. Later ones are for when that did not help."""
    return next((step for step in advice if step.can_work), None)
