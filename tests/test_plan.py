"""Plans: cells settled by the real checkpoint, merged, refused together; phases, lanes and their order."""

import json
import random
from collections import Counter

import pytest

from pipelines import checkpoint, draft
from pipelines.draft import Draft, Taken
from pipelines.errors import SweepError
from pipelines.recipe import Recipe, SchedulerChoice, Weights
from sweeps.plan import (
    Cell,
    Cells,
    Plan,
    Work,
    cells,
    duration,
    estimate,
    extend,
    from_lines,
    outline,
    plan_of,
    work_of,
)
from sweeps.sweep import from_flags
from tests.pictures import Told

BASE = {"checkpoint": ["demo-sdxl"], "prompt": ["portrait"]}
SHAPE = {"width": ["64"], "height": ["64"]}


@pytest.fixture(scope="module")
def settle(tmp_path_factory):
    """The real thing with both demo checkpoints; start images are taken for 64 x 64 pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        found = {name: checkpoint.find(name) for name in ("demo-sdxl", "demo-flux")}
        for each in found.values():
            assert each.weights.digest
    return lambda asked: draft.settle(asked, found[asked.checkpoint], Told(lambda path: Taken("1" * 64, 64, 64)))


def swept(settle, flags, **more):
    return cells(from_flags("x", BASE | flags, **more), settle)


def fake(number, evaluations=10, *, places=None, weights="a", size=512, rows=2):
    """A cell that needs no checkpoint: one of a row of seeds."""
    recipe = Recipe(
        checkpoint=Weights(digest=weights * 64, family="sdxl", name=f"model-{weights}"),
        prompt="portrait",
        seed=number,
        width=size,
        height=size,
        steps=10,
        guidance=4,
        scheduler=SchedulerChoice(name="euler"),
    )
    return Cell(recipe, places or ((number,),), (), Work(evaluations, evaluations * rows))


def fakes(*some, lengths=(1000,)):
    return Cells(tuple(some), lengths, len(some), 0)


def keys(some):
    return [cell.recipe.key for cell in some.cells]


def test_equal_recipes_are_one_cell_with_all_its_places(settle):
    found = swept(settle, {"scheduler": ["euler, DPM++ 2M Karras, Euler"], "steps": ["10,20"]})
    assert len(found.cells) == 4
    assert (found.places, found.dropped, found.merged) == (6, 0, 2)
    assert [cell.places for cell in found.cells] == [((0, 0), (2, 0)), ((1, 0),), ((0, 1), (2, 1)), ((1, 1),)]


def test_conditions_see_settled_values(settle):
    flags = {"scheduler": ["Euler,DPM++ 2M Karras"], "steps": ["10,20"]}
    found = swept(settle, flags, where=["scheduler == 'dpmpp_2m_karras' and guidance == 2"], skip=["steps == 10"])
    assert [(cell.recipe.scheduler.name, cell.recipe.steps) for cell in found.cells] == [("dpmpp-2m-karras", 20)]
    assert (found.places, found.dropped, found.merged) == (4, 3, 0)
    assert found.cells[0].places == ((1, 1),)


def test_a_cell_that_cannot_be_made_is_no_fault_if_it_is_dropped(settle):
    flags = {"width": ["64,100,128"], "height": ["64"]}
    assert len(swept(settle, flags, skip=["width == 100"]).cells) == 2
    assert len(swept(settle, flags, where=["width != 100 and guidance < 20"]).cells) == 2
    with pytest.raises(SweepError, match="width 100 is not a multiple"):
        swept(settle, flags, where=["strength == none and guidance < 20"])


def test_conditions_that_leave_nothing_are_refused(settle):
    with pytest.raises(SweepError, match="leave none of 2 cells; loosen where or skip"):
        swept(settle, {"steps": ["10,20"]}, where=["steps > 20"])


def test_a_fault_of_every_cell_is_told_once(settle):
    with pytest.raises(SweepError) as refused:
        swept(settle, {"scheduler": ["typo"], "steps": ["1..9"]})
    assert str(refused.value).startswith("scheduler 'typo' is not known")
    assert "\n" not in str(refused.value)


def test_a_fault_of_one_value_names_the_value(settle):
    with pytest.raises(SweepError) as refused:
        swept(settle, {"checkpoint": ["demo-sdxl,demo-flux"], "negative": ["ugly"], "steps": ["10..50:10"]})
    assert str(refused.value).startswith(
        "checkpoint demo-flux: a negative prompt does nothing on guidance-distilled FLUX"
    )


def test_all_faults_come_at_once_the_first_cells_of_each_by_name(settle):
    flags = {"width": ["64,100"], "height": ["64"], "clip_skip": ["0,1,9"], "steps": ["10..70:10"]}
    with pytest.raises(SweepError) as refused:
        swept(settle, flags)
    lines = str(refused.value).split("\n")
    assert lines[0] == "28 of 42 cells cannot be made:"
    assert lines[1].startswith("width 100 is not a multiple of 8; take 96 or 104")
    assert lines[2].startswith("width 64, clip_skip 9, steps 10; width 64, clip_skip 9, steps 20;")
    assert "steps 50 and 2 more: clip_skip 9 is more than 1" in lines[2]
    assert len(lines) == 3


def test_more_faults_than_anybody_reads_are_counted(settle):
    with pytest.raises(SweepError, match="and 2 more problems") as refused:
        swept(settle, {"width": ["65..72:1"], "height": ["64"]})
    assert str(refused.value).count("\n") == 6


def test_warnings_stay_with_their_cell(settle):
    asked = from_flags("x", BASE | {"guidance": ["2,30"]})

    def warned(wanted: Draft):
        settled = settle(wanted)
        return settled._replace(warnings=("high",) if settled.recipe.guidance > 20 else ())

    assert [cell.warnings for cell in cells(asked, warned).cells] == [(), ("high",)]


@pytest.mark.parametrize(
    ("flags", "work"),
    [
        ({"steps": ["10"], "scheduler": ["euler"]}, Work(10, 20)),
        ({"steps": ["10"], "scheduler": ["euler"], "guidance": ["1"]}, Work(10, 10)),
        ({"steps": ["10"], "scheduler": ["heun"]}, Work(19, 38)),
        ({"steps": ["10"], "scheduler": ["euler"], "guidance_interval": ["0.2..0.6"]}, Work(10, 14)),
        (SHAPE | {"steps": ["10"], "scheduler": ["euler"], "start": ["a.png"], "strength": ["0.5"]}, Work(5, 10)),
        ({"checkpoint": ["demo-flux"], "steps": ["10"]}, Work(10, 10)),
        ({"checkpoint": ["demo-flux"], "steps": ["10"], "negative": ["x"], "true_guidance": ["2"]}, Work(20, 20)),
    ],
)
def test_work_counts_calls_of_the_network_and_rows(settle, flags, work):
    (cell,) = swept(settle, flags).cells
    assert cell.work == work == work_of(cell.recipe)


def test_a_phase_is_one_checkpoint_at_one_size_and_no_checkpoint_is_opened_twice(settle):
    flags = {"width": ["64,128"], "height": ["64"], "checkpoint": ["demo-sdxl,demo-flux"], "guidance": ["1,4"]}
    found = swept(settle, flags)
    plan = plan_of(found, lanes=2, lane_width=2)
    recipes = {cell.recipe.key: cell.recipe for cell in found.cells}
    looks = []
    for phase in plan.phases:
        held = [recipes[key] for lane in phase.lanes for key in lane]
        assert len({(r.checkpoint.digest, r.width, r.height) for r in held}) == 1
        looks.append((held[0].checkpoint.name, held[0].width, len(held)))
    assert looks == [("demo-sdxl", 64, 2), ("demo-sdxl", 128, 2), ("demo-flux", 64, 2), ("demo-flux", 128, 2)]


def test_lanes_hold_every_cell_once_and_end_about_together():
    dice = random.Random(6)
    for lanes in (1, 2, 4, 8):
        some = fakes(*(fake(number, dice.randrange(5, 60)) for number in range(60)), lengths=(60,))
        plan = plan_of(some, lanes=lanes, lane_width=2)
        (phase,) = plan.phases
        assert len(phase.lanes) == lanes
        assert Counter(key for lane in phase.lanes for key in lane) == Counter(keys(some))
        work = {cell.recipe.key: cell.work.evaluations for cell in some.cells}
        loads = [sum(work[key] for key in lane) for lane in phase.lanes]
        assert max(loads) - min(loads) < 60  # never more than the longest cell apart
        assert phase.forwards == max(loads)
        assert plan.fill == pytest.approx(1 if lanes == 1 else sum(loads) / (max(loads) * lanes))


def test_the_longest_of_a_stage_comes_first():
    plan = plan_of(fakes(*(fake(n, 10 + n, places=((0,),)) for n in range(9))), lanes=1, lane_width=2)
    assert [entry.evaluations for entry in plan.entries] == list(range(18, 9, -1))


def test_a_coarse_grid_comes_first():
    places = [(x, y) for y in range(9) for x in range(5)]
    some = fakes(*(fake(n, places=(place,)) for n, place in enumerate(places)), lengths=(5, 9))
    plan = plan_of(some, lanes=4, lane_width=2)
    seen = [places[keys(some).index(entry.key)] for entry in plan.entries]
    assert set(seen[:4]) == {(0, 0), (4, 0), (0, 8), (4, 8)}
    assert set(seen[:9]) == {(x, y) for x in (0, 2, 4) for y in (0, 4, 8)}
    assert set(seen[:25]) == {(x, y) for x in range(5) for y in (0, 2, 4, 6, 8)}


def test_a_cell_of_several_places_is_seen_with_the_earliest_of_them():
    middle, corner_too = fake(0, 90, places=((4,),)), fake(1, 5, places=((3,), (8,)))
    plan = plan_of(fakes(middle, corner_too, lengths=(9,)), lanes=1, lane_width=2)
    assert [entry.key for entry in plan.entries] == [corner_too.recipe.key, middle.recipe.key]


def test_the_plan_is_the_same_every_time(settle):
    flags = {"guidance": ["1..8:1"], "steps": ["10,20"], "scheduler": ["heun,euler"]}
    one, other = (plan_of(swept(settle, flags), lanes=4, lane_width=2) for _ in range(2))
    assert one == other


def test_cells_added_later_come_after_and_nothing_moves():
    dice = random.Random(7)
    every = [fake(number, dice.randrange(5, 60), size=dice.choice([512, 640])) for number in range(40)]
    plan = plan_of(fakes(*every[:12]), lanes=4, lane_width=2)
    for upto in (12, 20, 33, 40):
        dice.shuffle(some := every[:upto])
        longer = extend(plan, fakes(*some))
        assert longer.to_lines()[: len(plan.entries)] == plan.to_lines()
        assert {entry.key for entry in longer.entries} == {cell.recipe.key for cell in some}
        for before, after in zip(plan.phases, longer.phases, strict=False):
            for lane, extended in zip(before.lanes, after.lanes, strict=True):
                assert extended[: len(lane)] == lane
        plan = longer
    assert len(plan.entries) == 40


def test_new_cells_go_to_the_lane_with_least_to_do():
    plan = plan_of(fakes(fake(0, 30), fake(1, 5)), lanes=2, lane_width=2)
    longer = extend(plan, fakes(fake(0, 30), fake(1, 5), fake(2, 10), fake(3, 10)))
    assert [entry.lane for entry in longer.entries] == [0, 1, 1, 1]


def test_a_plan_survives_its_lines_and_the_part_still_to_do_keeps_its_lanes():
    some = fakes(*(fake(number, 5 + number, weights="ab"[number % 2]) for number in range(20)))
    plan = plan_of(some, lanes=4, lane_width=2)
    assert from_lines(plan.to_lines(), lanes=4, lane_width=2) == plan
    assert json.loads(plan.to_lines()[0]).keys() == {
        *("checkpoint", "shape", "lane", "key", "evaluations", "row_evaluations")
    }
    left = set(keys(some)[5:])
    part = plan.only(left)
    assert part.entries == tuple(entry for entry in plan.entries if entry.key in left)
    assert plan.only(()).phases == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda line: line[:-9], "line 2: .* is no JSON object"),
        (lambda line: "[1]", "line 2: .* is no JSON object"),
        (lambda line: line.replace('"lane":1', '"lane":4'), "line 2: lane 4 of 4"),
        (lambda line: line.replace('"lane":1', '"lane":-1'), "line 2: lane -1"),
        (lambda line: line.replace('"key"', '"kye"'), "line 2: "),
    ],
)
def test_a_line_that_is_no_plan_is_named(change, told):
    lines = list(plan_of(fakes(fake(0), fake(1)), lanes=4, lane_width=2).to_lines())
    with pytest.raises(SweepError, match=told):
        from_lines([lines[0], change(lines[1])], lanes=4, lane_width=2)
    with pytest.raises(SweepError, match="is planned twice"):
        from_lines([*lines, lines[0]], lanes=4, lane_width=2)


def test_estimate_counts_padding_with_lanes_and_none_without():
    some = fakes(fake(0, 30), fake(1, 10), fake(2, 10, rows=1))
    alone = estimate(plan_of(some, lanes=1, lane_width=2), seconds_per_row_evaluation=0.1, bytes_per_picture=1000)
    assert alone == (pytest.approx((60 + 20 + 10) * 0.1), 3000)
    two = plan_of(some, lanes=2, lane_width=2)
    assert estimate(two, seconds_per_row_evaluation=0.1, bytes_per_picture=1000).seconds == pytest.approx(30 * 4 * 0.1)
    assert two.fill == pytest.approx(90 / 120)


def test_dry_run_tells_what_will_happen(settle):
    flags = {
        "scheduler": ["euler,Euler"],
        "steps": ["10,20,30"],
        "checkpoint": ["demo-sdxl,demo-flux"],
        "guidance": ["3"],
    }
    found = swept(settle, flags | SHAPE, skip=["steps == 30"])
    plan = plan_of(found, lanes=2, lane_width=2)
    told = outline(found, plan, estimate(plan, seconds_per_row_evaluation=3.0, bytes_per_picture=50_000))
    assert told.text() == (
        "4 cells of 12 places: 4 dropped by conditions, 4 merged with equal ones, 0 with warnings\n"
        "60 network evaluations in 2 lanes, 56% filled\n"
        "phase 1: demo-sdxl 64x64, 2 cells\n"
        "phase 2: demo-flux 64x64 64 tokens, 2 cells\n"
        "about 0.2 MB on disk\n"
        "about 8 min"
    )
    unknown = outline(found, plan, estimate(plan, seconds_per_row_evaluation=None, bytes_per_picture=50_000))
    assert unknown.text().endswith("about 0.2 MB on disk\ntime not known before the first run like it")
    assert unknown.seconds is None
    assert told.as_dict()["evaluations"] == 60
    json.dumps(told.as_dict())


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59, "59 s"), (720, "12 min"), (7000, "117 min"), (11_100, "3 h 5 min")]
)
def test_durations_are_said_as_people_say_them(seconds, said):
    assert duration(seconds) == said


def test_an_empty_plan_is_a_plan():
    plan = Plan(4, 2)
    assert (plan.phases, plan.slots, plan.fill, plan.to_lines()) == ((), 0, 1.0, ())
