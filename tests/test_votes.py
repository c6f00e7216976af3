"""Blind votes are kept whoever votes at the same time, pairs are fair, and nothing tells a setting beforehand."""

import errno
import random
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import DiskError, InputError
from pipelines.recipe import Recipe, SchedulerChoice, Weights
from pipelines.skin_measures import MEASURES
from sweeps import votes
from sweeps.ranking import Compared, followed, sides, wilson
from sweeps.run import run
from sweeps.votes import Vote
from sweeps.votes_pairs import Ballot, Candidate, ballot, ballot_of, next_pair, progress
from sweeps.votes_result import between, follows, result
from tests.crash import FailingFiles, Quick
from tests.small import opener, prepared

NAME = "2026-01-02-window"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three guidances by three seeds, that no test changes."""
    ready = prepared(tmp_path_factory.mktemp("made") / NAME)
    assert list(run(ready, open_engine=opener([])))
    return ready.folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs" / NAME, ignore=shutil.ignore_patterns(".reserve")))


def pair_of(folder: Path) -> tuple[str, str]:
    one, other = ballot(folder).scenes[0][:2]
    return one.key, other.key


def cast(folder: Path, left: str, right: str, said: str, by: str = "ann") -> tuple[Vote, ...]:
    vote = Vote.read({"left": left, "right": right, "said": said, "view": "cheek", "by": by})
    return votes.append(folder, vote, Quick(), now=lambda: "now")


# ---- the file


def test_votes_are_kept_in_order_and_the_last_of_a_person_is_taken_back(folder: Path) -> None:
    one, other = pair_of(folder)
    cast(folder, one, other, "left")
    cast(folder, other, one, "equal", "bo")
    assert [vote.said for vote in cast(folder, other, one, "skip")] == ["left", "equal", "skip"]
    assert [vote.said for vote in votes.answered(folder)] == ["left", "equal"], "a skipped pair says nothing"
    back = votes.take_back(folder, "ann", Quick())
    assert back == Vote(left=other, right=one, said="skip", view="cheek", by="ann", at="now")
    assert [(vote.by, vote.said) for vote in votes.read(folder)] == [("ann", "left"), ("bo", "equal")]
    assert [getattr(votes.take_back(folder, "ann", Quick()), "said", None) for _ in range(2)] == ["left", None]
    assert [vote.by for vote in votes.read(folder)] == ["bo"]
    assert (folder / votes.NAME).read_bytes().count(b"\n") == 5, "nothing is deleted"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"said": "both"}, "said 'both'"),
        ({"view": "hands"}, "view 'hands'"),
        ({"by": ""}, "by ''"),
        ({"by": "two\nlines"}, "one line"),
        ({"by": "x" * 61}, "at most 60"),
        ({"left": "../../etc"}, "left"),
        ({"left": "b" * 16}, "on both sides"),
        ({"stars": 3}, "stars is not known"),
    ],
)
def test_what_is_no_vote_is_refused_with_its_reason(change: dict[str, Any], reason: str) -> None:
    plain = {"left": "a" * 16, "right": "b" * 16, "said": "left", "view": "whole", "by": "ann"}
    with pytest.raises(InputError, match=reason):
        Vote.read(plain | change)


def test_pictures_of_no_plan_and_folders_of_no_run_take_no_vote(folder: Path) -> None:
    one, _ = pair_of(folder)
    with pytest.raises(InputError, match="cccccccccccccccc is no picture of"):
        cast(folder, one, "c" * 16, "left")
    for attempt in (lambda: cast(folder.parent, one, "c" * 16, "left"), lambda: votes.take_back(folder.parent, "ann")):
        with pytest.raises(InputError, match="no run folder"):
            attempt()
    assert not (folder / votes.NAME).exists()


def test_torn_and_damaged_lines_leave_the_others_whole(folder: Path) -> None:
    one, other = pair_of(folder)
    cast(folder, one, other, "left")
    path = folder / votes.NAME
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        kept = int(size == len(whole))
        assert len(votes.read(folder)) == kept
        assert len(cast(folder, other, one, "right")) == kept + 1, size
    path.write_bytes(whole + b'{"left": 3}\n[1]\n{"taken_back": true}\n' + whole)
    assert len(votes.read(folder)) == 2
    assert [fault.number for fault in votes.unreadable(folder)] == [2, 3, 4]


def test_many_voters_at_once_lose_no_vote(folder: Path) -> None:
    one, other = pair_of(folder)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: cast(folder, one, other, "left", f"voter {n % 4}"), range(24)))
    assert Counter(vote.by for vote in votes.read(folder)) == {f"voter {n}": 6 for n in range(4)}


def test_a_disk_that_fails_at_any_call_tears_no_vote(folder: Path) -> None:
    (before,) = cast(folder, *pair_of(folder), "left")
    kept = 0
    for n in range(1, 16):
        try:
            votes.append(folder, before.but(said="right"), FailingFiles(n, errno.EIO))
        except (DiskError, InputError):  # the plan could not be read
            assert [vote.said for vote in votes.read(folder)] == ["left"]
        else:
            kept += 1
            assert [vote.said for vote in votes.read(folder)] == ["left", "right"]
            votes.take_back(folder, "ann", Quick())
        assert votes.unreadable(folder) == ()
    assert kept >= 4


# ---- pairs


def recipe(**changes: Any) -> Recipe:
    plain = {
        "checkpoint": Weights(digest="0" * 64, family="sdxl", name="small"),
        "prompt": "a face",
        "seed": 1,
        "width": 64,
        "height": 64,
        "steps": 20,
        "guidance": 4,
        "scheduler": SchedulerChoice(name="euler"),
    }
    return Recipe.read(plain | changes)


def test_pairs_are_of_one_scene_and_seed_with_other_settings() -> None:
    asked = [recipe(), recipe(guidance=6), recipe(steps=30), recipe(seed=2), recipe(prompt="a hand"), recipe(width=80)]
    asked.append(recipe(checkpoint=Weights(digest="1" * 64, family="sdxl", name="other")))
    found = ballot_of([(each, None) for each in asked])
    keys = [each.key for each in asked]
    assert [found.is_pair(keys[0], key) for key in keys] == [False, True, True, False, False, False, True]
    assert found.by_key[keys[6]].setting == "other · guidance 4 · steps 20"
    assert found.by_key[keys[0]].setting == found.by_key[keys[3]].setting == "small · guidance 4 · steps 20"
    assert found.among([keys[1], keys[3]]).settings == (
        "small · guidance 4 · steps 20",
        "small · guidance 6 · steps 20",
    )
    assert not found.is_pair(keys[0], "f" * 16)
    with pytest.raises(InputError, match="no finished picture"):
        found.among(["f" * 16])


def simple(settings: int = 6, seeds: int = 5) -> Ballot:
    return Ballot(
        tuple(
            Candidate(f"{setting:08x}{seed:08x}", f"seed {seed}", f"setting {setting}")
            for seed in range(seeds)
            for setting in range(settings)
        )
    )


def vote_on(pictures: Ballot, count: int, *, by: str = "ann", seed: int = 1, best: int = 2) -> list[Vote]:
    """A person who likes the setting `best`, and those near it."""
    draw, said = random.Random(seed), list[Vote]()
    for _ in range(count):
        pair = next_pair(pictures, said, by=by, draw=draw)
        assert pair
        left, right = (abs(int(key[:8], 16) - best) for key in (pair.left, pair.right))
        answer = draw.choices(("left", "right", "equal"), (2.0 ** (right - left), 2.0 ** (left - right), 0.3))[0]
        said.append(Vote.read({**pair.model_dump(), "said": answer, "by": by}))
    return said


def test_pairs_come_once_on_random_sides_in_no_fixed_order_and_views_take_turns() -> None:
    pictures = simple()
    said = vote_on(pictures, 75)
    assert len({vote.pair for vote in said}) == 75, "all 15 pairs of settings on all 5 seeds, each once"
    assert all(pictures.is_pair(vote.left, vote.right) for vote in said)
    assert next_pair(pictures, said, by="ann", draw=random.Random(1)) is None
    assert [vote.view for vote in said[:4]] == ["cheek", "whole", "cheek", "whole"]
    higher_left = sum(vote.left > vote.right for vote in said)
    assert 22 <= higher_left <= 53, f"{higher_left} of 75 have the later setting at the left; by chance 1 in 2000"
    first = {next_pair(pictures, [], by="ann", draw=random.Random(seed)) for seed in range(30)}
    assert len(first) > 20, "who knows the run cannot guess what comes first"


def test_pairs_that_tell_more_come_more_often_and_seeds_are_spread() -> None:
    pictures = simple(settings=8, seeds=6)
    said = vote_on(pictures, 60)
    apart = Counter(abs(int(vote.left[:8], 16) - int(vote.right[:8], 16)) for vote in said[20:])
    possible = {distance: 8 - distance for distance in range(1, 8)}
    near, far = (sum(apart[d] for d in part) / sum(possible[d] for d in part) for part in ((1, 2), (5, 6, 7)))
    assert near > far, "an answer that is clear beforehand tells little"
    seeds = Counter(vote.left[8:] for vote in said)
    assert max(seeds.values()) - min(seeds.values()) <= 4


def test_another_person_also_gets_pairs_that_were_judged_before() -> None:
    pictures = simple()
    said, draw = vote_on(pictures, 20), random.Random(5)
    judged = {vote.pair for vote in said}
    for _ in range(16):
        pair = next_pair(pictures, said, by="bo", draw=draw)
        assert pair
        said.append(Vote.read({**pair.model_dump(), "said": "left", "by": "bo"}))
    assert sum(vote.pair in judged for vote in said[20:]) >= 4
    (agreed,) = between(said)
    assert agreed.same.n == sum(vote.pair in judged for vote in said[20:])


def test_progress_tells_how_many_votes_until_intervals_are_narrow() -> None:
    pictures = simple(settings=4, seeds=8)
    said = vote_on(pictures, 48) + vote_on(pictures, 48, by="bo") + vote_on(pictures, 48, by="cy")
    told = [progress(pictures, said[:count], "ann") for count in (0, 40, 144)]
    assert [each.votes for each in told] == [0, 40, 144]
    assert 40 <= told[0].about <= 80
    assert told[0].half_width > told[1].half_width > told[2].half_width
    assert told[2].is_narrow
    assert not told[0].is_narrow
    assert told[1].yours == 40
    assert progress(simple(settings=1), [], "ann").about == 0


# ---- what they come to


def test_agreement_counts_votes_for_the_higher_value() -> None:
    def compared(left: str, right: str, said: Any) -> Compared:
        return Compared(f"s{left}", f"s{right}", left, right, said)

    said = [compared("a", "b", "left")] * 6 + [compared("b", "a", "left")] * 2 + [compared("a", "b", "equal")] * 5
    said += [compared("a", "c", "left"), compared("a", "d", "right")]
    values = {"a": 3.0, "b": 1.0, "c": None, "d": 3.0}
    share = followed(said, values)
    assert (share.n, share.value) == (8, 0.75), "equal answers, equal values and missing ones are left out"
    assert (round(share.low, 3), round(share.high, 3)) == (0.409, 0.929), "Wilson's interval of 6 in 8"
    assert followed(said, {"a": 1.0, "b": 3.0}).value == 0.25
    assert wilson(0, 0).n == 0
    assert (wilson(0, 10).low, wilson(10, 10).high) == (0.0, 1.0)
    assert sides(said).n == 10
    assert sides(said).value == 0.9


def test_a_measure_is_followed_in_words_only_when_it_is_sure() -> None:
    pictures = simple(settings=5, seeds=6)
    said = vote_on(pictures, 60, best=4)
    keys = [each.key for each in pictures.candidates]
    noise = random.Random(4)
    values = {
        "texture": {key: float(int(key[:8], 16)) for key in keys},
        "halo": {key: -float(int(key[:8], 16)) for key in keys},
        "blood": {key: noise.random() for key in keys},
    }
    told = result(pictures, said, values)
    wanted = {each.measure: each.wanted for each in told.follows}
    assert wanted == {"texture": "more", "halo": "less", "blood": ""}
    shares = {each.measure: each.share for each in told.follows}
    assert shares["texture"].value + shares["halo"].value == pytest.approx(1)
    words = " ".join(told.sentences)
    assert "follow more texture (" in words
    assert "less halo (" in words
    assert "not blood (" in words
    assert told.ranking.settings[0].setting == "setting 4"
    assert len(values) < len(MEASURES)


def test_noise_is_seldom_called_followed() -> None:
    pictures, draw = simple(settings=5, seeds=6), random.Random(11)
    said, false = vote_on(pictures, 50), 0
    compared = pictures.compared(said)
    for _ in range(60):
        values = {each.name: {key.key: draw.random() for key in pictures.candidates} for each in MEASURES}
        false += any(each.wanted for each in follows(compared, values))
    assert false <= 9, f"{false} of 60 runs; 3 are expected"


def test_two_people_are_shown_apart_and_together_with_how_far_they_agree() -> None:
    pictures = simple(settings=4, seeds=6)
    one = vote_on(pictures, 36, by="ann", best=0)
    other = [vote.but(by="bo", said={"left": "right", "right": "left"}.get(vote.said, vote.said)) for vote in one]
    turned = [vote.but(by="cy", left=vote.right, right=vote.left, said=other[at].said) for at, vote in enumerate(one)]
    told = result(pictures, [*one, *other, *turned], {})
    assert [each.by for each in told.voters] == ["ann", "bo", "cy"]
    assert [each.ranking.settings[0].setting for each in told.voters] == ["setting 0", "setting 3", "setting 0"]
    shares = {(each.one, each.other): each.same for each in told.between}
    equal = sum(vote.said == "equal" for vote in one)
    assert shares["ann", "cy"].value == 1, "the same pictures preferred, whichever side they were on"
    assert shares["ann", "bo"].value == equal / 36
    assert told.votes == 108
    assert any("ann and cy gave the same answer" in sentence for sentence in told.sentences)


def test_few_votes_and_lost_pictures_are_said(folder: Path) -> None:
    pictures = ballot(folder)
    one, other = pair_of(folder)
    said = [*cast(folder, one, other, "left")]
    gone = said[0].but(left="0" * 16)
    told = result(pictures, [*said, gone, said[0].but(said="skip")], {})
    assert (told.votes, told.lost, told.skipped) == (1, 1, 1)
    assert "too few" in told.sentences[0]
    assert any("no longer there" in caution for caution in told.cautions)
    assert any("fewer than 3 seeds" in caution for caution in told.cautions)
    assert result(pictures, [], {}).sentences
