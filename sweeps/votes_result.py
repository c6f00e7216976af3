"""What blind votes on a run come to: rankings, measures they follow, who agrees with whom; in words, with intervals.

Knows nothing about files but where to read them. There is no score: votes rank settings, measures stand beside them.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Literal

from pipelines.files import DISK, Files
from pipelines.frozen import Frozen
from pipelines.skin_measures import MEASURES
from sweeps import votes as cast
from sweeps.ranking import Compared, Ranking, Share, followed, rank, sides, wilson
from sweeps.votes import Vote
from sweeps.votes_pairs import Ballot, ballot

FEWEST = 10
"""Votes from which a share is put into words; of 9 a 95 % interval covers half of all there is."""
SURE = 0.95
FEW_PICTURES = 3
"""Pictures of a setting below which its interval cannot tell chance from the setting."""
DOUBT = 0.05
"""Chance that any of the measures is said to be followed when none is; parted among them (Bonferroni)."""

Values = Mapping[str, Mapping[str, float | None]]
"""By measure, then by picture."""


class Follows(Frozen):
    """How often the picture with the higher value was preferred. `wanted`: what the votes want of it, if it is sure."""

    measure: str
    unit: str
    share: Share
    wanted: Literal["more", "less", ""]


class VoterResult(Frozen):
    """One person's votes; `left`: how often they took the left picture, where they took one."""

    by: str
    votes: int
    skipped: int
    left: Share
    ranking: Ranking
    follows: tuple[Follows, ...]
    first: str
    last: str


class Between(Frozen):
    """How often two people gave the same answer to pairs that both judged."""

    one: str
    other: str
    same: Share


class VotesResult(Frozen):
    """All of it together and by person. `lost` votes are on pictures that are no longer there."""

    votes: int
    skipped: int
    lost: int
    left: Share
    ranking: Ranking
    follows: tuple[Follows, ...]
    voters: tuple[VoterResult, ...]
    between: tuple[Between, ...]
    sentences: tuple[str, ...]
    cautions: tuple[str, ...]


def of_run(run: Path, files: Files = DISK, *, by: str = "") -> VotesResult:
    """What the votes on a run folder come to; with `by` only this person's."""
    said = [vote for vote in cast.read(run, files) if not by or vote.by == by]
    return result(ballot(run, files), said, measured(run, files))


def measured(run: Path, files: Files = DISK) -> Values:
    """The measures of a run's pictures, by measure; of what is not measured there is none."""
    from sweeps import measure

    cells = measure.read(run, files)
    return {each.name: {key: cell.value(each.name) for key, cell in cells.items()} for each in MEASURES}


def result(pictures: Ballot, votes: Sequence[Vote], values: Values) -> VotesResult:
    """The same of pictures, votes and measures."""
    compared = pictures.compared(votes)
    skipped = sum(vote.said == "skip" for vote in votes)
    voters = tuple(_voter(pictures, name, votes, values) for name in dict.fromkeys(vote.by for vote in votes))
    told = VotesResult(
        votes=len(compared),
        skipped=skipped,
        lost=len(votes) - skipped - len(compared),
        left=sides(compared),
        ranking=voters[0].ranking if len(voters) == 1 else rank(compared),
        follows=follows(compared, values),
        voters=voters,
        between=between(votes),
        sentences=(),
        cautions=(),
    )
    return told.but(sentences=_sentences(told), cautions=_cautions(told))


def follows(compared: Sequence[Compared], values: Values) -> tuple[Follows, ...]:
    """Each measure against the votes: the most followed first, those with few pairs last, those with none left out."""
    strict = NormalDist().inv_cdf(1 - DOUBT / (2 * max(1, len(values))))
    found: list[Follows] = []
    for each in MEASURES:
        known = values.get(each.name, {})
        share, sure = followed(compared, known), followed(compared, known, z=strict)
        if not share.n:
            continue
        wanted: Literal["more", "less", ""] = "more" if sure.low > 0.5 else "less" if sure.high < 0.5 else ""
        found.append(Follows(measure=each.name, unit=each.unit, share=share, wanted=wanted))
    return tuple(sorted(found, key=lambda each: (each.share.n < FEWEST, -round(abs(each.share.value - 0.5), 6))))


