"""Rules of advice about the recipe: guidance, steps, adapters and words; what is known, then what must be searched.

Knows nothing about light, repair, files or pixels.
"""

import math
from collections.abc import Iterator, Sequence

from pipelines.lint import lint
from pipelines.recipe import FamilyName
from workbench import advice_jobs as jobs
from workbench.advice import Step, Tab
from workbench.advice_facts import Facts, Sibling
from workbench.advice_words import (
    Rests,
    as_text,
    because,
    figures_of_skin,
    in_doubt,
    is_asked,
    most,
    seen,
    to_know,
    varies,
)  # fmt: skip
from workbench.notes_data import Note, Pair, Window

SHARES = (0.5, 0.75, 1.0, 1.5, 2.0)
"""Of the checkpoint's usual guidance: coarse, to both sides, where nobody has looked for its window yet."""
LOWER = (0.5, 0.65, 0.8, 1.0)
"""Of the picture's own guidance, where rims along its edges speak for too much."""
PLATEAU = "step plateau"
MORE_STEPS = (1.0, 1.5, 2.0)
SEEDS = 3
"""Never a finding from one seed."""
USUAL_GUIDANCE: dict[FamilyName, float] = {"sdxl": 5.0, "flux": 3.5, "flux2": 4.0}
"""Where neither the picture's checkpoint nor its list says one: the families' own defaults."""


def window(facts: Facts, note: Note | None) -> Iterator[Step]:
    """Guidance against the window that the checkpoint's note holds, or the run's findings."""
    found, whose = _window(facts, note)
    guidance = facts.draft.guidance if facts.draft else None
    is_doubted = is_asked(facts) or "small" in facts.faults  # far outside, what is found as a face may be none
    if not is_doubted or found is None or guidance is None or not is_outside(facts, note):
        return
    is_above = found.high is not None and guidance > found.high
    side = "above, where skin turns to plastic" if is_above else "below, where skin turns to mud"
    problem = f"guidance {guidance:g} lies outside this checkpoint's window, {side}"
    rests = (("guidance", f"{guidance:g}"), ("guidance window", f"{found.text}, {whose}"), *figures_of_skin(facts))
    if made := _made_inside(facts, found):
        if not facts.kept_for:
            why = f"the same seed at guidance {made.otherwise[0][1]} is made already: look at both at 1:1 on the cheek"
            yield Step(problem, rests, "generate-again", why, jobs.look(facts, [made.key]))
        return
    inside = _inside(found, note.pairs if note else (), guidance)
    yield from _settings(facts, problem, rests, f"the same seed at {inside:g}, inside the window",
                         {"guidance": [f"{inside:g}"]})  # fmt: skip


def is_outside(facts: Facts, note: Note | None) -> bool:
    """Whether a window is known and the picture's guidance lies outside it."""
    found, _ = _window(facts, note)
    guidance = facts.draft.guidance if facts.draft else None
    if found is None or guidance is None:
        return False
    return guidance > (math.inf if found.high is None else found.high) or guidance < (found.low or 0.0)


def trained(facts: Facts, note: Note | None) -> Iterator[Step]:
    """Guidance against what the checkpoint was trained for, where its list says so."""
    value = facts.draft.guidance if facts.draft else None
    span = facts.usual.trained_guidance if facts.usual else None
    if not is_asked(facts) or _window(facts, note)[0] or span is None or value is None or span[0] <= value <= span[1]:
        return
    near = span[0] if value < span[0] else span[1]
    limits = (("guidance", f"{value:g}"), ("trained guidance", f"{span[0]:g} to {span[1]:g}"))
    problem = f"guidance {value:g} is outside what the checkpoint was trained for"
    rests = (*limits, *figures_of_skin(facts))
    yield from _settings(facts, problem, rests, f"the same seed at {near:g}", {"guidance": [f"{near:g}"]})


def steps(facts: Facts, note: Note | None) -> Iterator[Step]:
    """Steps against the plateau of note or run, else what the checkpoint likes."""
    number = facts.draft.steps if facts.draft else None
    wanted, limit = _enough(facts, note)
    if not is_asked(facts) or number is None or wanted is None:
        return
    rests: Rests = (("steps", str(number)), limit, *figures_of_skin(facts))
    if number < wanted:
        problem = f"{number} steps stop before texture has grown"
        yield from _settings(facts, problem, rests, f"the same seed at {wanted} steps", {"steps": [str(wanted)]})
    elif number > wanted and limit[0] == PLATEAU and facts.faces_with("halo"):
        problem = f"{number} steps are beyond the plateau, where texture is engraved and edges grow rims"
        yield from _settings(facts, problem, rests, f"the same seed at {wanted}", {"steps": [str(wanted)]})


