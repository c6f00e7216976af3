"""Rasters: 8 and 16 bit, alpha, profile and recipe come back exactly; identity; what cannot be read is one line."""

import io
import itertools
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines import metadata
from pipelines.device import Numerics
from pipelines.errors import InputError
from pipelines.images import content_hash, open_image
from pipelines.metadata import Embedded
from pipelines.raster import Raster, content, grey8, open_raster, rgb8, to_png
from pipelines.recipe import Recipe, SchedulerChoice, Weights

EMBEDDED = Embedded(
    recipe=Recipe(
        checkpoint=Weights(digest="c" * 64, family="sdxl", name="demo-sdxl"),
        prompt="Bildnis von Änne, 光",
        seed=7,
        width=24,
        height=16,
        steps=20,
        guidance=4.5,
        scheduler=SchedulerChoice(name="dpmpp-2m-karras"),
    ),
    numerics=Numerics(
        torch="2.13",
        diffusers="0.42",
        transformers="5",
        device="cpu",
        threads=1,
        dtype="float32",
        lanes=4,
        lane_width=2,
    ),
    lane=3,
)
ALL = list(itertools.product((np.uint8, np.uint16), (1, 2, 3, 4)))


def samples(depth: type, channels: int, *, shape: tuple[int, int] = (13, 22)) -> NDArray[np.uint8 | np.uint16]:
    chance = np.random.default_rng(channels)
    return chance.integers(0, np.iinfo(depth).max + 1, (*shape, channels), dtype=depth)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def same(one: Raster, other: Raster) -> bool:
    return one.pixels.dtype == other.pixels.dtype and np.array_equal(one.pixels, other.pixels) and one.icc == other.icc


@pytest.mark.parametrize(("depth", "channels"), ALL)
@pytest.mark.parametrize("icc", [b"", b"a profile"], ids=["plain", "profile"])
def test_a_png_gives_every_sample_and_the_profile_back(tmp_path: Path, depth: type, channels: int, icc: bytes) -> None:
    raster = Raster(samples(depth, channels), icc)
    path = written(tmp_path / "a.png", to_png(raster, text={metadata.CHUNK: EMBEDDED.text()}, parameters="a\nSeed: 7"))
    assert same(open_raster(path), raster)
    assert content(open_raster(path)) == content(raster)
    assert metadata.read(path) == EMBEDDED
    with Image.open(path) as image:
        image.load()
        assert image.info["parameters"] == "a\nSeed: 7"
        assert image.info.get("icc_profile", b"") == icc
    assert to_png(raster) == to_png(Raster(raster.pixels.copy(), icc))