def between(votes: Sequence[Vote]) -> tuple[Between, ...]:
    """Every two people who judged a pair in common; of a pair that one judged twice the last answer counts."""
    said: dict[str, dict[frozenset[str], str]] = {}
    for vote in votes:
        if vote.said != "skip":
            preferred = {"left": vote.left, "right": vote.right}.get(vote.said, "equal")
            said.setdefault(vote.by, {})[vote.pair] = preferred
    found: list[Between] = []
    for one, other in itertools.combinations(said, 2):
        both = said[one].keys() & said[other].keys()
        if both:
            same = wilson(sum(said[one][pair] == said[other][pair] for pair in both), len(both))
            found.append(Between(one=one, other=other, same=same))
    return tuple(found)


def percent(share: Share) -> str:
    """`78 % of 48, 65 to 88`."""
    return f"{100 * share.value:.0f} % of {share.n}, {100 * share.low:.0f} to {100 * share.high:.0f}"


def _voter(pictures: Ballot, name: str, votes: Sequence[Vote], values: Values) -> VoterResult:
    own = [vote for vote in votes if vote.by == name]
    compared = pictures.compared(own)
    return VoterResult(
        by=name,
        votes=len(compared),
        skipped=sum(vote.said == "skip" for vote in own),
        left=sides(compared),
        ranking=rank(compared),
        follows=follows(compared, values),
        first=own[0].at,
        last=own[-1].at,
    )


def _sentences(told: VotesResult) -> tuple[str, ...]:
    return tuple(filter(None, [_ranked(told), _followed(told), *map(_agreed, told.between)]))


def _ranked(told: VotesResult) -> str:
    settings = told.ranking.settings
    if len(settings) < 2 or told.votes < FEWEST:
        return f"{told.votes} votes are too few to rank settings; from {FEWEST} on there is a first ranking."
    first, second, last = settings[0], settings[1], settings[-1]
    share = f"{100 * first.share:.0f} % of pairs ({100 * first.low:.0f} to {100 * first.high:.0f})"
    if told.ranking.first >= SURE:
        return f"{first.setting} is preferred to all others, in {share}; least preferred: {last.setting}."
    near = [each.setting for each in settings[1:] if each.high >= first.low][:3] or [second.setting]
    return (
        f"{first.setting} leads: it is preferred in {share}, and is the best of all with "
        f"{100 * told.ranking.first:.0f} % probability. As good may be {_either(near)}."
    )


def _followed(told: VotesResult) -> str:
    counted = [each for each in told.follows if each.share.n >= FEWEST]
    sure = [each for each in counted if each.wanted]
    by_chance = [each for each in counted if each.share.low <= 0.5 <= each.share.high]
    unsure = sorted(by_chance, key=lambda each: abs(each.share.value - 0.5))
    whose = "Your votes" if len(told.voters) == 1 else "The votes"
    rest = _either([f"{each.measure} ({percent(each.share)})" for each in unsure[:2]])
    if sure:
        share = {each.measure: each.share if each.wanted == "more" else _other(each.share) for each in sure}
        words = " and ".join(f"{each.wanted} {each.measure} ({percent(share[each.measure])})" for each in sure[:3])
        return f"{whose} follow {words}" + (f", not {rest}." if rest else ".")
    return f"{whose} follow no measure for sure" + (f"; nearest to chance: {rest}." if rest else ".") if counted else ""


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _other(share: Share) -> Share:
    """The share of those that are not counted in this one."""
    return Share(value=1 - share.value, low=1 - share.high, high=1 - share.low, n=share.n)


def _agreed(pair: Between) -> str:
    return f"{pair.one} and {pair.other} gave the same answer to pairs that both judged in {percent(pair.same)}."


def _cautions(told: VotesResult) -> tuple[str, ...]:
    found: list[str] = []
    for each in told.voters:
        if each.left.n >= FEWEST and not each.left.low <= 0.5 <= each.left.high:
            side, share = ("left", each.left) if each.left.value > 0.5 else ("right", _other(each.left))
            found.append(
                f"{each.by} took the {side} picture more often than by chance ({percent(share)}); sides are drawn, so "
                "no setting gains by it"
            )
    if told.votes and min((each.pictures for each in told.ranking.settings), default=0) < FEW_PICTURES:
        found.append("some settings were judged on fewer than 3 seeds: their intervals stay wide until there are more")
    if told.lost:
        found.append(f"{told.lost} votes are on pictures that are no longer there, and do not count")
    if told.votes and not told.follows:
        found.append("no picture is measured, so nothing is said of measures; `sidelight measure` measures the run")
    return tuple(found)
