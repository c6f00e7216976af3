"""Advice as pure rules: which step comes first for which facts, what it rests on, and what it leaves alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.draft import Draft
from pipelines.listing import Defaults
from pipelines.prompts import resolve
from sweeps.marks import Mark
from workbench.advice import Advice, Step, advise, first
from workbench.advice_facts import FaceFacts, Facts, RunFacts, Sibling
from workbench.notes_data import Note, Pair, Window

CLEAN = {"slope": -0.2, "texture": 4.0, "pixel_share": 1.2, "halo": 0.3, "side_ev": -1.4, "shading": 2.0,
         "clipped_high": 0.1, "clipped_low": 0.0, "skin_to_eyes": -2.0}  # fmt: skip
PLASTIC = {"slope": -1.9, "texture": 1.0, "skin_to_eyes": -3.4}
FLAT = "the light is flat or frontal"
KEY = "0123456789abcdef"
USUAL = Defaults(width=1024, height=1024, steps=28, guidance=5)
NOTE = Note(checkpoint="demo-sdxl", family="sdxl", digest="0" * 64, window=Window(low=2.5, high=5), plateau=24,
            pairs=(Pair(steps=24, guidance=4),), lights=("raking",), kept="2026-11-20T03:00:00Z")  # fmt: skip


def face(number: int = 1, eyes: float = 130, *, flat: str = "", **values: float | None) -> FaceFacts:
    return FaceFacts(number, eyes, {**CLEAN, **values}, flat=flat)


def facts(*faces: FaceFacts, **more: Any) -> Facts:
    """A picture of ours, 1024 px, made from noise at the checkpoint's usual settings."""
    draft = Draft(checkpoint="demo-sdxl", prompt="portrait of a woman, side light", seed=7, steps=28, guidance=5,
                  width=1024, height=1024)  # fmt: skip
    said = more.pop("draft", draft)
    known = {"draft": said, "family": "sdxl", "usual": USUAL, "tool": "Sidelight"} | more
    return Facts(Path("runs/one/pictures") / f"{KEY}.png", 1024, 1024, faces, **known)


def drafted(**changes: Any) -> Draft:
    draft = facts().draft
    assert draft
    return draft.but(**changes)


def the(advice: Advice) -> Step:
    chosen = first(advice)
    assert chosen, [step.problem for step in advice]
    return chosen


def flags(step: Step) -> dict[str, tuple[str, ...]]:
    assert step.job
    return dict(step.job.given)


def remedies(advice: Advice) -> list[str]:
    return [step.remedy for step in advice]


def test_every_step_rests_on_something_and_every_command_is_ours() -> None:
    bad = face(flat=FLAT, clipped_high=12, pixel_share=2.4, halo=0.9, **PLASTIC)
    for seen in (facts(bad), facts(), facts(bad, draft=None, unsaid="no text", usual=None)):
        for note in (None, NOTE):
            for step in advise(seen, note=note):
                assert step.rests_on
                assert all(name and value for name, value in step.rests_on)
                assert step.problem
                assert step.why
                assert not step.job or step.job.command[0] == "sidelight"


def test_a_sound_picture_is_left_alone() -> None:
    (step,) = advise(facts(face()))
    assert step.remedy == "nothing"
    assert ("slope", "-0.20 stops (photographs -0.7 to 0.5; below -1.2 no texture)") in step.rests_on
    assert "1:1" in step.why


def test_light_comes_before_skin() -> None:
    advice = advise(facts(face(flat=FLAT, side_ev=0.1, shading=0.8, **PLASTIC)))
    step = the(advice)
    assert step.remedy == "generate-again"
    assert flags(step) == {"light": ("window, rembrandt, raking",), "subject": ("a woman",)}
    assert [name for name, _ in step.rests_on] == ["side_ev", "shading"]
    assert "inpaint" in remedies(advice), "what is left stands behind it"


def test_the_notes_lights_go_before_ours() -> None:
    step = the(advise(facts(face(flat=FLAT)), note=NOTE))
    assert flags(step)["light"] == ("raking",)
    assert "note" in step.why


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"mark": Mark(key=KEY, pick="pick")}, ("mark", "pick")),
        ({"mark": Mark(key=KEY, stars=4)}, ("stars", "4")),
        ({"began": "mask"}, ("mask", "a repair of another picture")),
        ({"began": "picture"}, ("start", "it began from another picture")),
    ],
)
def test_a_composition_worth_keeping_is_repaired_not_made_anew(more: dict[str, Any], named: tuple[str, str]) -> None:
    advice = advise(facts(face(flat=FLAT, **PLASTIC), **more), note=NOTE)
    step = the(advice)
    assert step.remedy == "inpaint"
    assert named in step.rests_on
    assert step.job
    assert step.job.masks == ("face1.skin; feather 0.06",)
    assert "generate-again" not in remedies(advice)
    told = next(each for each in advice if "flat" in each.problem)
    assert "a repair keeps this light" in told.why


