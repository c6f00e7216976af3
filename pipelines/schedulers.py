"""Names of schedulers, ours and other tools', and what each can do per family and mode; loads no torch.

Knows nothing about scheduler objects: `pipelines.solvers` builds them from the same table, `pipelines.solver_table`.
Options are checked here because diffusers keeps one that a class does not know, and ignores it.
"""

import difflib
import re
from dataclasses import dataclass
from functools import cache

from pipelines.errors import RecipeError
from pipelines.recipe import FamilyName, Recipe, SchedulerChoice, Spacing
from pipelines.solver_table import KINDS, LEFT_OUT, MODES, Kind, Mode, Value

Options = tuple[tuple[str, Value], ...]

NO_COUNTERPART = {
    "dpm-fast": "diffusers has no DPM fast",
    "dpm-adaptive": "diffusers has no solver that chooses its own steps",
    "heunpp2": "diffusers has no Heun++",
    "res-multistep": "diffusers has no RES solver",
    "er-sde": "diffusers has no ER-SDE",
    "gradient-estimation": "diffusers has no gradient estimation",
    "seeds-2": "diffusers has no SEEDS",
    "seeds-3": "diffusers has no SEEDS",
    "exp-heun-2-x0": "diffusers has no exponential Heun",
    "ipndm-v": "diffusers has no variable-step iPNDM",
    "restart": "diffusers has no Restart",
    "ddim-cfgpp": "diffusers has no CFG++",
    "dpmpp-2s-a": "diffusers has only the 2S without ancestral noise; say dpmpp-2s",
    "dpmpp-2s-ancestral": "diffusers has only the 2S without ancestral noise; say dpmpp-2s",
}
"""Samplers of A1111 and ComfyUI that diffusers cannot do (ComfyUI: comfy/samplers.py), in normal form."""

SCHEDULES: dict[str, tuple[str, Spacing]] = {
    "normal": ("", "linspace"),
    "uniform": ("", "linspace"),
    "simple": ("", "trailing"),
    "sgm-uniform": ("", "trailing"),
    "karras": ("-karras", "linspace"),
    "exponential": ("-exponential", "linspace"),
    "beta": ("-beta", "linspace"),
}
"""ComfyUI's scheduler or A1111's schedule type -> the end of our name and the spacing it implies on SDXL."""

_UNEVEN = "it takes more steps than asked where that does not divide 1000; spacing leading is near"
NO_SCHEDULE = {
    "ddim-uniform": _UNEVEN,
    "ddim": _UNEVEN,
    "kl-optimal": "diffusers has no such grid",
    "linear-quadratic": "diffusers has no such grid",
    "align-your-steps": "diffusers has no such grid",
    "polyexponential": "diffusers has no such grid",
    "karras-exponential": "diffusers has no such grid",
    "turbo": "diffusers has no such grid",
}

_KARRAS = {"dpmpp-2m", "dpmpp-sde", "dpm2", "dpm2-ancestral"}
_EXPONENTIAL = {"dpmpp-2m-sde", "dpmpp-2m-sde-heun"}
_LEADING = {"ddim", "pndm", "unipc"}
"""What A1111 means by "Automatic" (its modules/sd_samplers_kdiffusion.py and sd_samplers_timesteps.py)."""


@dataclass(frozen=True)
class Row:
    """One line of `sidelight schedulers`: a name that works somewhere, or one left out everywhere, with the reasons."""

    name: str
    aliases: tuple[str, ...]
    modes: tuple[tuple[FamilyName, tuple[Mode, ...]], ...]
    evaluations: str
    options: tuple[tuple[FamilyName, tuple[str, ...]], ...]
    spacing: tuple[FamilyName, ...]
    left_out: tuple[tuple[str, str], ...]
    note: str


@cache
def named(text: str) -> SchedulerChoice:
    """The choice that `name:option=value:...` means: our, A1111's or ComfyUI's spelling, in any case.

    Equal meaning gives the equal choice: "DPM++ 2M Karras" and "dpmpp-2m:use_karras_sigmas=true" are one. Raises
    RecipeError for a name or option that is not known, with the nearest ones.
    """
    name, *parts = text.split(":")
    kind = _kind(name)
    given: dict[str, Value] = {}
    for part in parts:
        option, is_pair, value = part.partition("=")
        option = option.strip()
        if not is_pair or option in given:
            raise RecipeError(f"scheduler option {part!r} must be given once, as in solver_order=3")
        given[option] = _value(kind, option, value.strip())
    return _simplest(kind, given)


