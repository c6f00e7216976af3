"""Texts are found in PNG, JPEG and WebP however tools put them there; hostile files end in one line, and soon."""

import io
import json
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import foreign_samples as samples
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines import foreign, metadata
from pipelines.device import Numerics
from pipelines.errors import InputError
from pipelines.foreign import comfyui, containers, infotext
from pipelines.foreign.a1111 import read as read_text
from pipelines.foreign.ledger import number, parse, whole
from pipelines.metadata import Embedded
from pipelines.raster import Raster, to_png
from pipelines.recipe import Recipe, SchedulerChoice, Start, Weights

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
TEXT = samples.UNICODE_PROMPT
T = TypeVar("T")
SECONDS = 5.0  # many times what the slowest takes here; a loop without end takes longer


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def image() -> Image.Image:
    return Image.fromarray(PIXELS)


def png(path: Path, *, compressed: bool = False, **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text, zip=compressed)
    image().save(path, "PNG", pnginfo=info)
    return path


def exif(tags: dict[int, Any], comment: bytes | None = None) -> Image.Exif:
    made = Image.Exif()
    for tag, value in tags.items():
        made[tag] = value
    if comment is not None:
        made.get_ifd(0x8769)[0x9286] = comment
    return made


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(path: Path, kind: bytes, data: bytes, *, behind: bool) -> Path:
    """The PNG with one more chunk, before or behind its pixels."""
    whole_file = path.read_bytes()
    at = whole_file.index(b"IEND" if behind else b"IDAT") - 4
    path.write_bytes(whole_file[:at] + chunk(kind, data) + whole_file[at:])
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        foreign.read(path)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 600
    return line


# Where it sits


@pytest.mark.parametrize("compressed", [False, True])
def test_png_texts_of_every_kind_are_read(tmp_path: Path, compressed: bool) -> None:
    latin = png(tmp_path / "a.png", compressed=compressed, parameters=samples.A1111_NEW)  # tEXt or zTXt
    assert foreign.read(latin).values.prompt == "portrait, side light"
    wide = png(tmp_path / "a.png", compressed=compressed, parameters=TEXT)  # iTXt
    assert foreign.read(wide).values.prompt == "Bildnis von Änne, 光 \U0001f4a1, side light"


