"""References: what carries one and what is refused, patches of skin, and FLUX's own ways against stock pipelines."""

import math
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import stock
import torch
from making import dealt, numerics, pictures, reasons, told
from making import recipe as plain
from PIL import Image
from tiny import SIZE, tiny_checkpoint, tiny_ip_adapter, tiny_redux, tiny_sdxl

from pipelines import reference_crops, reference_images
from pipelines.checkpoint import Checkpoint
from pipelines.engine import Engine
from pipelines.errors import CheckpointError, InputError, RecipeError
from pipelines.families import family_of
from pipelines.families.base import Images
from pipelines.listing import own_list
from pipelines.recipe import Mechanism, Recipe, Reference
from pipelines.reference_images import Adapter, Chosen, adapter_of, mechanism_for

KINDS = ("sdxl", "flux", "fill", "kontext", "klein", "flux2")
DIGEST = "d" * 64
NEAR = 1e-5
"""Largest relative difference of a merged cell to the stock pipeline alone."""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("tiny")
    return {kind: tiny_checkpoint(kind, folder / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def redux(tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    return tiny_redux(tmp_path_factory.mktemp("redux"))


def nothing(_: Mechanism) -> tuple[Adapter, ...]:
    return ()


def skin(number: int, side: int = 32) -> Any:
    """A reference picture of noise, another for each number."""
    noise = torch.Generator().manual_seed(number)
    return Image.fromarray(torch.randint(0, 256, (side, side, 3), generator=noise, dtype=torch.uint8).numpy())


def crops(picture: Any) -> tuple[Any, ...]:
    return picture, picture.rotate(90)


def engine(checkpoint: Checkpoint, adapter: Adapter | None = None, lanes: int = 1) -> Engine:
    def images(recipe: Recipe) -> Images:
        given = stock.images(recipe)
        return Images(given.start, given.mask, tuple(skin(int(one.image, 16)) for one in recipe.references))

    def here(_: Reference) -> Adapter:
        assert adapter
        return adapter

    return Engine(checkpoint, numerics(checkpoint, lanes), images=images, adapter_of=here, crops=crops)


def recipe(checkpoint: Checkpoint, mode: str = "text-to-image", /, *by: dict[str, Any], **changes: Any) -> Recipe:
    found = [{"image": f"{at:064x}"} | one for at, one in enumerate(by, 1)]
    return plain(checkpoint, mode, references=found, **changes)


def off(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


# what carries a reference


def test_a_repair_takes_bands_and_a_new_composition_what_its_network_reads(
    checkpoints: dict[str, Checkpoint], redux: Adapter, tmp_path: Path
) -> None:
    ip = tiny_ip_adapter(tmp_path, tiny_sdxl()["unet"])
    files: dict[Mechanism, Adapter] = {"ip-adapter": ip, "redux": redux}

    def both(mechanism: Mechanism) -> tuple[Adapter, ...]:
        return (files[mechanism],)

    for kind in KINDS:
        assert mechanism_for(checkpoints[kind], has_start=True, offered=nothing)[:2] == ("bands", None)
    found = {kind: mechanism_for(checkpoints[kind], has_start=False, offered=both) for kind in KINDS}
    assert found["sdxl"][:2] == ("ip-adapter", ip.digest)
    assert found["flux"][:2] == found["fill"][:2] == ("redux", redux.digest)
    assert found["kontext"][:2] == ("kontext", None)
    assert found["klein"][:2] == found["flux2"][:2] == ("images", None)
    assert found["sdxl"].reason == (
        "the reference acts by ip-adapter (tiny-ip-adapter): patches of its cheeks and forehead pull beside the prompt"
    )
    asked = mechanism_for(checkpoints["sdxl"], has_start=True, asked="ip-adapter", offered=both)
    assert (asked.mechanism, asked.adapter) == ("ip-adapter", ip.digest)


@pytest.mark.parametrize(
    ("kind", "asked", "line"),
    [
        (
            "sdxl",
            None,
            r"a reference needs ip-adapter on sdxl, which is not on this disk; run `sidelight models pull ip-",
        ),
        ("sdxl", "ip-adapter", r"run `sidelight models pull ip-adapter-plus`, or give start, strength and mask"),
        ("flux", None, r"a reference needs redux on flux, .*; run `sidelight models pull flux-redux-dev`"),
        (
            "flux",
            "ip-adapter",
            r"by ip-adapter is for SDXL with an IP-Adapter; flux takes it by redux, or by bands with",
        ),
        ("klein", "kontext", r"by kontext is for FLUX.1 Kontext; klein takes it by images, or by bands"),
        ("sdxl", "bands", r"reference_by bands lays texture into a start image; give start, strength and mask with it"),
    ],
)
def test_what_cannot_carry_a_reference_is_told_with_the_way_out(
    checkpoints: dict[str, Checkpoint], kind: str, asked: Mechanism | None, line: str
) -> None:
    with pytest.raises(RecipeError, match=line) as told:
        mechanism_for(checkpoints[kind], has_start=False, asked=asked, offered=nothing)
    assert "\n" not in str(told.value)


def test_adapters_of_the_list_are_found_by_name_and_by_digest(
    checkpoints: dict[str, Checkpoint], tmp_path: Path
) -> None:
    ip, redux = tiny_ip_adapter(tmp_path / "ip", tiny_sdxl()["unet"]), tiny_redux(tmp_path / "redux")
    own_list().parent.mkdir(parents=True, exist_ok=True)
    own_list().write_text(
        f"mine sdxl file:'{ip.file}' kind=adapter base=eyes\n"
        f"eyes sdxl dir:'{tmp_path}/ip/image_encoder' kind=adapter\n"
        f"gone sdxl file:'{tmp_path}/gone.safetensors' kind=adapter base=eyes\n"
        f"red flux dir:'{tmp_path}/redux' kind=adapter\n"
    )
    sdxl, flux = (mechanism_for(checkpoints[kind], has_start=False) for kind in ("sdxl", "flux"))
    assert (sdxl.adapter, flux.adapter) == (ip.digest, redux.digest)
    assert adapter_of(_reference(sdxl)).name == "mine"
    assert adapter_of(_reference(flux)).name == "red"
    other = Reference(image=DIGEST, mechanism="ip-adapter", adapter="0" * 64)
    with pytest.raises(
        CheckpointError, match=r"the ip-adapter of this recipe \(sha256 000000000000\) is not on this disk"
    ):
        adapter_of(other)
    own_list().write_text(f"mine sdxl file:'{ip.file}' kind=adapter\n")
    with pytest.raises(CheckpointError, match=r"mine does not say which image encoder reads for it; give base=NAME"):
        mechanism_for(checkpoints["sdxl"], has_start=False)


def _reference(chosen: Chosen) -> Reference:
    return Reference(image=DIGEST, mechanism=chosen.mechanism, adapter=chosen.adapter)


IP, REDUX = ({"mechanism": name, "adapter": DIGEST} for name in ("ip-adapter", "redux"))
BANDS, KONTEXT, IMAGES = ({"mechanism": name} for name in ("bands", "kontext", "images"))


@pytest.mark.parametrize(
    ("kind", "mode", "by"),
    [
        *((kind, "inpaint", [BANDS]) for kind in ("sdxl", "flux", "fill", "klein", "flux2")),
        *(("sdxl", mode, [IP]) for mode in ("text-to-image", "img2img", "inpaint")),
        *(("flux", mode, [REDUX]) for mode in ("text-to-image", "img2img", "inpaint")),
        ("sdxl", "inpaint", [BANDS, IP]),
        ("fill", "inpaint", [REDUX]),
        ("kontext", "text-to-image", [KONTEXT]),
        ("flux2", "text-to-image", [IMAGES, IMAGES]),
        ("klein", "inpaint", [IMAGES]),
    ],
)
def test_references_that_can_act_pass_without_a_warning(
    checkpoints: dict[str, Checkpoint], kind: str, mode: str, by: list[dict[str, Any]]
) -> None:
    made = recipe(checkpoints[kind], mode, *by, guidance=1.0 if kind == "klein" else 4.0)
    assert family_of(checkpoints[kind]).check(made, checkpoints[kind]) == ()


@pytest.mark.parametrize(
    ("kind", "mode", "by", "line"),
    [
        ("sdxl", "img2img", [BANDS], r"by bands is laid into a start image under a mask; give start and mask"),
        ("sdxl", "inpaint", [BANDS, BANDS], r"2 references act by bands; one texture can be laid into a start image"),
        ("sdxl", "text-to-image", [{}], r"a reference names no mechanism; bands or ip-adapter can act on sdxl"),
        ("sdxl", "text-to-image", [{"role": "start"}], r"role start is the recipe's start image, with strength 1 - w"),
        ("sdxl", "text-to-image", [{"mechanism": "ip-adapter"}], r"by ip-adapter needs the digest of its adapter"),
        ("kontext", "text-to-image", [KONTEXT | {"adapter": DIGEST}], r"by kontext has no adapter; leave it out"),
        ("sdxl", "text-to-image", [IP, IP], r"2 references by ip-adapter; this network takes one a picture"),
        ("flux2", "inpaint", [IMAGES, IMAGES], r"2 references by images; this network takes one a picture"),
        ("flux", "text-to-image", [IP], r"by ip-adapter is for SDXL with an IP-Adapter; flux takes it by redux"),
        ("kontext", "text-to-image", [REDUX], r"by redux is for FLUX.1-dev, .*; kontext takes it by kontext"),
        ("kontext", "text-to-image", [KONTEXT | {"weight": 0.7}], r"reference weight 0.7: FLUX.1 Kontext reads a ref"),
        ("flux2", "text-to-image", [IMAGES | {"weight": 0.4}], r"has no dial for it; leave the weight out \(0.5\), or"),
    ],
)
def test_references_that_cannot_act_are_refused_in_one_line(
    checkpoints: dict[str, Checkpoint], kind: str, mode: str, by: list[dict[str, Any]], line: str
) -> None:
    with pytest.raises(RecipeError, match=line) as told:
        recipe(checkpoints[kind], mode, *by)
    assert "\n" not in str(told.value)


def test_a_weight_outside_the_normal_range_is_told_with_what_it_does(checkpoints: dict[str, Checkpoint]) -> None:
    def warned(by: dict[str, Any], weight: float) -> tuple[str, ...]:
        return reference_images.check(
            recipe(checkpoints["sdxl"], "inpaint", by | {"weight": weight}), checkpoints["sdxl"]
        )

    assert [warned(IP, weight) for weight in (0.4, 0.5, 0.6)] == [(), (), ()]
    assert warned(IP, 0.2) == ("reference weight 0.2 is below 0.4: little of its texture will show",)
    assert warned(IP, 0.8) == (
        "reference weight 0.8 is above 0.6: its own marks show, as if copied, and the prompt gives way",
    )
    assert warned(BANDS, 1.0) == ("reference weight 1 is above 0.6: its own marks show, as if copied",)


# patches of skin


def test_patches_are_skin_of_the_largest_face_and_none_of_its_features() -> None:
    from skimage import data

    from pipelines.regions import face_map

    pixels = data.astronaut()[32:192, 144:304].repeat(3, axis=0).repeat(3, axis=1)
    found = reference_crops.crops(Image.fromarray(pixels))
    assert len(found) >= 2
    assert len({patch.size for patch in found}) == 1
    faces = face_map(pixels)
    features = np.max([faces.region(1, name) for name in reference_crops.FEATURES], axis=0)
    for patch in found:
        top, left = _place(pixels, np.asarray(patch))
        side = patch.width
        assert not features[top : top + side, left : left + side].any()
        assert (faces.region(1, "skin")[top : top + side, left : left + side] > 0.5).all()


def _place(pixels: Any, patch: Any) -> tuple[int, int]:
    """Where in the picture a patch was cut."""
    import cv2

    fit = cv2.matchTemplate(pixels, patch, cv2.TM_SQDIFF)
    top, left = np.unravel_index(int(fit.argmin()), fit.shape)
    side = patch.shape[0]
    assert (pixels[top : top + side, left : left + side] == patch).all()
    return int(top), int(left)


def test_a_reference_without_a_face_or_with_a_small_one_is_refused() -> None:
    from skimage import data

    with pytest.raises(InputError, match=r"the reference shows no face, so which of it is skin is not known"):
        reference_crops.crops(skin(1, 256))
    with pytest.raises(
        InputError, match=r"the largest patch of plain skin in the reference is \d+ pixels wide; 24 are"
    ):
        reference_crops.crops(Image.fromarray(data.astronaut()))


def test_a_sheet_is_square_undistorted_and_of_the_size_networks_take() -> None:
    patches = tuple(Image.new("RGB", (100, 100), colour) for colour in ("red", "green", "blue"))
    made = reference_crops.sheet(patches)
    assert made.size == (192, 192)
    corners = [made.getpixel(place) for place in ((0, 0), (191, 0), (0, 191), (191, 191))]
    assert corners == [(255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 0, 0)]
    assert reference_crops.sheet(patches[:1]).size == (96, 96)
    assert reference_crops.sheet((Image.new("RGB", (25, 25)),)).size == (64, 64)
    assert reference_crops.sheet((Image.new("RGB", (900, 900)),) * 2).size == (1024, 1024)
    assert reference_crops.sheet(patches, side=70).size == (70, 70)


# FLUX.1 Redux


def with_redux(adapter: Adapter, cell: Recipe) -> Any:
    """The stock prior's tokens behind the stock pipeline's words, at the recipe's weight."""

    def load(pipe: Any) -> dict[str, Any]:
        (reference,) = cell.references
        prior = diffusers.FluxPriorReduxPipeline(
            **_opened(adapter),
            **{name: part for name, part in pipe.components.items() if "text" in name or "tok" in name},
        )
        sheet = reference_crops.sheet(crops(skin(int(reference.image, 16))))
        words, pooled = prior(sheet, prompt=cell.prompt, return_dict=False)
        tokens = words[:, 512:]
        given = {
            "prompt_embeds": torch.cat([words[:, :512], tokens * reference.weight], 1),
            "pooled_prompt_embeds": pooled,
        }
        given |= {"prompt": None}
        if cell.negative is not None:
            other, other_pooled, _ = pipe.encode_prompt(cell.negative, None)
            given["negative_prompt_embeds"] = torch.cat([other, tokens * reference.weight], 1)
            given |= {"negative_pooled_prompt_embeds": other_pooled, "negative_prompt": None}
        return given

    return load


def _opened(adapter: Adapter) -> dict[str, Any]:
    import transformers
    from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder

    classes: dict[str, Any] = {
        "feature_extractor": transformers.SiglipImageProcessorPil,
        "image_embedder": ReduxImageEncoder,
        "image_encoder": transformers.SiglipVisionModel,
    }
    return {name: cls.from_pretrained(adapter.places[name].folder) for name, cls in classes.items()}


def test_redux_is_the_stock_prior_and_weights_merge_in_one_forward(
    checkpoints: dict[str, Checkpoint], redux: Adapter
) -> None:
    flux = checkpoints["flux"]
    by = [REDUX | {"adapter": redux.digest, "weight": weight} for weight in (1.0, 0.5)]
    cells = [recipe(flux, "text-to-image", one, seed=at) for at, one in enumerate(by)]
    cells.append(recipe(flux, "inpaint", by[1], negative="plastic", true_guidance=2.0))
    bare = plain(flux)
    work = engine(flux, redux, lanes=4)
    before = pictures(work, [[], [], [], [bare]])[bare.key]
    made = pictures(work, [*([cell] for cell in cells), [bare]])
    assert torch.equal(made[bare.key], before)
    assert (work.tally.calls, work.tally.forwards) == (
        3 + 2 * 3 + 2 * 3 + 3,
        3 + 3 + 3 + 3,
    )  # before, 3 steps, 3 more, bare
    for cell in cells:
        alone = stock.picture(flux.folder, cell, output="pt", load=with_redux(redux, cell))[0].permute(1, 2, 0)
        assert off(made[cell.key], alone) < NEAR
    assert off(made[cells[0].key], before) > 1e-3


def test_redux_for_words_of_another_width_fails_its_own_cells(
    checkpoints: dict[str, Checkpoint], tmp_path: Path
) -> None:
    wide = tiny_redux(tmp_path, words=24)
    cell = recipe(checkpoints["flux"], "text-to-image", REDUX | {"adapter": wide.digest})
    bare = plain(checkpoints["flux"])
    events = told(engine(checkpoints["flux"], wide), [[cell, bare]])
    why = "this Redux makes tokens 24 wide, but the checkpoint's words are 16 wide; take the one made for FLUX.1"
    assert reasons(events) == {cell.key: why}


# FLUX.1 Kontext and FLUX.2


def test_kontext_reads_the_skin_as_its_picture(checkpoints: dict[str, Checkpoint]) -> None:
    kontext = checkpoints["kontext"]
    cells = [
        recipe(kontext, "text-to-image", {"image": f"{at:064x}"} | KONTEXT, seed=at, guidance=2.0 + at) for at in (1, 2)
    ]
    bare = plain(kontext)
    work = engine(kontext, lanes=3)
    made = pictures(work, [*([cell] for cell in cells), [bare]])
    assert (work.tally.calls, work.tally.forwards) == (9, 6)
    for at, cell in enumerate(cells, 1):
        sheet = reference_crops.sheet(crops(skin(at)), side=math.isqrt(SIZE * SIZE))
        alone = stock.picture(
            kontext.folder, cell, output="pt", load=lambda _, sheet=sheet: {"image": sheet, "_auto_resize": False}
        )
        assert off(made[cell.key], alone[0].permute(1, 2, 0)) < NEAR
        assert off(made[cell.key], made[bare.key]) > 1e-3


def test_flux2_reads_several_references_and_one_while_it_repaints(checkpoints: dict[str, Checkpoint]) -> None:
    flux2 = checkpoints["flux2"]
    sheets = [reference_crops.sheet(crops(skin(at))) for at in (1, 2)]
    new = recipe(flux2, "text-to-image", IMAGES, IMAGES)
    repaint = recipe(flux2, "inpaint", IMAGES)
    given: dict[str, Any] = {new.key: {"image": sheets}, repaint.key: {"image_reference": sheets[0]}}
    made = pictures(engine(flux2, lanes=2), dealt([new, repaint], 2))
    for cell in (new, repaint):
        alone = stock.picture(flux2.folder, cell, output="pt", load=lambda _, key=cell.key: given[key])
        assert off(made[cell.key], alone[0].permute(1, 2, 0)) < NEAR
