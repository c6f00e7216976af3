"""A series in words: what is frozen, its members, and the figures of a check as table, JSON and control grid.

Knows nothing about commands or how pictures are made.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.draft import LIGHT, Draft
from pipelines.files import put
from sweeps.sweep import UNSAID
from workbench.read_command import shown as plain
from workbench.series import CONTROL, PILOT, Changed, Member, Series
from workbench.series_figures import NAMES, UNITS, Drift, Figures, Limits, Name, drift, limits, look, polar, shown

if TYPE_CHECKING:
    from rich.table import Table

WORDS = {
    "lightness": "lightness",
    "colour": "skin colour",
    "texture": "texture",
    "slope": "slope",
    "side_ev": "side light",
}
"""What drifts, in a few letters."""


OF = {"lab": "skin colour", "texture": "texture", "slope": "slope", "side_ev": "side light"}
MEANT: Mapping[Changed, tuple[Name, ...]] = {"age": ("texture", "slope")}
"""What a change is for: an older skin has another texture under the same light."""
UNDER = {
    "lightness": "lightness",
    "colour": "skin colour ΔE",
    "texture": "texture",
    "slope": "slope",
    "side_ev": "between the cheeks, EV",
}
"""The same with their units, under a thumbnail."""


@dataclass(frozen=True)
class Checked:
    """One picture of a check: the pilot (member None) or a member; `missing` says why there are no figures."""

    member: Member | None
    path: Path
    figures: Figures | None
    drift: Drift | None
    missing: str

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return self.member.title if self.member else "pilot"

    @property
    def verdict(self) -> str:
        """Which figures drift; "not measured" where the colour of the skin could not be read; else that it holds."""
        if self.member is None:
            return self.missing
        if self.drift and self.drift.beyond:
            return "drifts: " + ", ".join(WORDS[name] for name in self.drift.beyond)
        if self.figures is None or self.drift is None or not self.drift.by:
            return "not measured"
        return "holds" if len(self.drift.by) == len(NAMES) else "holds, as far as measured"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why figures are missing, each reason once, with the figures it is about."""
        if self.figures is None:
            return (self.missing,)
        why = self.figures.why
        names = {reason: [OF[name] for name in why if why[name] == reason] for reason in why.values()}
        return tuple(f"{', '.join(names[reason])}: {reason}" for reason in names)


@dataclass(frozen=True)
class Check:
    """A checked series, the pilot first, and the limits that were used."""

    series: Series
    pictures: tuple[Checked, ...]
    limits: Limits


def checked(series: Series, folder: Path) -> Check:
    """Measure the pilot and every member; a second or two a picture. Raises InputError for a damaged pilot."""
    pilot = look(folder / PILOT)
    seen = [look(member.path) for member in series.members]
    takes = [
        each
        for member, each in zip(series.members, seen, strict=True)
        if member.changed == "seed" and isinstance(each, Figures)
    ]
    own = limits([*([pilot] if isinstance(pilot, Figures) else []), *takes])
    first = Checked(None, folder / PILOT, *_halves(pilot, pilot, own, meant=()))
    others = [
        Checked(member, member.path, *_halves(pilot, each, own, meant=MEANT.get(member.changed, ())))
        for member, each in zip(series.members, seen, strict=True)
    ]
    return Check(series, (first, *others), own)


def rule(limits: Limits) -> str:
    """The limits in one line."""
    by = limits.by
    return (
        f"drifts: beyond {by['lightness']:.1f} in L, {by['colour']:.2f} in skin colour (100 ΔE OK at equal lightness), "
        f"x{2 ** by['texture']:.2f} in texture, {by['slope']:.2f} in slope, {by['side_ev']:.2f} EV between cheeks: "
        f"{limits.source}"
    )


def draw_control(check: Check, folder: Path) -> Path:
    """Write `control.png` of the series and give its path; raises DiskError."""
    from workbench.series_sheet import Shot, control_grid

    shots = [
        Shot(
            title=_kind(each),
            said=_said(each, check.series.base.seed),
            picture=each.path if each.path.is_file() else None,
            lines=_lines(each),
            colour=_colour(each.figures),
            flag=each.verdict if each.drift and each.drift.beyond else "",
            bright=_bright(each),
        )
        for each in check.pictures
    ]
    about = (_held(check), rule(check.limits), "Squares: mean colour of the skin, the pilot's on the left.")
    path = folder / CONTROL
    put({path: control_grid(f"{check.series.name}: control grid", about, shots)})
    return path


