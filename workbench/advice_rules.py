"""The rules of advice in the order that saves work, and those about what can be seen at all, the run, and light.

Only rules that measures are trusted with fire alone (`pipelines.skin`); whatever is relative asks for a comparison.
Knows nothing about files or pixels.
"""

from collections.abc import Callable, Iterator

from pipelines import prompts, skin
from workbench import advice_jobs as jobs
from workbench.advice import Job, Step
from workbench.advice_facts import Facts, Fault, Sibling, told
from workbench.advice_mends import noise, reference, repair, sharpening, ticked
from workbench.advice_settings import (
    adapters,
    guidance_search,
    is_outside,
    steps,
    steps_search,
    trained,
    window,
    wording,
)
from workbench.advice_words import (
    FEATHER,
    OF_SKIN,
    Rests,
    also,
    because,
    figures,
    figures_of_skin,
    in_doubt,
    is_asked,
    joined,
    most,
    name_of,
    seen,
    strengths,
    subject,
    to_know,
    worst,
)  # fmt: skip
from workbench.face_passes import NEW_LIGHT
from workbench.notes_data import Note

Rule = Callable[[Facts, Note | None], Iterator[Step]]

SIDE_LIGHTS = ("window", "rembrandt", "raking")
"""Shipped templates from soft to hard, all from the side."""
MORE_LIGHT, LESS_LIGHT = "-1", "1.5"
"""EV of the lit skin below middle grey, and stops of the shadow under the key."""


def unsaid(facts: Facts, _: Note | None) -> Iterator[Step]:
    """What a picture that does not say how it was made still lets one do."""
    if facts.unsaid:
        yield to_know(
            "the picture does not say what made it" if facts.draft is None else "its checkpoint is not known here",
            (("recipe", facts.unsaid),),
            "it can be measured and repaired, not made again: for that give the file as it was written, or name a "
            "checkpoint",
        )


def faceless(facts: Facts, _: Note | None) -> Iterator[Step]:
    """No face: nothing of skin can be said, and nothing is guessed."""
    if not facts.faces:
        yield Step(
            "no face was found, so skin and light are not measured",
            (("faces", "0"),),
            "nothing",
            "what is advised rests on the recipe alone; look harder for a face, or paint the mask of a repair by hand",
            jobs.search(facts),
        )


def sibling(facts: Facts, note: Note | None) -> Iterator[Step]:
    """Another picture of the same run and seed that has none of it: nothing need be made."""
    mine = set(facts.faults) & {*OF_SKIN, "no face", "flat light"}
    if not mine or not facts.run or facts.kept_for or is_outside(facts, note):
        return
    for other in facts.run.siblings:
        if not _is_better(other, mine):
            continue
        otherwise = ", ".join(f"{name} {text}" for name, text in other.otherwise)
        slope = (("slope there", told("slope", other.slope)),) if other.slope is not None else ()
        yield Step(
            f"{seen(mine)}; the picture of the same seed with {otherwise} does better",
            (("run", facts.run.name), *other.otherwise, *slope),
            "generate-again",
            "it is made already: look at both at 1:1 on the cheek before anything is made anew",
            jobs.look(facts, [other.key]),
        )
        return


def ticked_light(facts: Facts, note: Note | None) -> Iterator[Step]:
    """A person ticked the light: their eyes count before any number."""
    if facts.mark and "light" in facts.mark.faults and not facts.faces_with("flat light"):
        yield from _new_light(facts, note, "the light is marked as a fault", (("mark", "light"),))


def flat_light(facts: Facts, note: Note | None) -> Iterator[Step]:
    """Light first: nothing later mends it, and with it every measure of skin changes."""
    for face in worst(facts, "flat light"):
        problem = f"the light on {name_of(facts, face)} is flat or frontal{also(facts, 'flat light')}"
        yield from _new_light(facts, note, problem, figures(face, "side_ev", "shading"))


def exposure(facts: Facts, _: Note | None) -> Iterator[Step]:
    """Skin that is burnt or black: there is nothing to measure or to repair."""
    cases: tuple[tuple[Fault, str, str, str, str], ...] = (
        ("burnt", "clipped_high", "skin_stops", MORE_LIGHT, "is burnt out: there is no skin left in it"),
        ("black", "clipped_low", "fill_stops", LESS_LIGHT, "is sunk in black: nothing is drawn there"),
    )
    for fault, measure, field, value, said in cases:
        for face in worst(facts, fault):
            problem = f"part of {name_of(facts, face)} {said}{also(facts, fault)}"
            rests = figures(face, measure)
            if facts.is_again and not facts.kept_for:
                given = {**jobs.lit(facts.light, template=NEW_LIGHT, subject=subject(facts)), f"light.{field}": [value]}
                why = f"{field} {value} in the light template moves the exposure; a repair begins from what is there"
                yield Step(problem, rests, "generate-again", why, jobs.again(facts, given, tab="create"))
            else:
                yield to_know(problem, rests, f"no repair brings it back{because(facts)}; develop it darker or lighter "
                            "from the original, if there is one")  # fmt: skip