def test_three_stars_are_not_worth_keeping() -> None:
    assert the(advise(facts(face(**PLASTIC), mark=Mark(key=KEY, stars=3)))).remedy == "generate-again"


@pytest.mark.parametrize(("guidance", "side", "wanted"), [(9, "plastic", "4"), (1.5, "mud", "4")])
def test_guidance_outside_the_notes_window_goes_to_its_winner(guidance: float, side: str, wanted: str) -> None:
    step = the(advise(facts(face(**PLASTIC), draft=drafted(guidance=guidance)), note=NOTE))
    assert flags(step) == {"guidance": (wanted,)}
    assert side in step.problem
    assert ("guidance", f"{guidance:g}") in step.rests_on
    assert ("guidance window", "2.5 to 5, note of demo-sdxl, 2026-11-20") in step.rests_on
    assert step.job
    assert step.job.tab == "create"


@pytest.mark.parametrize(("guidance", "end"), [(9, "5"), (1, "2.5")])
def test_a_note_without_winner_gives_the_near_end(guidance: float, end: str) -> None:
    note = NOTE.but(pairs=())
    assert flags(the(advise(facts(face(**PLASTIC), draft=drafted(guidance=guidance)), note=note)))["guidance"] == (end,)


def test_steps_are_searched_inside_the_window() -> None:
    note = NOTE.but(plateau=None)
    advice = advise(facts(face(**PLASTIC), draft=drafted(guidance=9)), note=note)
    search = next(step for step in advice if step.job and "steps" in flags(step))
    assert flags(search) == {"steps": ("28, 42, 56",), "guidance": ("4",), "seed": ("7, 8, 9",)}


def test_an_open_end_of_a_window_refuses_nothing() -> None:
    note = NOTE.but(window=Window(low=2), plateau=None)
    steps = advise(facts(face(**PLASTIC), draft=drafted(guidance=30)), note=note)
    assert not any("window" in name for step in steps for name, _ in step.rests_on)


def test_inside_the_window_guidance_is_not_doubted() -> None:
    steps = advise(facts(face(**PLASTIC), draft=drafted(guidance=4)), note=NOTE)
    assert not any("guidance" in dict(step.rests_on) for step in steps)


def test_without_a_window_guidance_is_searched_over_seeds() -> None:
    advice = advise(facts(face(**PLASTIC)))
    step = the(advice)
    assert flags(step) == {"guidance": ("2.5, 3.75, 5, 7.5, 10",), "seed": ("7, 8, 9",)}
    assert step.job
    assert step.job.tab == "sweep"
    assert "one picture cannot say" in step.why
    assert step.job.text.endswith("--guidance 2.5,3.75,5,7.5,10 --seed 7,8,9")


def test_rims_at_high_guidance_are_searched_downwards() -> None:
    step = the(advise(facts(face(halo=0.8), draft=drafted(guidance=10))))
    assert flags(step)["guidance"] == ("5, 6.5, 8, 10",)
    assert "halo" in dict(step.rests_on)


def test_rims_at_usual_guidance_are_no_matter_of_guidance() -> None:
    advice = advise(facts(face(halo=0.8)))
    assert first(advice) is None
    assert "sharpening" in advice[0].why


def test_guidance_outside_the_training_is_said_before_any_search() -> None:
    usual = USUAL.but(trained_guidance=(1, 7))
    step = the(advise(facts(face(**PLASTIC), draft=drafted(guidance=12), usual=usual)))
    assert flags(step) == {"guidance": ("7",)}
    assert ("trained guidance", "1 to 7") in step.rests_on


@pytest.mark.parametrize(("note", "wanted", "name"), [(None, "28", "usual steps"), (NOTE, "24", "step plateau")])
def test_too_few_steps_are_raised_to_what_is_known(note: Note | None, wanted: str, name: str) -> None:
    step = the(advise(facts(face(**PLASTIC), draft=drafted(steps=8, guidance=4)), note=note))
    assert flags(step) == {"steps": (wanted,)}
    assert name in dict(step.rests_on)


