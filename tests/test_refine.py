"""Adding cells to a sweep: exactly those asked for, old keys as they were, in words that the file keeps."""

import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from pipelines.draft import Draft
from pipelines.errors import SweepError
from sweeps.axes import Axis
from sweeps.findings import Addition
from sweeps.plan import Settle, cells
from sweeps.ranges import Value
from sweeps.refine import added, missing_in, settling, within
from sweeps.refine_words import boxes
from sweeps.sweep import Sweep, from_flags, parse_toml, read_toml, to_toml
from sweeps.where import LONGEST
from tests import small

settle = settling()


def asking(count: int = 0, **values: Sequence[Value]) -> Addition:
    named = tuple((name.replace("_dot_", "."), tuple(each)) for name, each in values.items())
    return Addition(values=named, count=count, why="the window's edge")


def swept(where: Sequence[str] = (), skip: Sequence[str] = (), **given: Sequence[str]) -> Sweep:
    fields = {"checkpoint": ["demo-sdxl"], "prompt": ["a face"], "steps": ["4"]} | {
        k: list(v) for k, v in given.items()
    }
    return from_flags("window", fields, where=where, skip=skip)


def made(sweep: Sweep, by: Settle = settle) -> dict[str, tuple[float, int]]:
    """Guidance and seed of every cell, by key."""
    return {
        cell.recipe.key: (cell.recipe.guidance, cell.recipe.seed)
        for cell in cells(parse_toml(to_toml(sweep)), by).cells
    }


def grown(sweep: Sweep, *additions: Addition, by: Settle = settle) -> Sweep:
    """With the additions; what was there before keeps its keys, and the sweep survives its file."""
    before = made(sweep, by)
    wide = added(sweep, additions, settle=by)
    assert parse_toml(to_toml(wide)) == wide
    assert before.items() <= made(wide, by).items()
    return wide


def test_a_finer_step_and_another_seed_are_the_only_new_cells() -> None:
    wide = grown(swept(guidance=["2,4,6"], seed=["7"]), asking(guidance=[3, 5], seed=[7, 8]))
    assert wide.where == "seed == 7 or guidance in (3, 5)"
    assert [axis.values for axis in wide.axes if isinstance(axis, Axis)] == [
        ((2.0,), (3.0,), (4.0,), (5.0,), (6.0,)),
        ((7,), (8,)),
    ]
    old, new = {(2, 7), (4, 7), (6, 7)}, {(3, 7), (3, 8), (5, 7), (5, 8)}
    assert set(made(wide).values()) == old | new


def test_no_condition_where_the_whole_product_is_wanted() -> None:
    sweep = swept(guidance=["2,4"], seed=["7"], where=["guidance <= 2"])
    assert added(swept(guidance=["2,4"], seed=["7"]), [asking(guidance=[2, 4], seed=[8])]).where == ""
    wide = grown(sweep, asking(guidance=[4], seed=[7]))
    assert (wide.where, wide.skip, len(made(wide))) == ("", "", 2)


def test_what_a_person_wrote_stays_where_it_still_says_it() -> None:
    sweep = swept(
        guidance=["2,4,6"], steps=["4,8"], seed=["1,2"], where=["guidance <= 4 or steps >= 8"], skip=["seed == 9"]
    )
    wide = grown(sweep, asking(guidance=[2, 4], steps=[4, 8], seed=[3]), asking(guidance=[6], steps=[8], seed=[3]))
    assert (wide.where, wide.skip) == (sweep.where, sweep.skip)
    assert len(cells(wide, settle).cells) == 15


def test_many_additions_one_after_the_other_never_change_an_old_key() -> None:
    sweep = swept(guidance=["2..10:2"], seed=["1..3"])
    for addition in (
        asking(guidance=[3, 5], seed=[1, 2, 3]),
        asking(guidance=[4, 5], seed=[4, 5, 6, 7, 8]),
        asking(guidance=[13], seed=[1, 2, 3]),
        asking(guidance=[4.5], seed=range(1, 9)),
    ):
        sweep = grown(sweep, addition)
    assert len(made(sweep)) == 15 + 6 + 10 + 3 + 8
    assert len(sweep.where) < 160
    assert added(sweep, [asking(guidance=[4.5, 5], seed=[4, 8])], settle=settle) is sweep


def test_random_cells_are_added_exactly() -> None:
    chance = random.Random(5)
    for _ in range(15):
        some = [chance.sample(range(1, 9), chance.randint(2, 5)) for _ in range(2)]
        sweep = swept(guidance=[",".join(map(str, some[0]))], seed=[",".join(map(str, some[1]))])
        wanted = set(made(sweep).values())
        for _ in range(chance.randint(1, 3)):
            more = [chance.sample(range(1, 12), chance.randint(1, 4)) for _ in range(2)]
            sweep = grown(sweep, asking(guidance=more[0], seed=more[1]))
            wanted |= set(product(map(float, more[0]), more[1]))
            assert set(made(sweep).values()) == wanted


