"""Findings on simulated curves whose truth is known: found where it is, and nothing found where there is nothing."""

import json
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from sweeps import compare_words as words
from sweeps import curves
from sweeps.compare import found
from sweeps.compare_cells import Seen, groups
from sweeps.compare_pairs import engines, schedulers, steady
from sweeps.compare_steps import plateau
from sweeps.compare_window import window
from sweeps.curves import Table
from sweeps.findings import Estimate, Finding, Findings
from tests import simulated
from tests.simulated import STEPS, World, both, hard, line, pairs, pictures, saturating, seen, soft

RUNS = 200
LOW, HIGH, STOP = 3, 6, 4  # places of the true ends on the axis
ENGRAVED = {"texture": hard(LOW, HIGH, below=-0.7, above=0.3), "halo": hard(LOW, HIGH, above=0.2)}
PLASTIC = {"texture": soft(LOW, HIGH, below=-0.9, above=-0.9), "slope": soft(LOW, HIGH, above=-0.8)}
SOFT = {"texture": soft(LOW, HIGH, below=-0.9, above=0.3), "halo": soft(LOW, HIGH, above=0.25)}
INTO_FOCUS = {name: saturating(LOW, lost=lost) for name, lost in (("texture", 0.9), ("slope", 0.8), ("halo", 0.12))}
"""Coming into focus raises halo too, as in photographs; what rises after that is harm."""
FOCUSED_PLASTIC = INTO_FOCUS | {
    name: both(INTO_FOCUS[name], hard(0, HIGH, above=-0.8)) for name in ("texture", "slope")
}
FOCUSED_ENGRAVED = {
    name: both(curve, hard(0, HIGH, above=0.25 if name == "halo" else 0.5)) for name, curve in INTO_FOCUS.items()
}
WINDOWS = (
    World(curves=ENGRAVED),
    World(curves=PLASTIC),
    World(curves={"texture": both(PLASTIC["texture"], line(0.03)), "slope": both(PLASTIC["slope"], line(-0.02))}),
    World(curves=SOFT, missing=0.2),
    World(curves=PLASTIC, is_uneven=True),
    World(curves=ENGRAVED, is_heavy=True),
    World(curves=PLASTIC, noise=2.0),
    World(curves={"texture": hard(LOW, HIGH, below=-0.7)}, faces=hard(LOW, HIGH, above=0.9)),
    World(curves=FOCUSED_PLASTIC),
    World(curves=FOCUSED_ENGRAVED),
)
CALM = (
    0.5  # times: step counts differ less from picture to picture; of 48 pictures of the demo checkpoint .05 (texture)
)
LOST = saturating(STOP, lost=1.0)
PLATEAUS = (
    World("steps", STEPS, {"texture": LOST}, noise=CALM),
    World("steps", STEPS, {"texture": soft(STOP, 99, below=-0.6)}, noise=CALM),
    World("steps", STEPS, {"texture": LOST, "slope": saturating(STOP, lost=0.8)}, noise=CALM, missing=0.15),
    World("steps", STEPS, {"texture": both(LOST, line(0.02))}, noise=CALM, is_uneven=True),
    World("steps", STEPS, {"texture": LOST}, noise=CALM, is_heavy=True),
)
NOTHING = ({}, {"is_heavy": True}, {"missing": 0.3}, {"noise": 3.0}, {"is_uneven": True})


def one(world: World, *, seed: int, seeds: int = 6) -> Finding:
    (group,) = groups(pictures(world, seed=seed, seeds=seeds), world.axis)
    return window(group) if world.axis == "guidance" else plateau(group)


def near(world: World, end: float | None, place: int) -> bool:
    return end is not None and abs(list(world.steps).index(end) - place) <= 1


def test_the_window_is_found_within_one_step_in_nineteen_of_twenty_runs() -> None:
    right = Counter[int]()
    for run in range(RUNS):
        at = run % len(WINDOWS)
        told = one(WINDOWS[at], seed=run)
        right[at] += told.state == "found" and near(WINDOWS[at], told.low, LOW) and near(WINDOWS[at], told.high, HIGH)
    assert right.total() >= 0.95 * RUNS, right


def test_the_plateau_is_found_within_one_step_in_nineteen_of_twenty_runs() -> None:
    right = Counter[int]()
    for run in range(RUNS):
        at = run % len(PLATEAUS)
        told = one(PLATEAUS[at], seed=run)
        right[at] += told.state == "found" and near(PLATEAUS[at], told.low, STOP)
    assert right.total() >= 0.95 * RUNS, right