def table(check: Check) -> "Table":
    """The figures, a row a picture: the pilot's own, then each member's, with its differences below; 80 columns."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE, pad_edge=False)
    made.add_column("picture", overflow="fold", min_width=13)
    for name in ("L", "chroma", "hue", "all\nΔE", "skin\nΔE", "texture", "slope", "side\nEV"):
        made.add_column(name, justify="right", no_wrap=True)
    for each in check.pictures:
        style = "bold red" if each.drift and each.drift.beyond else None
        made.add_row(plain(f"{each.title}\n{each.verdict}".strip()), *_cells(each), style=style)
    return made


def as_dict(check: Check, control: Path) -> dict[str, Any]:
    """For --json: every number, null with its reason."""
    return {
        "series": check.series.name,
        "control": str(control),
        "limits": {**check.limits.by, "source": check.limits.source},
        "units": dict(UNITS),
        "pictures": [_entry(each) for each in check.pictures],
    }


def frozen(base: Draft) -> str:
    """What a series froze, in lines of values."""
    values = base.model_dump(exclude={"light_fields", "prompt", "negative", "seed"})
    said = [f"{name} {value}" for name, value in values.items() if value != getattr(UNSAID, name) and value is not None]
    fields = [f"{name.removeprefix(LIGHT)} {value}" for name, value in base.light_fields]
    lines = [", ".join(said)]
    if fields:
        lines.append("light: " + ", ".join(fields))
    lines += [f"{name}: {text}" for name in ("prompt", "negative") if (text := getattr(base, name))]
    return "\n".join([*lines, f"seed {base.seed} where no other is given"])


def _halves(
    pilot: Figures | str, own: Figures | str, used: Limits, *, meant: Collection[Name]
) -> tuple[Figures | None, Drift | None, str]:
    if isinstance(own, str):
        return None, None, own
    return own, drift(pilot, own, used, meant=meant) if isinstance(pilot, Figures) else None, ""


def _held(check: Check) -> str:
    drifting = sum(bool(each.drift and each.drift.beyond) for each in check.pictures)
    count = len(check.series.members)
    told = "none drifts" if not drifting else f"{drifting} drift{'s'[: drifting == 1]}"
    return f"{count} picture{'s'[: count != 1]} against the pilot: {told}"


def _kind(each: Checked) -> str:
    if each.member is None:
        return "pilot"
    return "take" if each.member.changed == "seed" else each.member.changed


def _said(each: Checked, seed: int) -> str:
    member = each.member
    if member is None:
        return each.missing or f"seed {seed}"
    return f"seed {member.seed}" if member.changed == "seed" else f"{member.said}, seed {member.seed}"


def _lines(each: Checked) -> tuple[str, ...]:
    """Under a thumbnail: the pilot's own figures, a member's differences, or why there are none."""
    figures, drifted = each.figures, each.drift
    if figures is None or (figures.lab is None and figures.texture is None):
        return each.reasons
    if each.member is None or drifted is None:
        return tuple(f"{name} {value}" for name, value in zip(_HEADS, _own(figures), strict=True) if value)
    told = [f"{UNDER[name]} {shown(name, value)}" for name, value in drifted.by.items()]
    if drifted.delta_e is not None:
        told.append(
            f"in all ΔE {drifted.delta_e:.1f}, chroma {_signed(drifted.chroma, 1)}, hue {_signed(drifted.hue, 0)}°"
        )
    return (*told, *(f"not measured, {reason}" for reason in each.reasons))


def _signed(value: float | None, digits: int) -> str:
    """With its sign; what rounds to nothing has none of its own."""
    return "" if value is None else f"{round(value, digits) + 0.0:+.{digits}f}"


def _bright(each: Checked) -> frozenset[int]:
    """Which of these lines tell what drifts."""
    by = list(each.drift.by) if each.drift else []
    return frozenset(by.index(name) for name in each.drift.beyond) if each.drift and each.member else frozenset()


_HEADS = ("lightness", "chroma", "hue", "texture", "slope", "between the cheeks, EV")


def _own(figures: Figures) -> tuple[str, ...]:
    """The six figures of a picture itself."""
    chroma, hue = polar(figures.lab) if figures.lab else (None, None)
    values = (
        (figures.lab and 100 * figures.lab[0], "{:.1f}"),
        (chroma, "{:.1f}"),
        (hue, "{:.0f}°"),
        (figures.texture, "{:.2f}"),
        (figures.slope, "{:+.2f}"),
        (figures.side_ev, "{:+.2f}"),
    )
    return tuple("" if value is None else form.format(value) for value, form in values)


def _cells(each: Checked) -> tuple[str, ...]:
    if each.figures is None:
        return ("",) * 8
    level, chroma, hue, texture, slope, side = _own(each.figures)
    drifted = each.drift if each.member else None
    if drifted is None:
        return level, chroma, hue, "", "", texture, slope, side
    by = {str(name): f"\n{shown(name, value)}" for name, value in drifted.by.items()}
    whole = "" if drifted.delta_e is None else f"{drifted.delta_e:.1f}"
    colour = shown("colour", drifted.by["colour"]) if "colour" in drifted.by else ""
    texture, slope, side = (
        text + by.get(name, "") for text, name in ((texture, "texture"), (slope, "slope"), (side, "side_ev"))
    )
    return level + by.get("lightness", ""), chroma, hue, whole, colour, texture, slope, side


def _entry(each: Checked) -> dict[str, Any]:
    figures, drifted = each.figures, each.drift
    lab = figures.lab if figures else None
    chroma, hue = polar(lab) if lab else (None, None)
    return {
        "member": each.member.model_dump() if each.member else None,
        "path": str(each.path),
        "lightness": lab and 100 * lab[0],
        "chroma": chroma,
        "hue": hue,
        "texture": figures and figures.texture,
        "slope": figures and figures.slope,
        "side_ev": figures and figures.side_ev,
        "why": dict(figures.why) if figures else {"picture": each.missing},
        "against_pilot": {"delta_e": drifted.delta_e, **drifted.by} if drifted else None,
        "drifts": list(drifted.beyond) if drifted else [],
    }


def _colour(figures: Figures | None) -> tuple[int, int, int] | None:
    """The mean skin colour as sRGB bytes."""
    if figures is None or figures.lab is None:
        return None
    from workbench.series_figures import srgb

    return srgb(figures.lab)