def adapters(facts: Facts, _: Note | None) -> Iterator[Step]:
    """LoRAs beyond the weight they were trained at."""
    text = facts.draft.loras if facts.draft else None
    if not text or text == "none" or not is_asked(facts):
        return
    for part in text.split("+"):
        name, weight = part.rpartition(":")[::2]
        if not name or float(weight) <= 1:
            continue
        softer = "+".join(f"{name}:{{}}" if each == part else each for each in text.split("+"))
        values = ", ".join(softer.format(share) for share in ("0.5", "0.75", "1"))
        yield from _settings(
            facts, f"LoRA {name} acts at {weight}, beyond the 1 it was trained at",
            (("loras", f"{name}:{weight}"), *figures_of_skin(facts)),
            "beyond 1 its own look covers the checkpoint's skin; the same seed at 0.5 to 1", {"loras": [values]},
        )  # fmt: skip


def wording(facts: Facts, note: Note | None) -> Iterator[Step]:
    """Words that no camera can do, and what the note says to forbid."""
    draft, family = facts.draft, facts.family
    if draft is None or not draft.prompt or family is None or not is_asked(facts):
        return
    linted = lint(draft.prompt, family, draft.negative)
    found = [finding for finding in linted.findings if finding.field == "prompt"]
    missing = _unforbidden(note, linted.after.negative) if family == "sdxl" else []
    if not found and not missing:
        return
    negative = ", ".join(filter(None, [linted.after.negative, *missing]))
    given = {"prompt": as_text(linted.after.prompt)} | ({"negative": as_text(negative)} if negative else {})
    words = ", ".join(dict.fromkeys(finding.text for finding in found))
    rests = tuple(("prompt", f"“{finding.text}”: {finding.why or finding.rule}") for finding in found[:4])
    rests += (("note forbids", ", ".join(missing)),) if missing else ()
    why = f"words of retouching bring its skin along; the same seed with: {linted.after.prompt}"
    problem = f"the prompt says {words}" if words else f"the negative does not say {', '.join(missing)}"
    if facts.is_again and not facts.kept_for:
        yield Step(problem, rests, "wording", why, jobs.again(facts, given, tab="create"))
    else:
        yield to_know(problem, rests, f"it changes with a new picture only{because(facts)}")


def guidance_search(facts: Facts, note: Note | None) -> Iterator[Step]:
    """Without a window one picture cannot tell its side: a few values over a few seeds can."""
    if not is_asked(facts) or facts.draft is None or _window(facts, note)[0] or varies(facts, "guidance"):
        return  # a run that varies it holds the answer, or has shown that it is not guidance
    value, usual = facts.draft.guidance, _usual_guidance(facts)
    is_rimmed = bool(facts.faces_with("halo")) and value is not None and value > usual
    if not is_rimmed and not facts.faces_with("no texture") and facts.faces:
        return
    shares = [share * value for share in LOWER] if is_rimmed and value else [share * usual for share in SHARES]
    values = _rounded(shares, least=1.0 if facts.family == "sdxl" else 0.5)
    unknown = f"{seen(in_doubt(facts))}{most(facts)}; nobody has looked for this checkpoint's window"
    problem = f"rims and hard edges at guidance {value:g}" if is_rimmed else unknown
    rests: Rests = (("guidance", f"{value:g}" if value is not None else "not said"), *figures_of_skin(facts))
    why = f"one picture cannot say on which side of the window it lies; guidance {values} over {SEEDS} seeds can"
    yield from _settings(facts, problem, rests, why, {"guidance": [values]}, several=True)


