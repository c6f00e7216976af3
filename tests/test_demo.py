"""The demo checkpoints are whole and small, and their light follows the words; so does their renderer's."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from pipelines.checkpoint import find
from pipelines.demo.portraits import portrait
from pipelines.device import decide
from pipelines.draft import Draft, settle
from pipelines.engine import Engine
from pipelines.events import Made
from tests.pictures import NO_IMAGE

MOST_BYTES = 25_000_000


def left_minus_right(pixels: np.ndarray) -> float:
    """Mean of the face's left third minus its right third, 0 to 1."""
    height, width = pixels.shape[:2]
    face = pixels[height // 3 : 3 * height // 4].mean(axis=2)
    return float(face[:, width // 4 : width // 2].mean() - face[:, width // 2 : 3 * width // 4].mean())


def test_weights_are_those_the_readme_names_and_small_enough(demo: Path) -> None:
    named = re.findall(r"^([0-9a-f]{64})  (\S+)$", (demo / "README.md").read_text(), re.MULTILINE)
    assert len(named) == len(list(demo.glob("*/*/*.safetensors")))
    for digest, name in named:
        assert hashlib.sha256((demo / name).read_bytes()).hexdigest() == digest, name
    both = [path for folder in demo.glob("sidelight-demo-*") for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in both) <= MOST_BYTES


@pytest.mark.parametrize("name", ["demo-sdxl", "demo-flux"])
def test_light_comes_from_the_side_that_the_prompt_says(name: str) -> None:
    checkpoint = find(name)

    recipes = {
        side: settle(
            Draft(checkpoint=name, prompt=f"portrait of a woman, side light from the {side}", steps=6, seed=7),
            checkpoint,
            NO_IMAGE,
        )[0]
        for side in ("left", "right")
    }
    assert {(recipe.width, recipe.height) for recipe in recipes.values()} == {(256, 256)}
    numerics = decide(family=checkpoint.family, pixels=256 * 256, lane_width=2, cells=2, forwards=12, asked={})
    made = {
        event.key: event.pixels
        for event in Engine(checkpoint, numerics).run([list(recipes.values())])
        if isinstance(event, Made)
    }
    left, right = (left_minus_right(made[recipes[side].key]) for side in ("left", "right"))
    assert left > right + 0.1


def test_renderer_repeats_itself_and_lights_the_side_it_says() -> None:
    seen: dict[str, list[float]] = {"side left": [], "side right": []}
    for seed in range(40):
        drawn = portrait(seed, 96)
        if seed < 3:
            again = portrait(seed, 96)
            assert (drawn.caption, drawn.attributes) == (again.caption, again.attributes)
            assert np.array_equal(drawn.picture, again.picture)
        if drawn.attributes.light in seen:
            seen[drawn.attributes.light].append(left_minus_right(drawn.picture / 255))
    assert min(len(found) for found in seen.values()) > 5
    assert np.mean(seen["side left"]) > 0.1
    assert np.mean(seen["side right"]) < -0.1
