"""What a drawn portrait shows, as data: a random set of attributes, and the words a caption uses for it.

Knows nothing about pixels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# Linear RGB reflectance
TONES = {"light": (0.80, 0.56, 0.44), "medium": (0.52, 0.31, 0.20), "dark": (0.19, 0.095, 0.06)}
HAIR = {
    "black": (0.018, 0.015, 0.014),
    "brown": (0.10, 0.048, 0.022),
    "blond": (0.50, 0.34, 0.13),
    "red": (0.33, 0.085, 0.022),
    "grey": (0.30, 0.30, 0.31),
}
GROUND = {
    "dark": (0.022, 0.022, 0.026),
    "grey": (0.20, 0.20, 0.21),
    "white": (0.74, 0.74, 0.73),
    "blue": (0.05, 0.12, 0.26),
    "green": (0.07, 0.15, 0.09),
}
CLOTH = {
    "black": (0.02, 0.02, 0.022),
    "white": (0.70, 0.70, 0.68),
    "red": (0.38, 0.03, 0.03),
    "blue": (0.04, 0.09, 0.28),
}

# Words a caption may use for each attribute value; the first is the canonical one.
WORDS = {
    "side left": [
        "side light from the left",
        "window light from the left",
        "light from the left",
        "key light from the left side",
        "raking light from the left",
    ],
    "side right": [
        "side light from the right",
        "window light from the right",
        "light from the right",
        "key light from the right side",
        "raking light from the right",
    ],
    "front": ["frontal light", "front light", "flat light", "light from the front", "flat frontal light"],
    "hard": ["hard light", "hard shadows", "bare flash", "direct sun"],
    "soft": ["soft light", "soft shadows", "softbox", "large diffuser", "overcast"],
    "textured": [
        "textured skin, pores",
        "visible pores",
        "natural skin texture",
        "skin texture",
        "detailed skin, pores",
        "real skin, uneven",
    ],
    "smooth": ["smooth skin", "airbrushed skin", "plastic skin", "retouched skin", "flawless skin", "waxy skin"],
}
HEADS = ["portrait of a", "photo of a", "close portrait of a", "studio portrait of a", "headshot of a", "a"]


@dataclass(frozen=True)
class Attributes:
    """All a caption can name, and three angles it names roughly (azimuth, elevation in degrees; yaw in radians)."""

    light: str
    hard: str
    tone: str
    hair: str
    ground: str
    cloth: str
    skin: str
    sex: str
    style: str
    smile: bool
    beard: bool
    freckles: bool
    azimuth: float
    elevation: float
    yaw: float
    turn: str

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "Attributes":
        """From a line of captions.jsonl, whose further entries are dropped."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})

    def row(self) -> dict[str, Any]:
        """As it stands in a line of captions.jsonl."""
        return asdict(self)


@dataclass(frozen=True)
class Caption:
    """A text and what it says: the attribute values that were not left out."""

    text: str
    said: dict[str, Any]


def _pick(rng: np.random.Generator, values: Iterable[str], shares: Sequence[float] | None = None) -> str:
    return str(rng.choice(list(values), p=shares))


def sample(rng: np.random.Generator) -> Attributes:
    """One random set of attributes."""
    light, hard = _pick(rng, ["side left", "side right", "front"], [0.37, 0.37, 0.26]), _pick(rng, ["hard", "soft"])
    tone, hair = _pick(rng, TONES), _pick(rng, HAIR, [0.27, 0.27, 0.2, 0.13, 0.13])
    ground, cloth = _pick(rng, GROUND, [0.27, 0.27, 0.2, 0.13, 0.13]), _pick(rng, CLOTH)
    skin, sex = _pick(rng, ["textured", "smooth"], [0.55, 0.45]), _pick(rng, ["woman", "man"])
    if sex == "woman":
        style = _pick(rng, ["long", "short"], [0.75, 0.25])
    else:
        style = _pick(rng, ["short", "long", "bald"], [0.76, 0.12, 0.12])
    smile = bool(rng.random() < 0.35)
    beard = sex == "man" and bool(rng.random() < 0.3)
    freckles = bool(rng.random() < (0.22 if skin == "textured" else 0.05))
    side = {"side left": -1, "side right": 1, "front": 0}[light]
    azimuth = side * rng.uniform(58, 84) if side else rng.uniform(-10, 10)
    elevation = rng.uniform(12, 38)
    yaw = float(np.clip(rng.normal(0, 0.13), -0.25, 0.25))
    turn = "left" if yaw < -0.13 else "right" if yaw > 0.13 else ""
    return Attributes(
        light=light,
        hard=hard,
        tone=tone,
        hair=hair,
        ground=ground,
        cloth=cloth,
        skin=skin,
        sex=sex,
        style=style,
        smile=smile,
        beard=beard,
        freckles=freckles,
        azimuth=azimuth,
        elevation=elevation,
        yaw=yaw,
        turn=turn,
    )


def _say(rng: np.random.Generator, value: str) -> str:
    return WORDS[value][0] if rng.random() < 0.45 else str(rng.choice(WORDS[value]))


def _phrases(a: Attributes, rng: np.random.Generator, hair: str, tone: str) -> list[tuple[str, str, float]]:
    """(attribute, words, share of captions that keep them) of everything there is to say."""
    phrases = [
        ("light", _say(rng, a.light), 0.93),
        ("hard", _say(rng, a.hard), 0.85),
        ("tone", tone, 0.88),
        ("skin", _say(rng, a.skin), 0.88),
        ("hair", hair, 0.88),
        ("ground", f"{a.ground} background", 0.88),
        ("cloth", f"{a.cloth} {rng.choice(['shirt', 'sweater'])}", 0.55),
    ]
    if a.smile:
        phrases.append(("smile", "smiling", 0.9))
    elif rng.random() < 0.3:
        phrases.append(("smile", "neutral expression", 0.9))
    if a.beard:
        phrases.append(("beard", "beard", 0.92))
    if a.freckles:
        phrases.append(("freckles", str(rng.choice(["freckles", "freckles, moles"])), 0.92))
    if a.turn:
        phrases.append(("turn", f"looking {a.turn}", 0.85))
    return phrases


def caption(a: Attributes, rng: np.random.Generator) -> Caption:
    """The attributes in words: shuffled, with synonyms, and some left out."""
    hair = "bald" if a.style == "bald" else str(rng.choice([f"{a.style} {a.hair} hair", f"{a.hair} hair"]))
    who = a.sex if rng.random() < 0.85 else "person"
    tone = f"{a.tone} skin" if rng.random() < 0.6 else f"{a.tone} skin tone"
    kept = [phrase for phrase in _phrases(a, rng, hair, tone) if rng.random() < phrase[2]]
    said = {name: getattr(a, name) for name, _, _ in kept}
    if "hair" in said and hair != f"{a.hair} hair":
        said["style"] = a.style
    if hair == "bald":
        said.pop("hair", None)
    if who != "person":
        said["sex"] = a.sex
    order = rng.permutation(len(kept))
    return Caption(", ".join([f"{rng.choice(HEADS)} {who}"] + [kept[i][1] for i in order]), said)