def test_steps_beyond_the_plateau_with_rims_go_back_to_it() -> None:
    step = the(advise(facts(face(halo=0.9), draft=drafted(steps=60, guidance=4)), note=NOTE))
    assert flags(step) == {"steps": ("24",)}
    assert "engraved" in step.problem


def test_words_go_before_a_search_and_after_what_is_known() -> None:
    words = drafted(prompt="masterpiece, portrait of a woman, airbrushed skin, side light")
    step = the(advise(facts(face(**PLASTIC), draft=words)))
    assert step.remedy == "wording"
    assert "masterpiece" not in flags(step)["prompt"][0]
    assert any("airbrushed" in text for name, text in step.rests_on if name == "prompt")
    known = the(advise(facts(face(**PLASTIC), draft=words.but(guidance=9)), note=NOTE))
    assert "guidance" in flags(known)


def test_what_the_note_forbids_is_asked_for() -> None:
    note = NOTE.but(forbid=("beauty retouch", "plastic skin"))
    draft = drafted(guidance=4, negative="plastic skin, blur")
    step = the(advise(facts(face(**PLASTIC), draft=draft), note=note))
    assert step.remedy == "wording"
    assert ("note forbids", "beauty retouch") in step.rests_on
    assert flags(step)["negative"] == ("plastic skin, blur, beauty retouch",)


def test_a_lora_beyond_its_training_is_tried_softer() -> None:
    step = the(advise(facts(face(**PLASTIC), draft=drafted(loras="film:1.4+skin:0.5"))))
    assert flags(step)["loras"] == ("film:0.5+skin:0.5, film:0.75+skin:0.5, film:1+skin:0.5",)
    assert ("loras", "film:1.4") in step.rests_on


def test_one_bad_face_of_two_is_repaired_alone() -> None:
    picked = {"mark": Mark(key=KEY, pick="pick")}
    step = the(advise(facts(face(1), face(2, 120, **PLASTIC), **picked)))
    assert step.job
    assert step.job.masks == ("face2.skin; feather 0.06",)
    assert "face 2, not of the other 1" in step.problem
    both = the(advise(facts(face(1, **PLASTIC), face(2, 120, **PLASTIC), **picked)))
    assert "all faces" in both.problem
    assert "then face 2" in both.why


def test_a_repair_that_was_too_weak_is_tried_stronger_and_a_strong_one_gets_a_reference() -> None:
    weak = facts(face(**PLASTIC), began="mask", draft=drafted(strength=0.4, start="a.png", mask="m.png"))
    assert flags(the(advise(weak)))["strength"] == ("0.45, 0.5",)
    strong = replace(weak, draft=drafted(strength=0.5, start="a.png", mask="m.png"))
    step = the(advise(strong))
    assert step.remedy == "reference"
    assert step.job
    assert "REF.jpg" in step.job.command
    assert step.job.needs


def test_soft_but_resolved_skin_is_only_finished_by_hand() -> None:
    (step,) = advise(facts(face(slope=-0.9)))
    assert step.remedy == "finish"
    assert "finishing is not there yet" in step.why
    assert step.job is None


@pytest.mark.parametrize(("eyes", "fires"), [(60, False), (90, True), (130, True), (185, True), (240, False)])
def test_noise_is_said_only_where_the_measure_is_trusted(eyes: float, fires: bool) -> None:
    steps = advise(facts(face(eyes=eyes, pixel_share=2.5)))
    assert any(step.remedy == "finish" and "pixel_share" in dict(step.rests_on) for step in steps) is fires


def test_a_small_face_is_framed_closer_or_made_at_full_size() -> None:
    tiny = face(eyes=30, **dict.fromkeys(CLEAN))
    step = the(advise(facts(tiny)))
    assert flags(step)["light.shot"] == ("close-up",)
    assert "30 px" in dict(step.rests_on)["eye distance"]
    small = the(advise(facts(tiny, draft=drafted(width=512, height=512))))
    assert flags(small) == {"width": ("1024",), "height": ("1024",)}
    kept = the(advise(facts(tiny, mark=Mark(key=KEY, pick="pick"))))
    assert kept.remedy == "inpaint"
    assert not any("small" in step.problem for step in advise(facts(face(1), replace(tiny, number=2))))


def test_a_small_find_far_outside_the_window_is_first_brought_inside() -> None:
    tiny = face(eyes=17, **dict.fromkeys(CLEAN))
    advice = advise(facts(tiny, draft=drafted(guidance=13)), note=NOTE)
    assert flags(the(advice)) == {"guidance": ("4",)}
    assert any("too small" in step.problem for step in advice)