def from_a1111(label: str, schedule_type: str | None, *, family: FamilyName) -> tuple[SchedulerChoice, Spacing | None]:
    """The choice and spacing that A1111's sampler label and schedule type stand for; None where no type was recorded.

    Paired by algorithm: the pixels still differ from A1111's. Raises RecipeError where there is no counterpart.
    """
    kind = _kind(label)
    schedule = _normal(schedule_type or "")
    if schedule == "automatic":
        schedule = "karras" if kind.name in _KARRAS else "exponential" if kind.name in _EXPONENTIAL else ""
    spacing: Spacing = "leading" if kind.name in _LEADING and not schedule else "linspace"
    return _paired(kind, schedule, spacing, family)


def from_comfy(sampler: str, scheduler: str, *, family: FamilyName) -> tuple[SchedulerChoice, Spacing | None]:
    """The choice and spacing that ComfyUI's sampler and scheduler names stand for.

    Paired by algorithm: the pixels still differ from ComfyUI's. Raises RecipeError where there is no counterpart.
    """
    return _paired(_kind(sampler), _normal(scheduler), "linspace", family)


def check(choice: SchedulerChoice, *, family: FamilyName, mode: Mode, spacing: Spacing | None, steps: int) -> None:
    """Raises RecipeError, with the reason, if this family cannot use the choice in this mode, spacing or step count."""
    kind = KINDS.get(choice.name) or _kind(choice.name)
    if kind.name != choice.name:
        raise RecipeError(f"scheduler {choice.name!r} is spelled {kind.name!r} in a recipe; read it with named()")
    for place in (family, f"{family} {mode}"):
        if reason := dict(kind.left_out).get(place):
            raise RecipeError(f"scheduler {kind.name} cannot be used for {place}: {reason}; {_others(family, mode)}")
    _check_options(kind, choice, family)
    if spacing and family not in kind.spacing:
        why = kind.unspaced if family == "sdxl" else "flow models have one grid, moved by shift"
        raise RecipeError(f"spacing {spacing} changes nothing with {kind.name} on {family}: {why}; leave it out")
    most = (dict(kind.own) | dict(choice.options)).get("original_inference_steps")
    if family == "sdxl" and isinstance(most, int) and steps > most:
        raise RecipeError(
            f"steps {steps} is above {most}, the grid {kind.name} was distilled on; lower it or raise"
            " original_inference_steps"
        )


def to_a1111(choice: SchedulerChoice) -> tuple[str, str]:
    """A1111's sampler label and schedule type for a choice, as it writes them; our name where it has none."""
    kind = KINDS[choice.name]
    base, _, schedule = kind.name.rpartition("-")
    if schedule in ("karras", "exponential", "beta"):
        return _label(KINDS[base]), schedule.capitalize()
    return _label(kind), ""


def _label(kind: Kind) -> str:
    return next((alias for alias in kind.aliases if alias[0].isupper()), kind.name)


def walked(steps: int, strength: float, *, family: FamilyName) -> int:
    """How many steps img2img and inpainting walk, as the stock pipelines count; RecipeError where that is none."""
    count = min(int(steps * strength), steps) if family == "sdxl" else steps - int(max(steps - steps * strength, 0))
    if count < 1:
        raise RecipeError(f"strength {strength:g} leaves none of {steps} steps; raise one of the two")
    return count


def evaluations(choice: SchedulerChoice, steps: int) -> int:
    """How often the network is evaluated for so many walked steps (each with two rows under guidance on SDXL)."""
    return {"N": steps, "2N-1": 2 * steps - 1, "N+1": steps + 1 if steps > 1 else 1}[KINDS[choice.name].evaluations]


def evaluations_of(recipe: Recipe) -> int:
    """Evaluations of the network for a recipe; img2img and inpainting walk a part of the steps."""
    steps = recipe.steps
    if recipe.start:
        steps = walked(steps, recipe.start.strength, family=recipe.checkpoint.family)
    return evaluations(recipe.scheduler, steps)


def rows() -> tuple[Row, ...]:
    """The table behind `sidelight schedulers`, with the names that are left out everywhere at its end."""
    return tuple(map(_row, KINDS.values())) + tuple(
        Row(name, (), (), "", (), (), tuple((family, reason) for family in MODES), "")
        for name, reason in (LEFT_OUT | NO_COUNTERPART).items()
    )


def _row(kind: Kind) -> Row:
    out = dict(kind.left_out)
    families = tuple(family for family in MODES if family in kind.classes)
    return Row(
        name=kind.name,
        aliases=kind.aliases,
        modes=tuple((f, tuple(mode for mode in MODES[f] if f"{f} {mode}" not in out)) for f in families),
        evaluations=kind.evaluations,
        options=tuple((f, dict(kind.accepts).get(f, ())) for f in families),
        spacing=kind.spacing,
        left_out=kind.left_out,
        note=kind.note,
    )


