"""The recipe inside a PNG comes back exactly, other tools can read it, and bent recipes are one line."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines import metadata
from pipelines.device import Numerics
from pipelines.errors import InputError
from pipelines.metadata import Embedded, a1111, caption
from pipelines.raster import Raster, to_png
from pipelines.recipe import Recipe, SchedulerChoice, Start, Weights

NUMERICS = Numerics(
    torch="2.13", diffusers="0.42", transformers="5", device="cpu", threads=1, dtype="float32", lanes=4, lane_width=2
)
SDXL = Recipe(
    checkpoint=Weights(digest="c" * 64, family="sdxl", name="demo-sdxl"),
    prompt="portrait",
    negative="plastic skin, blur",
    seed=2**64 - 1,
    width=24,
    height=16,
    steps=20,
    guidance=4.5,
    scheduler=SchedulerChoice(name="dpmpp-2m-karras"),
)
FLUX = SDXL.but(
    checkpoint=Weights(digest="d" * 64, family="flux", name='my: "flux", v2'),
    negative=None,
    guidance=3.5,
    start=Start(image="a" * 64, strength=0.6),
)
PROMPTS = {
    "plain": "portrait, side light",
    "unicode": "Bildnis von Änne, Licht von links 光 \U0001f4a1 e\u0301",
    "newlines": "first line\nsecond line\r\nthird\n\n",
    "quotes": 'she said "soft", it\'s: \\n not a newline',
    "markup": "</script><b onload=x>&amp;",
    "like parameters": "x\nNegative prompt: y\nSteps: 9, Sampler: z, Seed: 1",
    "separators": "a\u2028b\u2029c\x1fd",
    "empty": "",
    "long": "skin " * 40_000,
}
PIXELS = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)


def png(recipe: Recipe = SDXL) -> bytes:
    embedded = Embedded(recipe=recipe, numerics=NUMERICS, lane=3)
    return encoded(embedded, parameters=a1111(recipe, sampler="DPM++ 2M", schedule_type="Karras"))


def encoded(embedded: Embedded, *, parameters: str) -> bytes:
    return to_png(Raster(PIXELS, b""), text={metadata.CHUNK: embedded.text()}, parameters=parameters)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())
def test_recipe_numerics_and_lane_come_back_exactly(tmp_path: Path, prompt: str) -> None:
    recipe = SDXL.but(prompt=prompt, negative=prompt)
    (tmp_path / "a.png").write_bytes(png(recipe))
    found = metadata.read(tmp_path / "a.png")
    assert found == Embedded(recipe=recipe, numerics=NUMERICS, lane=3)
    assert found.recipe.key == recipe.key
    assert found.recipe.seed == 2**64 - 1


def test_pixels_come_back_exactly() -> None:
    with Image.open(io.BytesIO(png())) as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), PIXELS)


def test_equal_work_gives_equal_bytes_and_anything_else_does_not() -> None:
    assert png() == png(SDXL.but())
    assert png() != png(SDXL.but(seed=1))
    other = encoded(Embedded(recipe=SDXL, numerics=NUMERICS, lane=4), parameters="")
    assert other != encoded(Embedded(recipe=SDXL, numerics=NUMERICS, lane=3), parameters="")


def test_pictures_of_other_tools_hold_no_recipe_of_ours(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler, Seed: 1")
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=info)
    assert metadata.read(tmp_path / "a.png") is None


def test_only_pngs_are_asked(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg is not a picture of a known kind; allowed: PNG$"):
        metadata.read(tmp_path / "a.jpg")


def with_chunk(path: Path, text: str, *, compressed: bool = False) -> Path:
    info = PngInfo()
    info.add_itxt("sidelight", text, zip=compressed)
    Image.fromarray(PIXELS).save(path, pnginfo=info)
    return path


BENT = {
    "no JSON": "{half",
    "no object": "[1, 2]",
    "a number": "7",
    "deep": "[" * 100_000,
    "a huge number": '{"lane": ' + "9" * 5000 + "}",
    "nothing": "{}",
    "another version": json.dumps({"version": 99}),
    "a seed too large": Embedded(recipe=SDXL, numerics=NUMERICS, lane=0).text().replace(str(2**64 - 1), str(2**64)),
}


@pytest.mark.parametrize("text", BENT.values(), ids=BENT.keys())
def test_a_bent_recipe_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"^.*a\.png: its recipe ") as caught:
        metadata.read(with_chunk(tmp_path / "a.png", text))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_text_chunk_that_unpacks_to_megabytes_is_one_line(tmp_path: Path) -> None:
    path = with_chunk(tmp_path / "a.png", "x" * 3_000_000, compressed=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match=r"a\.png cannot be read"):
        metadata.read(path)


def test_every_truncation_is_refused_or_holds_the_whole_picture(tmp_path: Path) -> None:
    data, path = png(), tmp_path / "a.png"
    refused: list[str] = []
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        try:
            metadata.read(path)
        except InputError as error:
            refused.append(str(error))
    assert len(refused) >= len(range(0, len(data) - 24, 7))  # only the end marker may be missing
    assert not any("\n" in line for line in refused)


A1111_PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def parsed_like_a1111(text: str) -> dict[str, str]:
    """As A1111's own reader does (modules/infotext_utils.py), with quoted values read as JSON."""
    *lines, last = text.split("\n")
    pairs = {name: json.loads(v) if v.startswith('"') else v for name, v in A1111_PAIR.findall(last)}
    at = next((n for n, line in enumerate(lines) if line.startswith("Negative prompt:")), len(lines))
    negative = "\n".join(lines[at:]).removeprefix("Negative prompt:").strip()
    return {"prompt": "\n".join(lines[:at]), "negative": negative} | pairs