def steps_search(facts: Facts, note: Note | None) -> Iterator[Step]:
    """Whether texture still grows with more steps, where nobody has looked."""
    number = facts.draft.steps if facts.draft else None
    wanted, limit = _enough(facts, note)
    is_known = limit[0] == PLATEAU or varies(facts, "steps")
    if number is None or is_known or number < (wanted or 0) or not facts.faces_with("no texture"):
        return
    values = ", ".join(str(round(number * share)) for share in MORE_STEPS)
    problem = f"{seen(in_doubt(facts))}{most(facts)}; nobody has looked for this checkpoint's step plateau"
    rests: Rests = (("steps", str(number)), *((limit,) if wanted else ()), *figures_of_skin(facts))
    why = f"steps {values} over {SEEDS} seeds show whether texture still grows"
    yield from _settings(facts, problem, rests, why, {"steps": [values], **_kept_inside(facts, note)}, several=True)


def _settings(
    facts: Facts, problem: str, rests: Rests, why: str, given: dict[str, list[str]], *, several: bool = False
) -> Iterator[Step]:
    """A new picture with other settings; only to know where it cannot be made, or is to stay as it is."""
    if not facts.is_again or facts.kept_for:
        yield to_know(problem, (*rests, *facts.kept_for), f"for the next picture{because(facts)}: {why}")
        return
    seed = facts.draft.seed if facts.draft else 0
    seeds = {"seed": [", ".join(str((seed + at) % 2**64) for at in range(SEEDS))]} if several else {}
    tab: Tab = "sweep" if several or any("," in text for texts in given.values() for text in texts) else "create"
    yield Step(problem, rests, "generate-again", why, jobs.again(facts, given | seeds, tab=tab))


def _usual_guidance(facts: Facts) -> float:
    return facts.usual.guidance if facts.usual and facts.usual.guidance else USUAL_GUIDANCE[facts.family or "sdxl"]


def _kept_inside(facts: Facts, note: Note | None) -> dict[str, list[str]]:
    """Guidance inside the window, where one is known and the picture's own lies outside: nobody searches out there."""
    found, _ = _window(facts, note)
    guidance = facts.draft.guidance if facts.draft else None
    if found is None or guidance is None or not is_outside(facts, note):
        return {}
    return {"guidance": [f"{_inside(found, note.pairs if note else (), guidance):g}"]}


def _rounded(values: list[float], *, least: float) -> str:
    """Halves and quarters, as people write them, each once."""
    kept = sorted({max(least, round(value * 4) / 4) for value in values})
    return ", ".join(f"{value:g}" for value in kept)


def _window(facts: Facts, note: Note | None) -> tuple[Window | None, str]:
    """The guidance window that is known, and by what; the note goes before the run."""
    if note and note.window:
        return note.window, f"note of {note.checkpoint}, {note.day}"
    return (facts.run.window if facts.run else None), "findings of this run"


def _made_inside(facts: Facts, found: Window) -> Sibling | None:
    """A picture of the run that differs in guidance alone and lies in the window."""
    low, high = found.low or 0.0, found.high if found.high is not None else math.inf
    for other in facts.run.siblings if facts.run else ():
        names = [name for name, _ in other.otherwise]
        is_seen = {"no face", "small"}.isdisjoint(other.faults)
        if names == ["guidance"] and is_seen and low <= float(other.otherwise[0][1]) <= high:
            return other
    return None


def _enough(facts: Facts, note: Note | None) -> tuple[int | None, tuple[str, str]]:
    """How many steps there should be, and by what: the note, the run's findings, or what the checkpoint likes."""
    if note and note.plateau:
        return note.plateau, (PLATEAU, f"{note.plateau}, note of {note.checkpoint}, {note.day}")
    if facts.run and facts.run.plateau:
        return facts.run.plateau, (PLATEAU, f"{facts.run.plateau}, findings of this run")
    usual = facts.usual.steps if facts.usual else None
    return usual, ("usual steps", str(usual))


def _inside(window: Window, pairs: Sequence[Pair], guidance: float) -> float:
    """The note's own winning guidance where it lies in the window, else the end that is near."""
    low, high = window.low, window.high
    for pair in pairs:
        won = pair.guidance
        if won is not None and (low is None or won >= low) and (high is None or won <= high):
            return won
    end = high if high is not None and guidance > high else low
    assert end is not None, "outside a window one end is known"
    return end


def _unforbidden(note: Note | None, negative: str | None) -> list[str]:
    return [word for word in (note.forbid if note else ()) if word.casefold() not in (negative or "").casefold()]