def small(facts: Facts, _: Note | None) -> Iterator[Step]:
    """A face of few pixels has no pores, whatever the settings."""
    for face in worst(facts, "small"):
        if len(facts.faces) > 1 and facts.largest != face:
            continue  # bystanders are small on purpose
        problem = f"{name_of(facts, face)} is too small for pores{also(facts, 'small')}"
        rests: Rests = (("eye distance", f"{face.eye_distance:.0f} px (pores are measured from {skin.EYES_PX})"),)
        if facts.is_again and not facts.kept_for:
            yield Step(problem, rests, "generate-again", *_closer(facts))
        masks = [f"face{face.number}.skin; {FEATHER}"]
        why = (
            "the face alone is drawn at the checkpoint's own size and laid back: cleaner features, but not more pixels "
            "than it has in the picture"
        )
        yield Step(problem, (*rests, *facts.kept_for), "inpaint", why, jobs.repair(facts, masks, strengths("skin")))


def findings(facts: Facts, note: Note | None) -> Iterator[Step]:
    """The run varies what is in doubt, and nobody has asked it yet: that costs no picture at all."""
    run = facts.run
    varied = [field for field in ("guidance", "steps", "scheduler") if run and field in run.varied]
    if not run or not varied or run.has_findings or not is_asked(facts) or note:
        return
    yield Step(
        f"{seen(in_doubt(facts))}{most(facts)}; this run varies {joined(varied)} but nobody has asked what it says",
        (("run", f"{run.name}, {run.measured} pictures measured"), *figures_of_skin(facts)),
        "generate-again",
        "measuring what is made costs no picture: its findings name the guidance window or the step plateau, and the "
        "cells to add where it is not clear",
        jobs.find(facts),
    )


def sound(facts: Facts, note: Note | None) -> Iterator[Step]:
    """Nothing that the trusted rules can see."""
    face = facts.largest
    if face is None or facts.faults or (facts.mark and facts.mark.faults):
        return
    at = facts.draft.guidance if facts.draft else None
    inside = (
        (("guidance", f"{at:g}, note's window {note.window.text}"),) if note and note.window and at is not None else ()
    )
    yield to_know(
        "nothing that can be measured is wrong with this picture",
        (*figures(face, "slope", "texture", "pixel_share", "side_ev"), *inside),
        "numbers do not see everything: look at the cheek at 1:1, beside others of its run, and vote blind",
    )


def _new_light(facts: Facts, note: Note | None, problem: str, rests: Rests) -> Iterator[Step]:
    if not facts.is_again or facts.kept_for:
        yield to_know(problem, (*rests, *facts.kept_for), f"a repair keeps this light{because(facts)}")
        return
    own = facts.light.name if facts.light else ""
    lights = [name for name in (note.lights if note and note.lights else SIDE_LIGHTS) if name != own]
    known = [name for name in lights if name in prompts.names()] or [NEW_LIGHT]
    given = {"light": [", ".join(known)], "subject": [subject(facts)]}
    by = "templates that work with this checkpoint, says its note" if note and note.lights else "from soft to hard"
    told = f"the same seed under {', '.join(known)} ({by})"
    why = f"light comes first: nothing later mends it, and skin reads otherwise under it; {told}"
    yield Step(problem, rests, "generate-again", why, jobs.again(facts, {k: v for k, v in given.items() if v[0]}))


def _closer(facts: Facts) -> tuple[str, Job]:
    """Why, and the job: at the checkpoint's own size if it was made smaller, else framed closer."""
    usual, draft = facts.usual, facts.draft
    if usual and draft and (draft.width or 0) * (draft.height or 0) < usual.width * usual.height / 2:
        given = {"width": [str(usual.width)], "height": [str(usual.height)]}
        return f"the checkpoint's own size is {usual.width}x{usual.height}: more pixels for the face", jobs.again(
            facts, given, tab="create"
        )
    given = {**jobs.lit(facts.light, template=NEW_LIGHT, subject=subject(facts)), "light.shot": ["close-up"]}
    return "framed as a close-up the same face gets several times the pixels", jobs.again(facts, given, tab="create")


def _is_better(other: Sibling, mine: set[Fault]) -> bool:
    """Whether it was measured and shows none of these, nor the lesser of them."""
    if mine & set(other.faults) or "no face" in other.faults or "small" in other.faults:
        return False
    return mine.isdisjoint(OF_SKIN) or (other.slope is not None and {*OF_SKIN, "soft"}.isdisjoint(other.faults))


RULES: tuple[Rule, ...] = (
    unsaid, faceless, sibling, findings, ticked_light, flat_light, exposure, window, small, trained, steps, adapters,
    wording, guidance_search, steps_search, ticked, repair, reference, noise, sharpening, sound,
)  # fmt: skip
"""In the order that saves work: what costs no picture, then one picture each from what is known (light, guidance,
steps, words), then what must be searched for over seeds, then one face, then what is done to the finished picture."""