@pytest.mark.parametrize("axis", ["guidance", "steps"])
def test_nothing_is_found_where_nothing_changes(axis: str) -> None:
    steps = simulated.GUIDANCE if axis == "guidance" else STEPS
    worlds = [World(axis, steps, **more) for more in NOTHING]  # type: ignore[arg-type]  # of several types
    told = Counter(one(worlds[run % len(worlds)], seed=run, seeds=3 + run % 4).state for run in range(RUNS))
    assert told["none"] >= 0.95 * RUNS, told


RISES = (
    {"texture": line(0.12)}, {"texture": line(0.3)}, {"texture": line(-0.12)}, {"halo": line(0.04)},
    {"slope": line(0.15)}, {"slope": line(-0.15)}, {"texture": line(-0.15), "slope": line(-0.1)},
)  # fmt: skip


def test_what_only_rises_or_only_falls_is_open() -> None:
    told = Counter(one(World(curves=RISES[run % len(RISES)]), seed=run).state for run in range(RUNS // 2))
    assert told["open"] >= 0.95 * RUNS // 2, told
    assert not told["found"]


def test_steps_that_only_raise_or_only_lower_texture_are_open() -> None:
    steps = np.array(STEPS)
    shapes = (lambda at: 0.03 * steps, lambda at: 0.015 * steps, lambda at: -0.03 * steps, line(0.2), line(-0.2))
    worlds = [World("steps", STEPS, {"texture": shape}, noise=CALM) for shape in shapes]
    told = Counter(one(worlds[run % len(worlds)], seed=run).state for run in range(RUNS // 2))
    assert told["open"] >= 0.95 * RUNS // 2, told
    assert not told["found"]


def test_sharper_or_sharpened_is_not_told_apart_where_it_begins_level() -> None:
    world = World(
        curves={name: hard(5, 99, below=-below) for name, below in (("texture", 0.9), ("slope", 0.8), ("halo", 0.15))}
    )
    told = [one(world, seed=run) for run in range(20)]
    assert all(each.state == "none" and "contradict" in each.sentence for each in told)


def test_measures_that_contradict_each_other_find_nothing_and_say_so() -> None:
    worlds = (
        World(curves={"texture": line(0.15), "slope": line(-0.1), "halo": line(0.04)}),
        World(curves={"texture": line(0.3), "halo": line(0.03)}),
    )
    told = [one(worlds[run % 2], seed=run) for run in range(40)]
    assert sum(each.state == "found" for each in told) <= 2
    assert sum("contradict" in each.sentence for each in told) >= 36
    against = {each.measure for each in told[0].evidence if not each.is_for}
    assert against == {"slope", "halo"}


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("world", [WINDOWS[0], PLATEAUS[0]])
def test_one_or_two_seeds_find_nothing_and_ask_for_more(world: World, seeds: int) -> None:
    told = one(world, seed=1, seeds=seeds)
    assert told.state == "none"
    assert told.low is None
    (more,) = told.additions
    asked = dict(more.values)
    assert asked["seed"] == (1, 2, 3, 4)
    assert more.count == (4 - seeds) * len(asked[world.axis])


def test_the_sentence_says_ends_amounts_intervals_and_seeds() -> None:
    told = one(WINDOWS[0], seed=1)
    assert told.sentence.startswith(
        "Guidance 3 to 6 keeps the skin of made-up (20 steps, euler): below 3 texture is 3"
    ), told.sentence
    assert " % lower (95 %: " in told.sentence
    assert ", 6 seeds), above 6 halo is ." in told.sentence
    below = next(each for each in told.evidence if each.measure == "texture" and each.is_for)
    assert below.effect is not None
    assert below.effect.low <= -0.7 <= below.effect.high
    goes_on = next(each for each in told.evidence if not each.is_for)
    assert goes_on.sentence.startswith("above 6 texture")
    assert "engraved" in goes_on.sentence


def test_the_plateau_says_what_more_steps_bring() -> None:
    told = one(PLATEAUS[0], seed=1)
    assert told.sentence.startswith("Stop at 16 steps with made-up (euler, guidance 4): beyond it texture ")
    assert " ± " in told.sentence
    assert "95 %, 6 seeds" in told.sentence
    assert "the same means within 11 % of texture and .20 of slope" in told.cautions


def test_engraving_beyond_the_plateau_is_named_by_halo_alone() -> None:
    world = World("steps", STEPS, {"texture": LOST, "halo": hard(0, STOP, above=0.2)}, noise=CALM)
    told = one(world, seed=1)
    assert told.sentence.endswith(": engraved.")
    assert [each.role for each in told.pictures] == ["plateau", "engraved"]


def test_an_end_that_was_not_reached_asks_for_values_beyond_it() -> None:
    told = one(World(curves={"texture": hard(LOW, 99, below=-0.7)}), seed=1)
    assert (told.state, told.low, told.high) == ("open", 3.0, None)
    (more,) = told.additions
    assert dict(more.values)["guidance"] == (16.0, 19.0)
    assert more.count == 12


def test_an_end_between_far_values_asks_for_one_between() -> None:
    world = World(steps=(1, 2, 4, 8, 12, 16), curves={name: hard(2, 3, **_sides(name)) for name in ENGRAVED})
    told = one(world, seed=1)
    assert (told.low, told.high) == (4, 8)
    assert [dict(each.values)["guidance"] for each in told.additions] == [(3.0,), (10.0,)]


def _sides(name: str) -> Mapping[str, float]:
    return {"below": -0.7} if name == "texture" else {"above": 0.2}


def test_additions_say_what_else_varies_in_the_run() -> None:
    told = [
        seen({"guidance": at, "seed": 1, "scheduler": name}, {"texture": 1, "slope": 0, "halo": 0})
        for at in (2.0, 4.0, 6.0)
        for name in ("euler", "heun")
    ]
    (first, *_) = [each for each in found(told, title="a", pictures=6).findings if each.kind == "guidance-window"]
    assert dict(first.additions[0].values)["scheduler"] == ("euler",)


def test_the_best_picture_is_in_the_middle_and_the_edges_are_its_seed() -> None:
    run = pictures(WINDOWS[0], seed=3)
    (group,) = groups(run, "guidance")
    recipes = {each.key: each.recipe for each in run}
    shown = {each.role: recipes[each.key] for each in window(group).pictures}
    assert shown["best"].guidance in (4.0, 5.0)
    assert (shown["mud"].guidance, shown["plastic"].guidance) == (2.0, 8.0)
    assert len({each.seed for each in shown.values()}) == 1


def test_a_slope_that_resolves_nothing_is_said() -> None:
    waxy = {**ENGRAVED, "slope": lambda at: np.full(len(at), -1.5)}
    told = one(World(curves=waxy), seed=1)
    assert "keeps what texture there is in made-up" in told.sentence
    assert any("no pores are resolved" in each for each in told.cautions)


def test_noise_by_the_absolute_rule_ends_the_window() -> None:
    drawn = {"texture": 1.6, "slope": -0.3, "halo": 0.2}
    random = np.random.default_rng(1)
    told = [
        seen(
            {"guidance": at, "seed": seed},
            {
                name: value + random.normal(0, 0.02) - 0.8 * (name == "texture" and at < 2)
                for name, value in drawn.items()
            },
            verdicts=("noise, not skin: pixel_share 2.1 is above 1.8",) if at > 5 else (),
        )
        for at in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
        for seed in range(6)
    ]
    (group,) = groups(told, "guidance")
    finding = window(group)
    assert (finding.low, finding.high) == (2, 5)
    assert "100 % more pictures show noise, not skin" in finding.sentence


def test_the_better_scheduler_is_found_and_equal_ones_are_not() -> None:
    worlds = World(), World(is_heavy=True)
    better = [schedulers(pairs({"texture": 0.4}, worlds[run % 2], seed=run))[0] for run in range(RUNS)]
    assert sum(each.winner == "heun" for each in better) >= 0.95 * RUNS
    equal = [schedulers(pairs({}, worlds[run % 2], seed=run))[0] for run in range(RUNS)]
    assert sum(each.state != "none" for each in equal) <= 0.05 * RUNS


def test_a_pair_says_n_calls_and_first_noise() -> None:
    run = pairs({"texture": 0.5}, seed=1)
    later = [each if each.recipe.scheduler.name == "euler" else _begun(each, 9.0) for each in run]
    (told,) = schedulers(later)
    assert told.sentence.startswith("heun reads better than euler with made-up (12 to 20 steps, guidance 4): texture")
    assert told.sentence.endswith("8 of 8 seeds.")
    assert told.n == 8
    assert told.between == ("euler", "heun")
    assert any("heun makes 31 network calls where euler makes 16" in each for each in told.cautions)
    assert any("begins at sigma 14.6, heun at 9.0" in each for each in told.cautions)
    assert [each.role for each in told.pictures] == ["a", "b"]


def _begun(each: Seen, sigma: float) -> Seen:
    return Seen(each.key, each.recipe, None, sigma, each.values, each.evaluations)


def test_more_texture_with_more_halo_wins_nothing() -> None:
    (told,) = schedulers(pairs({"texture": 0.5, "halo": 0.2}, seed=1))
    assert told.state == "none"
    assert "contradict" in told.sentence
    assert {each.measure: each.is_for for each in told.evidence} == {"texture": True, "halo": False}


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_pair_of_few_seeds_asks_for_more(seeds: int) -> None:
    (told,) = schedulers(pairs({"texture": 1.0}, seed=1, seeds=seeds))
    assert told.state == "none"
    assert not told.winner
    assert told.additions[0].count == (4 - seeds) * 4


def test_two_checkpoints_are_compared_on_the_same_prompt_and_not_by_halo() -> None:
    random = np.random.default_rng(1)
    run = [
        seen(
            {"seed": seed, "checkpoint": name},
            {"texture": 2.0 + gain + random.normal(0, 0.1), "slope": random.normal(0, 0.05), "halo": 0.1 + gain / 4},
        )
        for seed in range(8)
        for name, gain in (("film", 0.0), ("digital", 0.6))
    ]
    (told,) = engines(run)
    assert told.winner == "digital"
    assert "texture is" in told.sentence
    assert "halo" not in told.sentence


def test_findings_are_the_same_bytes_in_any_order_and_are_read_back() -> None:
    run = pictures(WINDOWS[3], seed=5)
    told = found(run, title="a run", pictures=60)
    assert told.measured == len(run)
    assert told.validated.endswith("not on diffusion output")
    assert found(tuple(reversed(run)), title="a run", pictures=60) == told
    assert Findings.read(json.loads(told.model_dump_json())) == told


def test_faces_that_nowhere_can_be_measured_say_why() -> None:
    few = [seen({"guidance": at, "seed": 1}, {}, why={"texture": "no face was found"}) for at in (1.0, 2.0, 3.0)]
    (told,) = found(few, title="a", pictures=3).findings
    assert told.state == "none"
    assert "no face was found" in told.sentence


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        values = random.normal(0, 1, (6, 1)) + random.normal(0, 0.3, (6, 4)) + np.array([0, 0, 1, 1])
        told = curves.contrast(Table(values, tuple(range(6))), [2, 3], against=[0, 1])
        covered += told.low <= 1 <= told.high
    assert 0.92 * 400 <= covered <= 0.98 * 400


@pytest.mark.parametrize("seeds", [3, 4, 8])
@pytest.mark.parametrize("pairs", [1, 2])
def test_an_interval_of_pairs_covers_the_truth_however_few_there_are(seeds: int, pairs: int) -> None:
    random = np.random.default_rng(1)
    owners = [seed for seed in range(seeds) for _ in range(pairs)]
    covered = 0
    for run in range(400):
        drawn = random.standard_t(2, len(owners)) if run % 2 else random.normal(0, 1, len(owners))
        told = steady(drawn, owners)
        covered += told.low <= 0 <= told.high
    assert covered >= 0.93 * 400


def test_missing_cells_do_not_move_an_effect() -> None:
    values = np.array([[0.0, 1, 2, np.nan], [10, 11, 12, 13], [5, np.nan, 7, 8]])
    assert np.allclose(curves.effects(values), [-1.5, -0.5, 0.5, 1.5])


def test_one_wild_picture_moves_nothing() -> None:
    random = np.random.default_rng(1)
    values = random.normal(0, 0.1, (6, 5))
    values[2, 3] = 30.0
    tamed = curves.tamed(Table(values, tuple(range(6)))).values
    assert abs(tamed[2, 3]) < 1
    assert np.allclose(np.delete(tamed, 2, axis=0), np.delete(values, 2, axis=0), atol=0.2)


def test_seeds_seen_at_one_value_alone_make_no_other_surer() -> None:
    rng = np.random.default_rng(0)
    values = np.full((9, 4), np.nan)
    values[:4] = np.arange(4) + rng.normal(0, 0.1, (4, 4))
    values[4:, 0] = rng.normal(0, 0.1, 5)
    assert curves.tamed(Table(values, tuple(range(9)))).values[:4].std(0).min() > 0.03


def test_words() -> None:
    lower = Estimate(value=np.log2(0.59), low=np.log2(0.52), high=np.log2(0.67), n=6)
    assert words.change("texture", lower) == "texture is 41 % lower (95 %: 33 to 48, 6 seeds)"
    assert words.change("halo", Estimate(value=0.12, low=0.08, high=0.15, n=6), first=False) == (
        "halo is .12 higher (.08 to .15)"
    )
    assert words.gain("texture", Estimate(value=np.log2(1.02), low=np.log2(0.99), high=np.log2(1.05), n=6)) == (
        "texture gains 2 % ± 3"
    )
    assert words.settings((("steps", "20"), ("scheduler", "euler"))) == " (20 steps, euler)"
