"""Words the training pictures anew: two captions a picture, half of them with words that say nothing.

Knows nothing about tokens or encoders.
"""

import json
from pathlib import Path

import numpy as np

from pipelines.demo.attributes import Attributes, caption

COPIES = 2  # captions for each picture

# Words people write that mean nothing to these pictures: seen in training so that they are ignored, not misread.
FILLER = (
    """
85 mm lens, 50mm, 35mm film, f/2.8, f/1.8, shot on medium format, editorial photograph, professional
photography, highly detailed, high quality, best quality, masterpiece, 4k, 8k, ultra realistic,
photorealistic, hyperrealistic, realistic, natural, natural colours, kodak portra, film grain, cinematic,
fashion editorial, magazine cover, sharp focus, shallow depth of field, bokeh, in a room, in the evening,
morning, outdoors, fine art, close up, close-up, head and shoulders, upper body, three quarter view, age
30, thirty years old, young, old, beautiful, handsome, elegant, no makeup, makeup, at 45 degrees, one
metre away, near the subject, no fill light, single source, key light, fill light, rembrandt light,
gentle, calm, serious, confident, a detailed face, eyes, cheek, forehead, vellus hair, peach fuzz,
subsurface scattering, fine lines, wrinkles, under-eye area, unretouched, raw photo, color, black and
white, contrast, low contrast, blurry, cartoon, illustration, painting, 3d render, cgi, doll, mannequin,
deformed, bad anatomy, extra fingers, watermark, text, logo, lowres, jpeg artifacts, overexposed,
underexposed, oversaturated
""".strip()
    .replace("\n", " ")
    .split(", ")
)


def with_filler(text: str, rng: np.random.Generator, *, most: int = 3) -> str:
    """One to `most` meaningless words put in anywhere but first."""
    parts = text.split(", ")
    for _ in range(int(rng.integers(1, most + 1))):
        parts.insert(int(rng.integers(1, len(parts) + 1)), str(rng.choice(FILLER)))
    return ", ".join(parts)


def captions_of(folder: Path, rng: np.random.Generator) -> list[list[str]]:
    """COPIES captions for each picture, newly worded from its attributes."""
    out = []
    for line in (folder / "captions.jsonl").read_text().splitlines():
        a, texts = Attributes.from_row(json.loads(line)), []
        for _ in range(COPIES):
            text = caption(a, rng).text
            if rng.random() < 0.4:
                text = with_filler(text, rng)
            texts.append(text[:1].upper() + text[1:] if rng.random() < 0.3 else text)
        out.append(texts)
    return out