def test_png_text_behind_the_pixels_is_read(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png")
    assert "says nothing" in refused(path)
    with_chunk(path, b"tEXt", b"parameters\0" + samples.A1111_NEW.encode("latin-1"), behind=True)
    assert foreign.read(path).values.seed == 2**64 - 1


def test_png_exif_is_read(tmp_path: Path) -> None:
    """Civitai writes a UserComment into PNGs."""
    comment = exif({}, b"UNICODE\0" + samples.CIVITAI_ONE_LINE.encode("utf-16-be"))
    image().save(tmp_path / "a.png", exif=comment.tobytes())
    found = foreign.read(tmp_path / "a.png")
    assert (found.tool, found.kept_in) == ("Civitai", "UserComment")


COMMENTS = {
    "big end first": b"UNICODE\0" + TEXT.encode("utf-16-be"),
    "little end first": b"UNICODE\0" + TEXT.encode("utf-16-le"),
    "with a mark": b"UNICODE\0" + b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "UTF-8 under the wrong name": b"UNICODE\0" + TEXT.encode(),
    "half a character at the end": b"UNICODE\0" + TEXT.encode("utf-16-be") + b"\0",
    "undefined": bytes(8) + TEXT.encode(),
    "no alphabet": TEXT.encode(),
}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("comment", COMMENTS.values(), ids=COMMENTS.keys())
def test_user_comments_are_read_in_every_alphabet(tmp_path: Path, kind: str, comment: bytes) -> None:
    image().save(tmp_path / "a", kind, exif=exif({}, comment))
    found = foreign.read(tmp_path / "a")
    assert found.values.prompt == "Bildnis von Änne, 光 \U0001f4a1, side light"
    assert found.values.seed == 2**64 - 1


def test_a_plain_ascii_comment_is_read(tmp_path: Path) -> None:
    image().save(tmp_path / "a.jpg", exif=exif({}, b"ASCII\0\0\0" + samples.A1111_NEW.encode()))
    assert foreign.read(tmp_path / "a.jpg").values.prompt == "portrait, side light"


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_comfyui_graphs_in_exif_are_read(tmp_path: Path, kind: str) -> None:
    tags = {0x0110: "prompt:" + json.dumps(samples.COMFY), 0x010F: "workflow:" + json.dumps(samples.EDITOR)}
    image().save(tmp_path / "a", kind, exif=exif(tags))
    found = foreign.read(tmp_path / "a")
    assert (found.tool, found.values.prompt, found.values.seed) == ("ComfyUI", "portrait, side light", 2**64 - 1)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_fooocus_writes_its_comment_into_the_first_folder(tmp_path: Path, kind: str) -> None:
    for scheme, text in (("fooocus", json.dumps(samples.FOOOCUS)), ("a1111", samples.FOOOCUS_A1111)):
        tags = {0x9286: text, 0x0131: "Fooocus v2.5.5", 0x927C: scheme}
        image().save(tmp_path / "a", kind, exif=exif(tags))
        found = foreign.read(tmp_path / "a")
        assert (found.tool, found.values.seed) == ("Fooocus", 5403816327163523621)


def test_swarmui_json_in_a_comment_is_read(tmp_path: Path) -> None:
    comment = b"UNICODE\0" + json.dumps(samples.SWARM).encode("utf-16-le")
    image().save(tmp_path / "a.jpg", exif=exif({}, comment))
    assert foreign.read(tmp_path / "a.jpg").tool == "SwarmUI"


def test_the_size_is_what_was_said_never_that_of_the_file(tmp_path: Path) -> None:
    found = foreign.read(png(tmp_path / "a.png", parameters=samples.A1111_NEW))
    assert (found.values.width, found.values.height) == (896, 1152)
    found = foreign.read(png(tmp_path / "a.png", parameters=samples.A1111_NEW.replace("Size: 896x1152, ", "")))
    assert found.values.width is None


# Our own


OURS = Recipe(
    checkpoint=Weights(digest="c" * 64, family="sdxl", name="demo-sdxl"),
    prompt="portrait", negative="", seed=2**64 - 1, width=32, height=24, steps=20, guidance=4.5,
    guidance_interval=(0.0, 0.6), scheduler=SchedulerChoice(name="dpmpp-2m", options=(("solver_order", 3),)),
    start=Start(image="a" * 64, strength=0.6),
)  # fmt: skip
NUMERICS = Numerics(
    torch="2.13", diffusers="0.42", transformers="5", device="cpu", threads=1, dtype="float32", lanes=4, lane_width=2
)


def test_our_own_picture_gives_its_whole_recipe(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    path = tmp_path / "pictures" / "a.png"
    embedded = Embedded(recipe=OURS, numerics=NUMERICS, lane=0)
    path.write_bytes(to_png(Raster(PIXELS, b""), text={metadata.CHUNK: embedded.text()}, parameters="other text"))
    found = foreign.read(path)
    assert found.recipe == OURS
    assert (found.tool, found.row, found.values.start) == ("Sidelight", "demo-sdxl", None)
    assert [each.name for each in found.unmapped] == ["start"]
    draft = foreign.draft(found)
    assert (draft.scheduler, draft.negative, draft.guidance_interval) == ("dpmpp-2m:solver_order=3", "", (0.0, 0.6))
    assert draft.strength is None  # it means nothing without its image
    (tmp_path / "inputs").mkdir()
    image().save(tmp_path / "inputs" / f"{'a' * 64}.png")
    draft = foreign.draft(foreign.read(path))
    assert (draft.start, draft.strength) == (str(tmp_path / "inputs" / f"{'a' * 64}.png"), 0.6)


# Hostile files


def test_every_truncation_is_refused_or_reads_the_same(tmp_path: Path) -> None:
    made: list[bytes] = []
    for kind, texts in (("PNG", {}), ("JPEG", {"exif": exif({}, COMMENTS["big end first"])})):
        file = io.BytesIO()
        info = PngInfo()
        info.add_text("parameters", TEXT)
        image().save(file, kind, **({"pnginfo": info} if kind == "PNG" else texts))
        made.append(file.getvalue())
    webp = io.BytesIO()
    image().save(webp, "WEBP", exif=exif({}, COMMENTS["big end first"]))
    path = tmp_path / "a"
    for data in [*made, webp.getvalue()]:
        path.write_bytes(data)
        expected = foreign.read(path)
        lines = 0
        for size in range(0, len(data), max(1, len(data) // 120)):
            path.write_bytes(data[:size])
            found = ends(lambda: foreign.read(path))
            assert found in (None, expected)
            lines += found is None
        assert lines > 10


def test_changed_bytes_never_end_in_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    rng = np.random.default_rng(1)
    for kind in ("PNG", "JPEG", "WEBP"):
        info = PngInfo()
        info.add_text("parameters", TEXT)
        extra = {"pnginfo": info} if kind == "PNG" else {"exif": exif({0x0110: "prompt:{}"}, COMMENTS["undefined"])}
        file = io.BytesIO()
        image().save(file, kind, **extra)
        for _ in range(150):
            data = bytearray(file.getvalue())
            for at in rng.integers(0, min(len(data), 600), 3):
                data[at] = rng.integers(0, 256)
            path.write_bytes(data)
            ends(lambda: foreign.read(path))


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    image().save(tmp_path / "a.tiff")
    image().save(tmp_path / "a.gif")
    (tmp_path / "a.txt").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("a.tiff", "a.gif", "a.txt", "empty.png"):
        assert "not a picture of a known kind; allowed: PNG, JPEG, WEBP" in refused(tmp_path / name)
    assert "is not there" in refused(tmp_path / "missing.png")
    assert "cannot be read" in refused(tmp_path)


def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", parameters=samples.A1111_NEW)
    with path.open("r+b") as file:
        file.truncate(containers.MAX_BYTES + 1)
    assert "bytes; allowed" in refused(path)


def test_a_picture_of_too_many_pixels_is_refused_undecoded(tmp_path: Path) -> None:
    for width, height in ((10_000, 10_000), (60_000, 60_000)):
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
        (tmp_path / "a.png").write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert "more than 89,478,485 pixels" in refused(tmp_path / "a.png")


@pytest.mark.parametrize("behind", [False, True])
def test_text_that_unpacks_to_megabytes_is_refused(tmp_path: Path, behind: bool) -> None:
    packed = zlib.compress(b"x" * 50_000_000, 9)
    for kind, data in ((b"zTXt", b"parameters\0\0" + packed), (b"iTXt", b"parameters\0\1\0\0\0" + packed)):
        path = with_chunk(png(tmp_path / "a.png"), kind, data, behind=behind)
        assert path.stat().st_size < 100_000
        assert "cannot be read" in refused(path)


def test_plain_text_beyond_reason_is_refused(tmp_path: Path) -> None:
    assert "longer than" in refused(png(tmp_path / "a.png", prompt="x" * (containers.LONGEST_TEXT + 1)))
    assert "characters; allowed" in refused(png(tmp_path / "a.png", parameters="x" * (infotext.LONGEST + 1)))


JSON = {
    "deep": "[" * 200_000,
    "deep object": '{"a":' * 200_000,
    "a huge number": '{"a": ' + "9" * 5_000 + "}",
    "no object": "[1, 2]",
    "a text": '"x"',
    "half": '{"3": {"class_type": "KSam',
    "NUL": '{"3": {"class_type": "a\\u0000b"}}',
    "half a character": '{"3": {"class_type": "\\ud800"}}',
}


@pytest.mark.parametrize("name", ["prompt", "invokeai_metadata", "parameters"])
@pytest.mark.parametrize("text", JSON.values(), ids=JSON.keys())
def test_json_made_to_hurt_is_one_line(tmp_path: Path, name: str, text: str) -> None:
    if name == "parameters" and not text.startswith("{"):
        text = '{"x": ' + text + "}"
    assert str(tmp_path) in refused(png(tmp_path / "a.png", **{name: text}))


def test_a_nul_in_plain_text_is_one_line(tmp_path: Path) -> None:
    comment = b"UNICODE\0" + "portrait\0\nSteps: 20, Sampler: Euler, Seed: 1".encode("utf-16-be")
    image().save(tmp_path / "a.jpg", exif=exif({}, comment))
    assert "NUL" in refused(tmp_path / "a.jpg")


def test_numbers_beyond_reason_do_not_take_memory() -> None:
    for text in ("1e999999999", "-1e999999999", "1e-999999999", "9" * 400, "1e9999999999999999999"):
        assert whole(parse(text)) is None
        assert number(parse(text), 0, 100) in (None, 0.0)
    assert whole(parse("18446744073709551615.0")) == 2**64 - 1
    assert number("0.1", 0, 1) == 0.1


def graph_of(*links: tuple[str, str]) -> dict[str, Any]:
    return {name: samples.node("VAEDecode", samples=[to, 0]) for name, to in links}


def diamond(kind: str, first: str, second: str, **more: Any) -> dict[str, Any]:
    return {
        str(n): samples.node(kind, **{first: [str(n + 1), 0], second: [str(n + 1), 0]}, **more) for n in range(100, 140)
    }


HOSTILE_GRAPHS: dict[str, dict[str, Any]] = {
    "to itself": samples.COMFY | {"8": samples.node("VAEDecode", samples=["8", 0])},
    "a circle of samplers": samples.COMFY | {"3": samples.sampler(latent_image=["8", 0])},
    "a circle of texts": samples.COMFY | {"6": samples.node("CLIPTextEncode", text=["6", 0], clip=["6", 0])},
    "a circle of models": samples.COMFY | {"4": samples.node("LoraLoader", model=["4", 0], lora_name="a")},
    "a circle of seeds": samples.COMFY
    | {"3": samples.sampler(seed=["50", 0]), "50": samples.node("S", seed=["50", 0])},
    "a circle of latents": samples.COMFY | {"5": samples.node("LatentUpscaleBy", samples=["5", 0])},
    "diamonds of prompts": samples.COMFY
    | {"3": samples.sampler(positive=["100", 0])}
    | diamond("ConditioningCombine", "conditioning_1", "conditioning_2"),
    "diamonds of texts": samples.COMFY
    | {"6": samples.node("CLIPTextEncode", text=["100", 0], clip=["4", 1])}
    | diamond("StringConcatenate", "string_a", "string_b", delimiter=" x" * 50)
    | {"140": samples.node("PrimitiveString", value="y" * 1000)},
    "diamonds of pictures": samples.COMFY
    | {"9": samples.node("SaveImage", images=["100", 0])}
    | diamond("ImageBlend", "image1", "image2"),
    "a long chain": samples.COMFY
    | {"9": samples.node("SaveImage", images=["1000", 0])}
    | graph_of(*((str(n), str(n + 1)) for n in range(1000, 9000))),
    "many nodes": {str(n): samples.node("SaveImage", images=[str(n + 1), 0]) for n in range(30_000)},
    "links to nowhere": samples.COMFY | {"3": samples.sampler(model=["99", 0], positive=["99", 7], negative=[[], {}])},
    "odd inputs": samples.COMFY
    | {"3": samples.sampler(steps=[], cfg={}, sampler_name=7, scheduler=None, denoise=True)},
    "no inputs": {"1": {"class_type": "SaveImage"}, "2": {"class_type": "KSampler", "inputs": 7}, "3": 8},
}  # fmt: skip


@pytest.mark.parametrize("graph", HOSTILE_GRAPHS.values(), ids=HOSTILE_GRAPHS.keys())
def test_hostile_graphs_end_soon(tmp_path: Path, graph: dict[str, Any]) -> None:
    ends(lambda: foreign.read(png(tmp_path / "a.png", prompt=json.dumps(graph))))


LINES = {
    "commas": "Steps: 1, Sampler: a, Seed: 1" + "," * 49_000,
    "pieces": "Steps: 1, Sampler: a, Seed: 1" + ",x" * 24_000,
    "quotes": "Steps: 1, Sampler: a, Seed: 1" + ',a: "x' * 7_000,
    "lists": "Steps: 1, Sampler: a, Seed: 1" + ",a: [1" * 7_000,
    "deep": "Steps: 1, Sampler: a, Seed: 1, a: " + "[" * 49_000,
    "colons": "Steps: 1, Sampler: a, Seed: 1" + ":" * 49_000,
    "keys": "Steps: 1, Sampler: a, Seed: 1" + ",k: v" * 9_000,
    "blanks": "Steps: 1, Sampler: a, Seed: 1, a" + " " * 49_000,
    "steps": "Steps: 1, A" * 4_500,
    "tags": "<lora:" * 8_000 + "\nSteps: 1, Sampler: a, Seed: 1",
    "too long": "Steps: 1, Sampler: a, Seed: 1" + "," * 60_000,
    "many lines": ("Steps: 1, " + ',a: "x' * 3_000 + "\n") * 40,
}


@pytest.mark.parametrize("text", LINES.values(), ids=LINES.keys())
def test_hostile_lines_end_soon(tmp_path: Path, text: str) -> None:
    ends(lambda: foreign.read(png(tmp_path / "a.png", parameters=text)))


def ends(read: Callable[[], T]) -> T | None:
    """What is read within the time; None for one line that refuses it."""
    begun = time.process_time()
    found, line = None, ""
    try:
        found = read()
    except InputError as error:
        line = str(error)
    assert "\n" not in line
    assert time.process_time() - begun < SECONDS
    return found


# Anything at all

WORDS = st.sampled_from(
    ["Steps: ", "Sampler: ", "Euler a", "Seed: ", "CFG scale: ", "Negative prompt:", "Size: 8x8", "Model: ",
     "Hashes: ", "Lora hashes: ", "Civitai resources: ", "Hires upscale: 2", "Clip skip: 2", "Version: f2",
     "App: SD.Next", ", ", ",", "\n", '"', "{", "}", "[", "]", ":", "1", "-", "<lora:", "a:1>", "\\", "é", "\u2028"],
)  # fmt: skip
TEXTS = st.lists(WORDS | st.text(max_size=5), max_size=60).map("".join)
RELAXED = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@RELAXED
@given(TEXTS)
def test_any_text_is_read_or_refused(text: str) -> None:
    clean = text.encode("utf-8", "replace").decode().replace("\0", "")
    told = ends(lambda: read_text(clean))
    assert told is None or told.base is not None


LINK = st.tuples(st.sampled_from("12345678"), st.integers(0, 3)).map(list)
INPUT = (
    LINK | st.integers(-2, 2**65) | st.floats(allow_nan=False, width=16) | st.text("ab\n", max_size=4) | st.booleans()
    | st.none() | st.lists(st.integers(), max_size=3) | st.dictionaries(st.just("on"), st.just(True))
)  # fmt: skip
NAMES = st.sampled_from(
    ["model", "clip", "positive", "negative", "latent_image", "samples", "images", "image", "text", "text_g", "text_l",
     "seed", "noise_seed", "steps", "cfg", "sampler_name", "scheduler", "denoise", "guider", "noise", "sampler",
     "sigmas", "conditioning", "conditioning_1", "conditioning_2", "lora_name", "strength_model", "ckpt_name", "width",
     "height", "string_a", "string_b", "value", "guidance", "stop_at_clip_layer", "lora_1", "pixels", "step"],
)  # fmt: skip
KINDS_OF_NODES = st.sampled_from(
    ["SaveImage", "PreviewImage", "VAEDecode", "VAEEncode", "KSampler", "KSamplerAdvanced", "SamplerCustom",
     "SamplerCustomAdvanced", "CFGGuider", "BasicGuider", "RandomNoise", "SplitSigmas", "BasicScheduler",
     "CLIPTextEncode", "CLIPTextEncodeSDXL", "CLIPTextEncodeFlux", "FluxGuidance", "ConditioningCombine",
     "ConditioningZeroOut", "LoraLoader", "StringConcatenate", "CheckpointLoaderSimple", "Efficient Loader",
     "CLIPSetLastLayer", "Unknown"],
)  # fmt: skip
NODES = st.builds(
    lambda kind, inputs: {"class_type": kind, "inputs": inputs},
    KINDS_OF_NODES,
    st.dictionaries(NAMES, INPUT, max_size=9),
)


@RELAXED
@given(st.dictionaries(st.sampled_from("12345678"), NODES, max_size=8))
def test_any_graph_is_read_or_refused(graph: dict[str, Any]) -> None:
    told = ends(lambda: comfyui.read(parse(json.dumps(graph))))
    for each in told.passes if told else ():
        foreign.mapped(each, "sdxl", lora_name=str)
        foreign.mapped(each, "flux", lora_name=str)


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["832x1216", "(8, 8)", "1"])
KEYS = st.sampled_from(
    ["sui_image_params", "sui_models", "prompt", "loras", "loraweights", "model", "name", "weight", "seed", "steps",
     "base_model", "resolution", "clip_skip", "lora_combined_1", "positive_prompt", "generation_mode", "vae", "width",
     "refiner_model", "guidance", "hash", "param", "refinerupscale", "class_type", "inputs"],
)  # fmt: skip
JSONS = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=25
)


@RELAXED
@given(
    st.dictionaries(st.sampled_from(["sui_image_params", "base_model", "positive_prompt", "prompt", "loras"]), JSONS)
)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.png"
    ends(lambda: foreign.read(png(path, parameters=json.dumps(values))))


def test_reading_loads_no_torch() -> None:
    import subprocess

    code = "import sys, pipelines.foreign; print({'torch', 'diffusers', 'transformers'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