@pytest.mark.parametrize("first", ["6,4,2", "4,2,6", "4"])
def test_values_come_in_the_order_that_the_axis_had(first: str) -> None:
    (axis, *_) = added(swept(guidance=[first], seed=["1"]), [asking(guidance=[3, 9], seed=[1])], settle=settle).axes
    assert ",".join(axis.labels) == {"6,4,2": "9,6,4,3,2", "4,2,6": "4,2,6,3,9", "4": "3,4,9"}[first]


def test_what_was_left_to_the_checkpoint_becomes_an_axis_with_the_same_keys() -> None:
    sweep = swept(seed=["1,2"])
    with pytest.raises(SweepError, match="guidance is left to the checkpoint in this sweep; say it there"):
        added(sweep, [asking(guidance=[3], seed=[1, 2])])
    wide = grown(sweep, asking(guidance=[3], seed=[1, 2]))
    assert len(made(wide)) == 4
    several = swept(checkpoint=["demo-sdxl,demo-flux"], seed=["1"])
    wide = grown(several, asking(checkpoint=["demo-sdxl"], guidance=[2.5], seed=[1]))
    assert len(made(wide)) == 3


def test_a_scheduler_is_matched_by_meaning_not_by_spelling() -> None:
    sweep = swept(scheduler=["DPM++ 2M Karras,euler"], seed=["1"])
    wide = grown(sweep, asking(scheduler=["dpmpp-2m-karras", "euler"], seed=[1, 2]))
    assert [axis.labels for axis in wide.axes] == [("DPM++ 2M Karras", "euler"), ("1", "2")]
    wide = grown(wide, asking(scheduler=["heun"], seed=[2]), asking(scheduler=["dpmpp-2m-karras"], seed=[3]))
    assert wide.where.count("'dpmpp-2m-karras'") == 1


def test_schedulers_that_differ_by_an_option_alone_are_refused_in_one_line() -> None:
    sweep = swept(scheduler=["unipc,unipc:solver_order=1"], seed=["1"])
    grown(sweep, asking(scheduler=["unipc", "unipc:solver_order=1"], seed=[2]))
    with pytest.raises(SweepError, match="a scheduler is compared without its options") as refused:
        added(sweep, [asking(scheduler=["unipc:solver_order=1"], seed=[2])], settle=settle)
    assert "\n" not in str(refused.value)


def test_words_that_a_light_or_a_replacement_wrote_are_found_again() -> None:
    lit = swept(
        prompt=[], light=["window"], subject=["a woman"], guidance=["2,4"], **{"light.direction": ["left-45,front"]}
    )
    (front,) = {
        cell.recipe.prompt for cell in cells(lit, settle).cells if "front" in cell.recipe.prompt.split("light")[0]
    } or {next(cell.recipe.prompt for cell in cells(lit, settle).cells if cell.places[0][1] == 1)}
    wide = grown(lit, asking(prompt=[front], guidance=[3]))
    assert wide.where == "guidance in (2, 4) or light.direction == 'front'"
    words = from_flags(
        "words",
        {"checkpoint": ["demo-sdxl"], "prompt": ["a face with freckles"], "guidance": ["2"], "seed": ["1"]},
        replace=["freckles => scars | moles"],
    )
    wide = grown(words, asking(prompt=["a face with scars"], guidance=[2, 3], seed=[1]))
    assert wide.where == "guidance == 2 or 'scars' in prompt"
    with pytest.raises(SweepError, match="no cell of this sweep has the prompt 'a face with hair'"):
        added(words, [asking(prompt=["a face with hair"], guidance=[3])], settle=settle)


def test_long_prompts_are_told_by_words_that_only_they_have() -> None:
    texts = [f"portrait of a woman with {each}, window light, textured skin, pores" for each in ("scars", "moles")]
    wide = grown(swept(prompt=texts, guidance=["2"], seed=["1"]), asking(prompt=[texts[1]], guidance=[2, 3], seed=[1]))
    assert wide.where == "guidance == 2 or 'moles' in prompt"


