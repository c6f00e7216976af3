"""The later rules of advice: repair of the face alone, a reference's skin, and what is left to do by hand at the end.

Knows nothing about recipes' settings (`workbench.advice_rules`), files or pixels.
"""

from collections.abc import Iterator

from pipelines.repair_words import STRENGTHS, Task
from workbench import advice_jobs as jobs
from workbench.advice import Step
from workbench.advice_facts import FaceFacts, Facts
from workbench.advice_words import (
    FEATHER,
    Rests,
    also,
    because,
    figures,
    joined,
    name_of,
    strengths,
    to_know,
    worst,
)
from workbench.notes_data import Note

FLAW_TASKS: dict[str, Task] = {"eyes": "eyes", "teeth": "mouth", "neck": "neck", "skin": "skin"}
"""What a person ticks, and the region whose repair mends it."""
NO_FINISH = "Sidelight's own finishing is not there yet"


def repair(facts: Facts, _: Note | None) -> Iterator[Step]:
    """The face alone, where the rest is worth keeping, or where nothing before it helped."""
    bad = tuple(face for face in facts.faces_with("no texture") if "small" not in face.faults)
    if not bad:
        return
    is_all = len(bad) == len(facts.faces)
    done = facts.draft.strength if facts.draft and facts.began == "mask" else None
    if done is not None and done >= STRENGTHS["skin"].high:
        return  # it was repaired as strongly as the face stays itself: only a reference is left
    who = "all faces" if is_all and len(bad) > 1 else joined({name_of(facts, face) for face in bad})
    problem = f"no texture is resolved in the skin of {who}"
    if len(bad) < len(facts.faces):
        problem += f", not of the other {len(facts.faces) - len(bad)}"
    masks = [f"face{face.number}.skin; {FEATHER}" for face in bad]
    given = strengths("skin", above=done or 0.0)
    reason = because(facts).removeprefix("; ") or (
        "the other faces are right" if not is_all else "for when a new picture did not help or this one is to stay"
    )
    rests = (*figures(bad[0], "slope", "texture"), *facts.kept_for, *((("strength", f"{done:g}"),) if done else ()))
    yield Step(
        problem, rests, "inpaint",
        f"{reason}: the skin alone is repainted at strength {given['strength'][0]}, every byte outside the mask stays, "
        f"light and shadow too{_one_each(bad)}", jobs.repair(facts, masks[:1], given),
    )  # fmt: skip


def ticked(facts: Facts, _: Note | None) -> Iterator[Step]:
    """What a person ticked in one region: a repair of that region."""
    face = facts.largest
    for flaw in facts.mark.faults if facts.mark else ():
        task = FLAW_TASKS.get(flaw)
        if flaw == "light" or (flaw == "skin" and face and "no texture" in face.faults):
            continue
        rests: Rests = (("mark", flaw), *facts.kept_for)
        if task is None or face is None:
            why = "no region of a face: paint the mask over it in the Face tab, or generate again with another seed"
            yield to_know(f"{flaw} {'is' if flaw in ('hair', 'fabric') else 'are'} marked as a fault", rests, why)
            continue
        mask = f"face{face.number}.{'mouth' if flaw == 'teeth' else flaw}; {FEATHER}"
        why = f"one region is wrong and the rest is not: the {task} at strength {strengths(task)['strength'][0]}"
        yield Step(f"{flaw} marked as a fault", rests, "inpaint", why, jobs.repair(facts, [mask], strengths(task)))


def reference(facts: Facts, _: Note | None) -> Iterator[Step]:
    """Pores from a photograph, where the checkpoint has none to give."""
    bad = tuple(face for face in facts.faces_with("no texture") if "small" not in face.faults)
    if not bad:
        return
    given = {"strength": [f"{STRENGTHS['skin'].usual:g}"], "reference_weight": ["0.4..0.6:0.1"]}
    yield Step(
        f"no texture in the skin of {name_of(facts, bad[0])}, and the checkpoint may have none to give",
        (*figures(bad[0], "slope", "skin_to_eyes"), *facts.kept_for), "reference",
        "a photograph of real skin pulls the repair: 0.4 to 0.6 brings pores and fine lines and leaves the face",
        jobs.repair(facts, [f"face{bad[0].number}.skin; {FEATHER}"], given, with_reference=True),
    )  # fmt: skip


def noise(facts: Facts, _: Note | None) -> Iterator[Step]:
    """Noise that reads as texture: it counts pixels, so it is trusted in one range of eye distances."""
    for face in worst(facts, "noise"):
        why = (
            "noise is in every pixel, so it goes after everything else, and takes pores with it: 0.4 is careful; "
            + NO_FINISH
        )
        problem = f"noise, not skin, on {name_of(facts, face)}{also(facts, 'noise')}"
        yield Step(problem, figures(face, "pixel_share", "texture"), "finish", why, jobs.cleaned(facts, "0.4"))


def sharpening(facts: Facts, _: Note | None) -> Iterator[Step]:
    """Last: soft skin that is resolved, rims that were drawn by sharpening, a picture that was enlarged."""
    for face in worst(facts, "soft"):
        why = f"sharpen, or lift the skin's local contrast, last and by hand in a pixel editor; {NO_FINISH}"
        problem = f"texture of {name_of(facts, face)} is resolved but soft{also(facts, 'soft')}"
        yield Step(problem, figures(face, "slope", "texture"), "finish", why)
    for face in worst(facts, "halo"):
        why = "sharpening drew rims, which nothing takes away cleanly: go back to the file before it; " + NO_FINISH
        yield to_know(
            f"rims along the edges of {name_of(facts, face)}{also(facts, 'halo')}", figures(face, "halo"), why
        )
    for face in worst(facts, "enlarged"):
        why = "pixels are not texture: find the file before it was enlarged, or make it at its own size"
        yield to_know(f"{name_of(facts, face)} has fewer details than pixels: enlarged, or smoothed before",
                    figures(face, "pixel_share"), why)  # fmt: skip


def _one_each(bad: tuple[FaceFacts, ...]) -> str:
    if len(bad) < 2:
        return ""
    others = joined({f"face {face.number}" for face in bad[1:]})
    return f"; one face a pass, so that each gets all the pixels: this one, then {others}"
