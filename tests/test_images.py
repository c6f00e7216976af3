"""Images: opened safely, upright and without loss; their identity; from floats to bytes; the inputs of a run."""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines import images
from pipelines.errors import CellError, InputError
from pipelines.images import content_hash, open_image, to_uint8
from pipelines.raster import Raster, open_raster
from pipelines.store import Store
from tests.crash import Quick, tree

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(9460, 9460), (15_000, 12_100), (2**31 - 1, 2**31 - 1)])
def test_more_pixels_than_allowed_are_refused_unread(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "a.png").write_bytes(bomb(width, height))
    with pytest.raises(InputError, match=r"pixels; allowed: 89478485: make it smaller"):
        open_image(tmp_path / "a.png")


def test_other_kinds_of_file_and_missing_ones_are_named(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.gif")
    (tmp_path / "a.txt").write_text("no picture")
    for name in ("a.gif", "a.txt"):
        with pytest.raises(InputError, match="not a picture of a known kind; allowed: PNG, JPEG, WEBP, TIFF"):
            open_image(tmp_path / name)
    with pytest.raises(InputError, match="is not there"):
        open_image(tmp_path / "none.png")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff"])
def test_bent_files_open_or_are_one_line(tmp_path: Path, suffix: str) -> None:
    """Random bytes changed or cut: an image of an allowed mode or an InputError, never anything else."""
    whole, path, chance = tmp_path / f"whole.{suffix}", tmp_path / f"bent.{suffix}", random.Random(suffix)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(whole, exif=exif, icc_profile=b"p" * 40)
    data = whole.read_bytes()
    refused: list[str] = []
    for _ in range(300):
        bent = bytearray(data[: chance.randrange(len(data) // 2, len(data) + 1)])
        for _ in range(chance.randrange(5)):
            bent[chance.randrange(min(len(bent), 400))] = chance.randrange(256)
        path.write_bytes(bent)
        try:
            assert open_image(path).mode in images.DEPTH
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 50
    assert not any("\n" in line for line in refused)


def test_text_chunks_cannot_pass_for_a_profile_or_transparency(tmp_path: Path) -> None:
    info = PngInfo()
    for name in ("icc_profile", "transparency", "dpi"):
        info.add_text(name, "not what you think")
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=info)
    image = open_image(tmp_path / "a.png")
    assert image.info == {}
    assert image.tobytes() == PIXELS.tobytes()
    info.add_text("exif", "not what you think")  # Pillow takes this one for EXIF: which way is up cannot be known
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(InputError, match=r"a\.png cannot be read"):
        open_image(tmp_path / "a.png")


def test_images_are_opened_upright_without_palette_and_with_their_profile(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(PIXELS)
    for name in ("turned.png", "turned.tiff"):
        image.save(tmp_path / name, exif=exif, icc_profile=b"a profile")
        turned = open_image(tmp_path / name)
        assert turned.tobytes() == image.transpose(Image.Transpose.ROTATE_270).tobytes()
        assert turned.info == {"icc_profile": b"a profile"}
    image.quantize(16).save(tmp_path / "palette.png")
    assert open_image(tmp_path / "palette.png").mode == "RGB"
    image.quantize(16).save(tmp_path / "clear.png", transparency=0)
    assert open_image(tmp_path / "clear.png").mode == "RGBA"
    image.convert("1").save(tmp_path / "mask.png")
    assert open_image(tmp_path / "mask.png").tobytes() == image.convert("1").convert("L").tobytes()
    image.convert("CMYK").save(tmp_path / "print.tiff")
    with pytest.raises(InputError, match="colour mode CMYK; allowed: L, LA, RGB, RGBA, I;16: save it as RGB"):
        open_image(tmp_path / "print.tiff")


def test_bytes_are_rounded_as_diffusers_rounds() -> None:
    pixels = np.linspace(0, 1, 3 * 511, dtype=np.float32).reshape(-1, 1, 3)
    processor = pytest.importorskip("diffusers.image_processor").VaeImageProcessor
    (image,) = processor.numpy_to_pil(pixels[None])
    assert np.array_equal(to_uint8(pixels), np.asarray(image))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_never_become_pixels(value: float) -> None:
    pixels = np.zeros((4, 4, 3), np.float32)
    assert not to_uint8(pixels).any()  # a dark picture is legal
    pixels[1, 2, 0] = value
    with pytest.raises(CellError, match="not finite"):
        to_uint8(pixels)


MODES = [("L", None), ("RGB", None), ("RGBA", None), ("LA", None), ("I;16", None), ("RGB", b"a profile")]


def picture_of(mode: str, profile: bytes | None) -> Image.Image:
    seed = np.random.default_rng(3)
    if mode == "I;16":
        image = Image.fromarray(seed.integers(0, 65536, (9, 11), dtype=np.uint16))
    else:
        channels = len(Image.new(mode, (1, 1)).getbands())
        data = seed.integers(0, 256, (9, 11, channels), dtype=np.uint8)
        image = Image.frombytes(mode, (11, 9), data.tobytes())
    if profile:
        image.info["icc_profile"] = profile
    return image


def raster_of(image: Image.Image) -> Raster:
    pixels = np.asarray(image)
    return Raster(pixels[..., None] if pixels.ndim == 2 else pixels, image.info.get("icc_profile", b""))


@pytest.mark.parametrize(("mode", "profile"), MODES)
def test_inputs_are_kept_without_loss_under_their_content_hash(
    tmp_path: Path, mode: str, profile: bytes | None
) -> None:
    image, store = picture_of(mode, profile), Store(tmp_path, Quick())
    name = store.add_input(raster_of(image))
    assert name == content_hash(image)
    again = store.input(name)
    assert np.array_equal(again.pixels, raster_of(image).pixels)
    assert (again.pixels.dtype, again.icc) == (raster_of(image).pixels.dtype, profile or b"")
    before = tree(tmp_path)
    assert store.add_input(again) == name
    assert tree(tmp_path) == before


def test_every_part_of_an_images_identity_changes_its_hash() -> None:
    hashes = [content_hash(picture_of(mode, profile)) for mode, profile in MODES]
    wide = picture_of("L", None)
    hashes.append(content_hash(Image.frombytes("L", (9, 11), wide.tobytes())))
    wide.putpixel((0, 0), 255 - int(wide.tobytes()[0]))
    hashes.append(content_hash(wide))
    assert len(set(hashes)) == len(hashes)
    one, two = picture_of("RGB", b"AB"), picture_of("RGB", b"BA")
    assert content_hash(one) != content_hash(two)


def test_a_damaged_input_is_set_aside_and_kept_again(tmp_path: Path) -> None:
    image, store = raster_of(picture_of("RGB", None)), Store(tmp_path, Quick())
    name = store.add_input(image)
    path = tmp_path / "inputs" / f"{name}.png"
    other = io.BytesIO()
    picture_of("L", None).save(other, "PNG")
    for bad in (path.read_bytes()[:-30], other.getvalue()):
        path.write_bytes(bad)
        with pytest.raises(InputError):
            store.input(name)
        assert store.add_input(image) == name
        assert np.array_equal(store.input(name).pixels, image.pixels)
        assert bad in tree(tmp_path / "damaged").values()


def test_the_same_picture_in_another_file_format_is_the_same_input(tmp_path: Path) -> None:
    image = picture_of("RGB", None)
    names = []
    for name, options in {"a.png": {}, "b.tiff": {}, "c.webp": {"lossless": True}}.items():
        image.save(tmp_path / name, **options)
        names.append(Store(tmp_path, Quick()).add_input(open_raster(tmp_path / name)))
    assert len(set(names)) == 1