def _normal(name: str) -> str:
    """One spelling: "DPM++ 2M Karras", "dpmpp_2m_karras" and "dpmpp-2m-karras" are the same."""
    return "-".join(re.findall("[a-z0-9]+", name.lower().replace("++", "pp")))


def _kind(name: str) -> Kind:
    normal = _normal(name)
    found = KINDS.get(_ALIASES.get(normal, normal))
    if found:
        return found
    if "cfg-pp" in normal:
        raise RecipeError(f"scheduler {name!r} has no counterpart here: diffusers has no CFG++")
    refused = LEFT_OUT | NO_COUNTERPART
    for known in sorted(refused, key=len, reverse=True):
        if f"{normal}-".startswith(f"{known}-"):
            raise RecipeError(f"scheduler {name!r} has no counterpart here: {refused[known]}")
    near = difflib.get_close_matches(normal, [*KINDS, *_ALIASES], n=6, cutoff=0.5)
    best = list(dict.fromkeys(_ALIASES.get(one, one) for one in near))[:3] or ["euler", "dpmpp-2m-karras", "unipc"]
    raise RecipeError(f"scheduler {name!r} is not known; nearest: {', '.join(best)}; all: sidelight schedulers")


def _value(kind: Kind, option: str, text: str) -> Value:
    known = sorted({name for name, _ in kind.own} | {name for _, names in kind.accepts for name in names})
    if option not in known:
        raise RecipeError(f"scheduler {kind.name} does not take {option!r}; allowed: {', '.join(known) or 'none'}")
    return kind.option(option).read(option, text)


def _simplest(kind: Kind, given: dict[str, Value]) -> SchedulerChoice:
    """The kind of the same class whose own options leave the fewest to be said, and those."""
    meant = dict(kind.own) | given
    found: list[tuple[int, Kind, dict[str, Value]]] = []
    for other in KINDS.values():
        if not set(other.classes.values()) & set(kind.classes.values()):
            continue
        own, free = dict(other.own), {name for _, names in other.accepts for name in names}
        said = {name: value for name, value in meant.items() if name in own or name in given}
        left = {name: value for name, value in said.items() if own.get(name) != value}
        if left.keys() <= free:
            found.append((len(left), other, left))
    if not found:
        raise RecipeError(f"{' and '.join(given)} of scheduler {kind.name} cannot be so; see sidelight schedulers")
    _, kind, left = min(found, key=lambda one: (one[0], one[1] is not kind))
    return SchedulerChoice(name=kind.name, options=tuple(sorted(left.items())))


def _paired(kind: Kind, schedule: str, spacing: Spacing, family: FamilyName) -> tuple[SchedulerChoice, Spacing | None]:
    if schedule in NO_SCHEDULE or (schedule and schedule not in SCHEDULES):
        reason = NO_SCHEDULE.get(schedule, "it is not known")
        raise RecipeError(f"schedule {schedule!r} has no counterpart here: {reason}; use one of {', '.join(SCHEDULES)}")
    if family != "sdxl" and schedule in ("normal", "uniform"):
        raise RecipeError(
            f"schedule {schedule!r} has no counterpart on {family}, whose own grid is 'simple'; say simple"
        )
    if schedule:
        ending, spacing = SCHEDULES[schedule]
        kind = _kind(kind.name + ending)
    return SchedulerChoice(name=kind.name), spacing if family in kind.spacing else None


def _check_options(kind: Kind, choice: SchedulerChoice, family: FamilyName) -> None:
    allowed = dict(kind.accepts).get(family, ())
    for option, value in choice.options:
        if option not in allowed:
            raise RecipeError(
                f"scheduler {kind.name} on {family} does not take {option!r}; allowed: {', '.join(allowed) or 'none'}"
            )
        if repr(kind.option(option).read(option, str(value))) != repr(value) or dict(kind.own).get(option) == value:
            raise RecipeError(f"scheduler option {option}={value!r} is not in simplest form; read it with named()")


def _others(family: FamilyName, mode: Mode) -> str:
    fit = [k.name for k in KINDS.values() if family in k.classes and f"{family} {mode}" not in dict(k.left_out)]
    return f"use one of {', '.join(name for name in fit if not name.endswith(('-karras', '-exponential', '-beta')))}"


_ALIASES = {_normal(alias): kind.name for kind in KINDS.values() for alias in kind.aliases}