def test_burnt_skin_gets_its_own_light_darker() -> None:
    light = resolve("window", "a man", {"fill_stops": "1"})
    step = the(advise(facts(face(clipped_high=20), light=light)))
    assert flags(step) == {
        "light": ("window",), "subject": ("a man",), "light.fill_stops": ("1",), "light.skin_stops": ("-1",)
    }  # fmt: skip
    photograph = advise(facts(face(clipped_high=20), draft=None, unsaid="no text", family=None, usual=None))
    assert first(photograph) is None
    assert "no repair brings it back" in photograph[-1].why


def test_a_photograph_says_so_and_is_repaired_with_a_checkpoint_that_is_named() -> None:
    advice = advise(facts(face(**PLASTIC), draft=None, unsaid="it holds no text", family=None, usual=None))
    assert advice[0].remedy == "nothing"
    assert "does not say what made it" in advice[0].problem
    step = the(advice)
    assert step.remedy == "inpaint"
    assert step.job
    assert step.job.command[-2:] == ("--checkpoint", "NAME")
    assert not step.job.makes


def test_no_face_is_said_and_the_recipe_still_helps() -> None:
    advice = advise(facts(draft=drafted(guidance=12)), note=NOTE)
    assert advice[0].rests_on == (("faces", "0"),)
    assert flags(the(advice)) == {"guidance": ("4",)}


def run_of(*siblings: Sibling, **more: Any) -> RunFacts:
    return RunFacts("window", **({"measured": 12, "varied": ("guidance",), "siblings": siblings} | more))


def test_a_sibling_without_the_fault_is_looked_at_before_anything_is_made() -> None:
    good = Sibling("b" * 16, (("guidance", "3"),), (), -0.3)
    small = Sibling("a" * 16, (("guidance", "2"),), ("small",), None)
    soft = Sibling("c" * 16, (("guidance", "4"),), ("soft",), -0.9)
    step = the(advise(facts(face(**PLASTIC), run=run_of(small, soft, good))))
    assert step.job
    assert step.job.keys == (KEY, "b" * 16)
    assert step.called == "look"
    assert ("guidance", "3") in step.rests_on


def test_a_run_that_varies_guidance_is_asked_first_and_searched_no_more() -> None:
    advice = advise(facts(face(**PLASTIC), run=run_of()))
    step = the(advice)
    assert step.job
    assert step.job.command[:2] == ("sidelight", "findings")
    assert not any(step.job and "guidance" in flags(step) for step in advice)
    told = advise(facts(face(**PLASTIC), run=run_of(has_findings=True)))
    assert the(told).job
    assert "steps" in flags(the(told))


def test_the_runs_own_window_counts_and_a_picture_inside_it_is_pointed_to() -> None:
    inside = Sibling("b" * 16, (("guidance", "3"),), ("no texture",), -1.3)
    run = run_of(inside, has_findings=True, window=Window(low=2, high=4))
    step = the(advise(facts(face(**PLASTIC), draft=drafted(guidance=9), run=run)))
    assert step.job
    assert step.job.keys == (KEY, "b" * 16)
    assert ("guidance window", "2 to 4, findings of this run") in step.rests_on


def test_a_fault_of_most_cells_is_said_to_be_the_sweeps() -> None:
    run = run_of(has_findings=True, counts={"no texture": 9}, measured=12)
    advice = advise(facts(face(**PLASTIC), run=run))
    assert any("as in 9 of 12 pictures of its run: change the sweep" in step.problem for step in advice)
    rare = advise(facts(face(**PLASTIC), run=run_of(has_findings=True, counts={"no texture": 2}, measured=12)))
    assert not any("of its run" in step.problem for step in rare)


@pytest.mark.parametrize(("flaw", "mask"), [("eyes", "face1.eyes"), ("teeth", "face1.mouth"), ("neck", "face1.neck")])
def test_what_a_person_ticked_is_repaired_in_its_region(flaw: Any, mask: str) -> None:
    step = the(advise(facts(face(), mark=Mark(key=KEY, faults=(flaw,)))))
    assert step.remedy == "inpaint"
    assert step.rests_on[0] == ("mark", flaw)
    assert step.job
    assert step.job.masks == (f"{mask}; feather 0.06",)


def test_ticked_light_and_hands_are_not_repaired() -> None:
    light = the(advise(facts(face(), mark=Mark(key=KEY, faults=("light",)))))
    assert light.remedy == "generate-again"
    assert ("mark", "light") in light.rests_on
    hands = advise(facts(face(), mark=Mark(key=KEY, faults=("hands",))))
    assert remedies(hands) == ["nothing"]
    assert "paint the mask" in hands[0].why
