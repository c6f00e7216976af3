"""Findings in words: numbers with their intervals as a person reads them in the morning.

Knows nothing about how anything is found.
"""

from collections.abc import Sequence

from sweeps.compare_cells import CLIPPED, FACE, NOISE, RATIOS, Told
from sweeps.curves import WIDEST
from sweeps.findings import Estimate
from sweeps.ranges import label, many


def settings(held: Told) -> str:
    """What was held, in brackets: `(20 steps, euler)`; empty where nothing is told."""
    named = {"steps": "{} steps", "scheduler": "{}", "size": "{} px"}
    told = [named.get(name, f"{name.replace('_', ' ')} {{}}").format(text) for name, text in held]
    return f" ({', '.join(told)})" if told else ""


def seeds(n: int) -> str:
    """`6 seeds`."""
    return many(n, "seed")


def values(steps: Sequence[float]) -> str:
    """`3`, or `3 to 5` of rising values."""
    return label(float(steps[0])) if len(steps) == 1 else f"{label(float(steps[0]))} to {label(float(steps[-1]))}"


def beyond(where: str, change: str) -> str:
    """`below 3 texture is lower`, with a comma where the number would run into the next one."""
    return f"{where}, {change}" if change[0].isdigit() else f"{where} {change}"


def short(value: float) -> str:
    """`.12`, `1.30`: two digits behind the point, no lone nought before it; the sign is the caller's."""
    text = f"{abs(value):.2f}"
    return text.removeprefix("0")


def percent(log2: float) -> float:
    """A ratio's log2 as a change in per cent."""
    return float((2.0 ** min(log2, 60.0) - 1.0) * 100.0)


def is_certain(effect: Estimate) -> bool:
    """Whether its interval leaves out nought."""
    return effect.low > 0 or effect.high < 0


def has_interval(effect: Estimate) -> bool:
    """Whether there were seeds enough for one."""
    return effect.n > 1 and effect.high < WIDEST


def change(measure: str, effect: Estimate, *, first: bool = True) -> str:
    """`texture is 41 % lower (95 %: 33 to 48, 6 seeds)`, `halo is .12 higher (.08 to .15)`.

    `first` says the confidence and n, which the next one in a sentence need not say again.
    """
    way = "higher" if effect.value > 0 else "lower"
    if measure == FACE:
        way = "more" if effect.value > 0 else "fewer"
        return f"{abs(100 * effect.value):.0f} % {way} pictures have a face that can be measured ({seeds(effect.n)})"
    if measure == NOISE:
        way = "more" if effect.value > 0 else "fewer"
        return f"{abs(100 * effect.value):.0f} % {way} pictures show noise, not skin ({seeds(effect.n)})"
    if measure == CLIPPED:
        way = "more" if effect.value > 0 else "less"
        ends = interval(measure, effect, first=first)
        return f"{abs(effect.value):.1f} % {way} of the skin is burnt out or black{ends}"
    amount = f"{abs(percent(effect.value)):.0f} %" if measure in RATIOS else short(effect.value)
    return f"{measure} is {amount} {way}{interval(measure, effect, first=first)}"


def interval(measure: str, effect: Estimate, *, first: bool = True) -> str:
    """` (95 %: 33 to 48, 6 seeds)`, both ends as they read beside the value; ` (1 seed)` where there is none."""
    if not has_interval(effect):
        return f" ({seeds(effect.n)})"
    ends = [percent(end) if measure in RATIOS else end for end in (effect.low, effect.high)]
    if effect.value < 0:
        ends = [-end for end in reversed(ends)]
    written = [_end(measure, end) for end in ends]
    return f" (95 %: {' to '.join(written)}, {seeds(effect.n)})" if first else f" ({' to '.join(written)})"


def _end(measure: str, end: float) -> str:
    sign = "-" if end < 0 else ""
    text = f"{abs(end):.0f}" if measure in RATIOS else f"{abs(end):.1f}" if measure == CLIPPED else short(end)
    return text if float(text) == 0 else sign + text


def within(measure: str, effect: Estimate) -> str:
    """`texture -2 to +5 %`, `slope -.04 to +.10`: where a difference lies."""
    ends = [percent(end) if measure in RATIOS else end for end in (effect.low, effect.high)]
    low, high = (("+" if end > 0 else "") + _end(measure, end) for end in ends)
    return f"{measure} {low} to {high}{' %' if measure in RATIOS else ''}"


def gain(measure: str, effect: Estimate) -> str:
    """`texture gains 2 % ± 3`, `slope loses .02 ± .04`: what more steps bring."""
    way = "gains" if effect.value >= 0 else "loses"
    if measure in RATIOS:
        half = (percent(effect.high) - percent(effect.low)) / 2
        return f"{measure} {way} {abs(percent(effect.value)):.0f} % ± {half:.0f}"
    return f"{measure} {way} {short(effect.value)} ± {short((effect.high - effect.low) / 2)}"
