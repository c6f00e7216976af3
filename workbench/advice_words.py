"""What the rules of advice share: names, numbers and reasons in words. Knows no rule and no remedy's reason."""

from collections.abc import Iterable, Mapping

from pipelines.repair_words import STRENGTHS, Task
from workbench.advice import Step
from workbench.advice_facts import GOOD_STARS, FaceFacts, Facts, Fault, told
from workbench.face_passes import subject_of

Rests = tuple[tuple[str, str], ...]
OF_SKIN: tuple[Fault, ...] = ("no texture", "noise", "halo")
"""What settings are doubted for. Texture that is soft and resolved is no more than something to lift at the end."""
SAID: Mapping[Fault, str] = {
    "no face": "no face is found",
    "flat light": "the light is flat",
    "no texture": "no texture is resolved",
    "noise": "noise stands for texture",
    "halo": "edges have rims",
}
FEATHER = "feather 0.06"
STRENGTH_STEP = 0.05


def to_know(problem: str, rests_on: Rests, why: str) -> Step:
    return Step(problem, rests_on, "nothing", why)


def in_doubt(facts: Facts) -> tuple[Fault, ...]:
    """The faults that settings are doubted for."""
    return tuple(fault for fault in facts.faults if fault in OF_SKIN or fault == "no face")


def is_asked(facts: Facts) -> bool:
    """Settings are doubted where skin looks wrong, or where nothing of it can be measured."""
    return bool(in_doubt(facts)) or bool(facts.mark and "skin" in facts.mark.faults)


def worst(facts: Facts, fault: Fault) -> tuple[FaceFacts, ...]:
    """The largest face with it, or none: one step a fault."""
    return tuple(sorted(facts.faces_with(fault), key=lambda face: -face.eye_distance)[:1])


def name_of(facts: Facts, face: FaceFacts) -> str:
    return f"face {face.number}" if len(facts.faces) > 1 else "the face"


def also(facts: Facts, fault: Fault) -> str:
    run = facts.run
    if run is None or not run.is_widespread(fault):
        return ""
    return f", as in {run.counts[fault]} of {run.measured} pictures of its run: change the sweep, not this picture"


def because(facts: Facts) -> str:
    if facts.kept_for:
        reasons = {"mark": "it is picked", "stars": f"it has {GOOD_STARS} stars or more"}
        kept = ", ".join(reasons.get(name, f"{name}: {text}") for name, text in facts.kept_for)
        return f"; the composition is worth keeping ({kept})"
    return "" if facts.is_again else "; what made it is not known here"


def figures(face: FaceFacts, *names: str) -> Rests:
    return tuple((name, told(name, value)) for name in names if (value := face.value(name)) is not None)


def figures_of_skin(facts: Facts) -> Rests:
    """The measures that speak against the skin, or that there is no face."""
    face = next(iter(facts.faces_with(*OF_SKIN)), None)
    if face is None:
        return (("faces", "0"),) if not facts.faces else ()
    names = {"no texture": "slope", "noise": "pixel_share", "halo": "halo"}
    return figures(face, *dict.fromkeys(names[fault] for fault in face.faults if fault in names))


def seen(faults: Iterable[Fault]) -> str:
    """Faults of face and skin in words, in their own order."""
    found = set(faults)
    return joined(words for fault, words in SAID.items() if fault in found) or "the skin is in doubt"


def varies(facts: Facts, field: str) -> bool:
    return bool(facts.run and field in facts.run.varied)


def subject(facts: Facts) -> str:
    if facts.light:
        return facts.light.subject
    return subject_of(facts.draft.prompt) if facts.draft else ""


def strengths(task: Task, *, above: float = 0.0) -> dict[str, list[str]]:
    """The strengths of a task, or those of them above one that was tried; at least the highest."""
    known = STRENGTHS[task]
    steps = round((known.high - known.low) / STRENGTH_STEP)
    values = [round(known.low + at * STRENGTH_STEP, 2) for at in range(steps + 1)]
    return {"strength": [", ".join(f"{value:g}" for value in values if value > above) or f"{known.high:g}"]}


def as_text(text: str) -> list[str]:
    return [f"@{text}" if text.startswith("@") else text]


def joined(words: Iterable[str]) -> str:
    """An enumeration, each once."""
    *others, last = dict.fromkeys(words) or [""]
    return f"{', '.join(others)} and {last}" if others else last


def most(facts: Facts) -> str:
    """How common the first fault is that settings are doubted for, where it is the sweep's own."""
    return next((also(facts, fault) for fault in in_doubt(facts)), "")