def test_what_was_written_before_is_written_to_the_byte(tmp_path: Path) -> None:
    """8-bit RGB as it was written when only that was: files made anew stay equal to those on people's disks."""
    pixels = samples(np.uint8, 3)
    info, file = PngInfo(), io.BytesIO()
    info.add_itxt("sidelight", EMBEDDED.text())
    info.add_text("parameters", "a cat")
    Image.fromarray(pixels, "RGB").save(file, "PNG", pnginfo=info, compress_level=4)
    assert to_png(Raster(pixels, b""), text={metadata.CHUNK: EMBEDDED.text()}, parameters="a cat") == file.getvalue()
    image, copy = Image.fromarray(pixels), io.BytesIO()
    image.save(copy, "PNG", icc_profile=None, compress_level=4)
    assert to_png(Raster(pixels, b"")) == copy.getvalue()


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiffs_are_read_without_loss(tmp_path: Path, channels: int, compression: str | None) -> None:
    tifffile, pixels = pytest.importorskip("tifffile"), samples(np.uint16, channels)
    alpha = ["unassalpha"] if channels == 4 else None
    for order in "<>":
        tifffile.imwrite(
            tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=alpha, compression=compression, byteorder=order
        )
        assert np.array_equal(open_raster(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_pictures_lie_upright_like_8_bit_ones(tmp_path: Path, orientation: int) -> None:
    tifffile, deep = pytest.importorskip("tifffile"), samples(np.uint16, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray((deep >> 8).astype(np.uint8)).save(tmp_path / "shallow.png", exif=exif)
    upright = np.asarray(open_image(tmp_path / "shallow.png"))
    tag = struct.pack(">I", len(exif.tobytes()[6:])) + b"eXIf" + exif.tobytes()[6:]
    png = to_png(Raster(deep, b""))
    end = len(png) - 12
    written(tmp_path / "deep.png", png[:end] + tag + struct.pack(">I", zlib.crc32(tag[4:])) + png[end:])
    tifffile.imwrite(tmp_path / "deep.tif", deep, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    for name in ("deep.png", "deep.tif"):
        raster = open_raster(tmp_path / name)
        assert raster.bits == 16
        assert np.array_equal(raster.pixels >> 8, upright), name
    assert np.array_equal(open_raster(tmp_path / "deep.png").pixels, open_raster(tmp_path / "deep.tif").pixels)


def test_identity_is_what_it_was_for_all_that_was_kept_without_loss(tmp_path: Path) -> None:
    image = Image.fromarray(samples(np.uint8, 3))
    for mode in ("L", "LA", "RGB", "RGBA", "1"):
        image.convert(mode).save(tmp_path / f"{mode}.png", icc_profile=b"p" if mode == "RGB" else None)
    image.quantize(16).save(tmp_path / "palette.png", transparency=0)
    Image.fromarray(samples(np.uint16, 1)[..., 0]).save(tmp_path / "deep grey.png")
    Image.fromarray(samples(np.uint16, 1)[..., 0]).save(tmp_path / "deep grey.tif")
    for name in ("a.jpg", "b.webp", "c.tif"):
        image.save(tmp_path / name)
    image.convert("L").save(tmp_path / "grey.jpg")
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 12
    for path in paths:
        assert content(open_raster(path)) == content_hash(open_image(path)), path.name


def test_16_bit_colours_have_an_identity_of_their_own() -> None:
    deep = Raster(samples(np.uint16, 3), b"")
    shallow = Raster((deep.pixels >> 8).astype(np.uint8), b"")
    nudged = deep.pixels.copy()
    nudged[3, 4, 1] ^= 1
    known = [deep, shallow, Raster(nudged, b""), Raster(deep.pixels, b"p"), Raster(deep.pixels[..., :1], b"")]
    assert len({content(raster) for raster in known}) == len(known)


def test_bytes_for_models_are_rounded_and_without_alpha() -> None:
    grey = Raster(np.array([[[0, 9], [128, 9], [129, 9], [65535, 9]]], np.uint16), b"")
    assert rgb8(grey).tolist() == [[[0] * 3, [0] * 3, [1] * 3, [255] * 3]]
    colours = samples(np.uint8, 4)
    assert np.array_equal(rgb8(Raster(colours, b"")), colours[..., :3])
    assert np.array_equal(grey8(Raster(colours[..., :3], b"")), Image.fromarray(colours[..., :3]).convert("L"))
    assert np.array_equal(grey8(Raster(colours[..., :2], b"")), colours[..., 0])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_refusals_are_those_of_every_picture(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 9460, 9460, 16, 2, 0, 0, 0)
    large = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(InputError, match="pixels; allowed: 89478485: make it smaller"):
        open_raster(written(tmp_path / "large.png", large))
    Image.new("CMYK", (9, 9)).save(tmp_path / "print.tiff")
    with pytest.raises(InputError, match="colour mode CMYK; allowed: L, LA, RGB, RGBA, I;16"):
        open_raster(tmp_path / "print.tiff")
    with pytest.raises(InputError, match="is not there"):
        open_raster(tmp_path / "none.png")


@pytest.mark.parametrize("how", [{"planarconfig": "separate"}, {"extrasamples": ["assocalpha"]}])
def test_16_bit_files_that_would_be_read_wrongly_are_refused(tmp_path: Path, how: dict[str, object]) -> None:
    tifffile = pytest.importorskip("tifffile")
    pixels = samples(np.uint16, 4 if "extrasamples" in how else 3)
    laid = np.moveaxis(pixels, -1, 0).copy() if "planarconfig" in how else pixels
    tifffile.imwrite(tmp_path / "a.tif", laid, photometric="rgb", **how)
    with pytest.raises(InputError, match=r"a\.tif keeps its 16 bits in a way that is not read; save it as a PNG"):
        open_raster(tmp_path / "a.tif")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_bent_16_bit_files_open_or_are_one_line(tmp_path: Path, suffix: str) -> None:
    path, chance = tmp_path / f"bent.{suffix}", random.Random(suffix)
    if suffix == "tif":
        pytest.importorskip("tifffile").imwrite(path, samples(np.uint16, 3), photometric="rgb", compression="zlib")
    else:
        path.write_bytes(to_png(Raster(samples(np.uint16, 3), b"p" * 40)))
    data, refused = path.read_bytes(), []
    for _ in range(150):
        bent = bytearray(data[: chance.randrange(len(data) // 2, len(data) + 1)])
        for _ in range(chance.randrange(5)):
            bent[chance.randrange(min(len(bent), 400))] = chance.randrange(256)
        try:
            open_raster(written(path, bytes(bent)))
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 50
    assert not any("\n" in line for line in refused)