def test_fields_that_walk_together_get_a_step_of_all_of_them() -> None:
    fields = {
        "checkpoint": ["demo-sdxl"],
        "prompt": ["a face"],
        "width": ["64,128"],
        "height": ["128,64"],
        "seed": ["1"],
    }
    sweep = from_flags("sizes", fields, zips=["width, height"])
    wide = grown(sweep, asking(width=[128], height=[64], seed=[1, 2]), asking(width=[128], height=[128], seed=[1]))
    sizes = [(cell.recipe.width, cell.recipe.height, cell.recipe.seed) for cell in cells(wide, settle).cells]
    assert sorted(sizes) == [(64, 128, 1), (128, 64, 1), (128, 64, 2), (128, 128, 1)]


def test_what_is_not_named_is_taken_from_the_base_and_an_unknown_field_is_refused() -> None:
    sweep = swept(guidance=["2,4"], seed=["5,6"])
    assert {pair for pair in made(grown(sweep, asking(guidance=[3]))).values() if pair[0] == 3} == {(3, 5)}
    with pytest.raises(SweepError, match="colour is no field with values to add; allowed: checkpoint, prompt"):
        added(sweep, [asking(colour=["red"])])


def test_scattered_cells_are_said_within_the_longest_condition_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(1)
    sweep = swept(guidance=["1..9:1"], seed=["1"])
    pairs = {(chance.randint(1, 9), chance.randint(2, 20)) for _ in range(20)}
    additions = [asking(guidance=[g], seed=[s]) for g, s in sorted(pairs)]
    wide = added(sweep, additions, settle=settle)
    assert len(wide.where) <= LONGEST
    assert set(made(wide).values()) == pairs | {(g, 1) for g in range(1, 10)}
    monkeypatch.setattr("sweeps.refine.LONGEST", 200)
    with pytest.raises(SweepError, match="characters, and 200 are allowed; add fewer"):
        added(sweep, additions, settle=settle)


def test_boxes_cover_what_is_wanted_and_nothing_else() -> None:
    chance = random.Random(2)
    for _ in range(40):
        lengths = [chance.randint(1, 5) for _ in range(chance.randint(1, 3))]
        wanted = {place for place in product(*map(range, lengths)) if chance.random() < 0.6}
        assert {place for box in boxes(wanted, lengths) for place in product(*box)} == wanted


def test_a_budget_is_spent_coarse_first_and_in_order() -> None:
    coarse, fine = (
        asking(count=12, guidance=[3, 5], seed=range(1, 7)),
        asking(count=30, guidance=[4, 5, 6, 7, 8], seed=range(6)),
    )
    assert within([coarse, fine], 42) == (coarse, fine)
    first, second = within([coarse, fine], 30)
    assert first == coarse
    assert (second.values[0], second.count) == (("guidance", (4, 6, 8)), 18)
    (cut,) = within([fine], 4)
    assert (cut.values, cut.count) == ((("guidance", (4,)), ("seed", (0, 1, 2, 3))), 4)
    assert within([coarse], 0) == ()


def test_cells_that_are_there_cost_nothing() -> None:
    sweep = swept(guidance=["2,4"], seed=["1,2"])
    addition = asking(count=2, guidance=[2, 3, 4], seed=[1, 2])
    assert within([addition], 2, missing=missing_in(sweep, settle=settle)) == (addition,)
    assert within([asking(count=9, guidance=[2], seed=[1])], 9, missing=missing_in(sweep, settle=settle)) == ()


def test_a_run_of_no_axes_grows_a_grid_with_the_seeds_downwards(tmp_path: Path) -> None:
    sweep = Sweep.over("one", Draft(checkpoint="small", prompt="a face", guidance=4, seed=1), axes=[])
    wide = grown(sweep, asking(seed=[1, 2], guidance=[2, 6]), by=small.settle)
    assert [axis.name for axis in wide.axes] == ["guidance", "seed"]
    assert set(made(wide, small.settle).values()) == {(4, 1), (2, 1), (2, 2), (6, 1), (6, 2)}


def test_images_of_a_run_folder_are_told_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    for number in (1, 2):
        Image.new("RGB", (64, 64), (90 * number, 70, 60)).save(tmp_path / "inputs" / f"{str(number) * 64}.png")
    path = tmp_path / "sweep.toml"
    names = [f"inputs/{str(number) * 64}.png" for number in (1, 2)]
    path.write_text(f'checkpoint = "demo-sdxl"\nstart = {names}\nstrength = [0.4, 0.6]\nsteps = 4\nseed = 1\n')
    sweep = read_toml(path)
    second = str(sweep.axes[0].values[1][0])
    path.write_text(to_toml(added(sweep, [asking(start=[second], strength=[0.5])], settle=settle)))
    assert read_toml(path).where == f"strength in (0.4, 0.6) or '{'2' * 64}.png' in start"
    assert len(cells(read_toml(path), settle).cells) == 5