def test_other_tools_read_our_values(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(SDXL.but(prompt="Änne,\n光 from: the left")))
    with Image.open(tmp_path / "a.png") as image:
        found = parsed_like_a1111(image.text["parameters"])
    assert found == {
        "prompt": "Änne,\n光 from: the left",
        "negative": "plastic skin, blur",
        "Steps": "20",
        "Sampler": "DPM++ 2M",
        "Schedule type": "Karras",
        "CFG scale": "4.5",
        "Seed": str(2**64 - 1),
        "RNG": "CPU",
        "Size": "24x16",
        "Model": "demo-sdxl",
    }


def test_flux_values_are_named_as_forge_names_them() -> None:
    found = parsed_like_a1111(a1111(FLUX, sampler="Euler", schedule_type="Simple"))
    assert found["CFG scale"] == "1"
    assert found["Distilled CFG Scale"] == "3.5"
    assert found["Denoising strength"] == "0.6"
    assert found["Model"] == 'my: "flux", v2'
    assert found["negative"] == ""


def test_numbers_are_written_as_given() -> None:
    text = a1111(SDXL.but(guidance=0.1 + 0.2), sampler="Euler")
    assert "CFG scale: 0.30000000000000004," in text
    assert "CFG scale: 7," in a1111(SDXL.but(guidance=7), sampler="Euler")


def test_a_caption_tells_a_person_what_was_done() -> None:
    assert caption(SDXL.but(prompt="portrait,\nside light", seed=7, guidance_interval=(0, 0.6))) == (
        "demo-sdxl (sdxl), 24 x 16, seed 7\n"
        "guidance 4.5, 20 steps, dpmpp-2m-karras, guidance interval 0..0.6\n\n"
        "portrait,\nside light\n\n"
        "without: plastic skin, blur\n\n"
        f"key {SDXL.but(prompt='portrait,' + chr(10) + 'side light', seed=7, guidance_interval=(0, 0.6)).key}\n"
    )
    assert "img2img strength 0.6" in caption(FLUX)
    assert "without" not in caption(FLUX)
    assert "without: (empty text)" in caption(SDXL.but(negative=""))
