"""IP-Adapter on a tiny SDXL: each cell as diffusers' own load_ip_adapter makes it, merged, and nothing left behind."""

from pathlib import Path
from typing import Any

import pytest
import stock
import torch
import transformers
from making import dealt, numerics, pictures, reasons, told
from making import recipe as plain
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny import tiny_checkpoint, tiny_ip_adapter, tiny_sdxl

from pipelines.checkpoint import Checkpoint
from pipelines.engine import Engine
from pipelines.errors import InputError
from pipelines.families.base import Images
from pipelines.recipe import Recipe
from pipelines.reference_images import Adapter

MODES = ("text-to-image", "img2img", "inpaint")
NEAR = 1e-5
"""Largest relative difference of a merged cell to the stock pipeline alone."""


def skin(number: int) -> Any:
    """A reference picture of noise, another for each number."""
    noise = torch.Generator().manual_seed(number)
    return Image.fromarray(torch.randint(0, 256, (16, 16, 3), generator=noise, dtype=torch.uint8).numpy())


def crops(picture: Any) -> tuple[Any, ...]:
    """Three patches, as of two cheeks and a forehead."""
    return picture, picture.rotate(90), picture.rotate(180)


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return tiny_checkpoint("sdxl", tmp_path_factory.mktemp("tiny") / "sdxl")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    return tiny_ip_adapter(tmp_path_factory.mktemp("ip"), tiny_sdxl()["unet"])


def engine(checkpoint: Checkpoint, adapter: Adapter, lanes: int = 1) -> Engine:
    def images(recipe: Recipe) -> Images:
        given = stock.images(recipe)
        return Images(given.start, given.mask, tuple(skin(int(one.image, 16)) for one in recipe.references))

    return Engine(checkpoint, numerics(checkpoint, lanes), images=images, adapter_of=lambda _: adapter, crops=crops)


def recipe(
    checkpoint: Checkpoint,
    adapter: Adapter,
    mode: str = "text-to-image",
    *,
    weight: float,
    image: int = 1,
    **changes: Any,
) -> Recipe:
    reference = {"image": f"{image:064x}", "weight": weight, "mechanism": "ip-adapter", "adapter": adapter.digest}
    return plain(checkpoint, mode, references=[reference], **changes)


def alone(checkpoint: Checkpoint, adapter: Adapter, cell: Recipe) -> torch.Tensor:
    """Pixels by diffusers alone: its own loading, scale and reading of pictures."""

    def load(pipe: Any) -> dict[str, Any]:
        (reference,) = cell.references
        assert adapter.file
        pipe.register_modules(feature_extractor=transformers.CLIPImageProcessorPil(size=16, crop_size=16))
        pipe.load_ip_adapter(
            str(adapter.file.parent), subfolder="", weight_name=adapter.file.name, local_files_only=True
        )
        pipe.set_ip_adapter_scale(reference.weight)
        return {"ip_adapter_image": [list(crops(skin(int(reference.image, 16))))]}

    return stock.picture(checkpoint.folder, cell, output="pt", load=load)[0].permute(1, 2, 0)


def off(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize(("mode", "plus"), [*((mode, True) for mode in MODES), ("img2img", False)])
def test_a_cell_is_what_diffusers_makes_with_its_own_ip_adapter(
    sdxl: Checkpoint, adapter: Adapter, tmp_path: Path, mode: str, plus: bool
) -> None:
    used = adapter if plus else tiny_ip_adapter(tmp_path, tiny_sdxl()["unet"], plus=False)
    cell = recipe(sdxl, used, mode, weight=0.5, negative="plastic" if plus else None)
    work = engine(sdxl, used)
    (made,) = pictures(work, [[cell]]).values()
    assert off(made, alone(sdxl, used, cell)) < NEAR
    (without,) = pictures(work, [[cell.but(references=())]]).values()
    assert off(made, without) > 1e-3


def test_weights_references_and_guidance_merge_in_one_forward_each_as_if_alone(
    sdxl: Checkpoint, adapter: Adapter
) -> None:
    weights = (0.0, 0.4, 1.0)
    cells = [
        recipe(sdxl, adapter, weight=weight, image=1 + at % 2, seed=at, guidance=(4.0, 1.0)[at // 2])
        for at, weight in enumerate(weights)
    ]
    work = engine(sdxl, adapter, lanes=3)
    made = pictures(work, dealt(cells, 3))
    assert (work.tally.calls, work.tally.forwards) == (9, 3)
    for cell in cells:
        assert off(made[cell.key], alone(sdxl, adapter, cell)) < NEAR


def test_a_cell_without_a_reference_keeps_every_bit_beside_and_after_cells_with_one(
    sdxl: Checkpoint, adapter: Adapter
) -> None:
    bare = [plain(sdxl, seed=at) for at in range(2)]
    pulled = [recipe(sdxl, adapter, weight=0.5, seed=at) for at in range(2)]
    work = engine(sdxl, adapter, lanes=4)
    before = pictures(work, [[bare[0]], [bare[1]], [], []])
    beside = pictures(work, [[bare[0]], [bare[1]], [pulled[0]], [pulled[1]]])
    after = pictures(work, [[bare[0]], [bare[1]], [], []])
    for cell in bare:
        assert torch.equal(before[cell.key], beside[cell.key])
        assert torch.equal(before[cell.key], after[cell.key])
    unet = work._parts["unet"]
    assert {type(one).__name__ for one in unet.attn_processors.values()} == {"AttnProcessor2_0"}
    assert unet.encoder_hid_proj is None


def test_a_cell_with_a_reference_gives_equal_bytes_in_any_company(sdxl: Checkpoint, adapter: Adapter) -> None:
    cells = [recipe(sdxl, adapter, weight=0.3 + 0.2 * at, seed=at) for at in range(2)]
    work = engine(sdxl, adapter, lanes=2)
    together = pictures(work, [[cell] for cell in cells])
    for at, cell in enumerate(cells):
        (alone,) = pictures(work, [[cell] if lane == at else [] for lane in range(2)]).values()
        assert torch.equal(alone, together[cell.key])


def test_a_guidance_window_halves_what_the_reference_gives_too(sdxl: Checkpoint, adapter: Adapter) -> None:
    cell = recipe(sdxl, adapter, weight=0.5, steps=4, guidance_interval=(0.0, 0.5))
    work = engine(sdxl, adapter)
    pictures(work, [[cell]])
    assert work.tally.rows == 2 * 2 + 2 * 1


def test_a_reference_is_read_once_and_one_that_cannot_be_read_fails_its_own_cells_alone(
    sdxl: Checkpoint, adapter: Adapter
) -> None:
    asked: list[Any] = []

    def counted(picture: Any) -> tuple[Any, ...]:
        asked.append(picture)
        if picture == skin(2):
            raise InputError("the reference shows no face")
        return crops(picture)

    work = engine(sdxl, adapter)
    work._references._crops = counted
    good = [recipe(sdxl, adapter, weight=0.5, seed=seed) for seed in range(2)]
    bad = recipe(sdxl, adapter, weight=0.5, image=2)
    events = told(work, [[good[0], bad, good[1]]])
    assert reasons(events) == {bad.key: "the reference shows no face"}
    assert len(asked) == 2


def test_files_that_do_not_fit_are_told_in_one_line(sdxl: Checkpoint, adapter: Adapter, tmp_path: Path) -> None:
    assert adapter.file
    whole = load_file(adapter.file)

    def why(tensors: dict[str, torch.Tensor]) -> str:
        save_file(tensors, tmp_path / "adapter.safetensors")
        other = Adapter("mine", "ip-adapter", tmp_path / "adapter.safetensors", adapter.places)
        cell = recipe(sdxl, other, weight=0.5)
        return reasons(told(engine(sdxl, other), [[cell]]))[cell.key]

    first = "ip_adapter.1.to_k_ip.weight"
    lacking = {name: tensor for name, tensor in whole.items() if name != first}
    assert "ip-adapter mine does not fit this checkpoint (1.to_k_ip.weight is missing)" in why(lacking)
    assert "to_k_ip.0.weight expected shape torch.Size([16, 32]), but got torch.Size([7, 32])); take" in why(
        whole | {first: torch.zeros(7, 32)}
    )
    assert "FaceID adapter, made to copy a face" in why(whole | {"image_proj.proj.0.weight": torch.zeros(2, 2)})
    narrow = {name: tensor for name, tensor in whole.items() if name != "image_proj.proj_in.weight"}
    assert "reads an image encoder 9 wide, but its base is 16 wide" in why(
        narrow | {"image_proj.proj_in.weight": torch.zeros(8, 9)}
    )


def test_the_digest_is_of_the_adapter_and_its_encoder(adapter: Adapter, tmp_path: Path) -> None:
    same = tiny_ip_adapter(tmp_path / "same", tiny_sdxl()["unet"])
    other = tiny_ip_adapter(tmp_path / "other", tiny_sdxl()["unet"], seed=1)
    assert same.digest == adapter.digest
    mixed = Adapter("mixed", "ip-adapter", same.file, other.places)
    assert len({adapter.digest, other.digest, mixed.digest}) == 3


def test_layers_are_not_compiled_with_an_ip_adapter(sdxl: Checkpoint, adapter: Adapter) -> None:
    compiled = numerics(sdxl, 1).but(compile="regional")
    with pytest.raises(InputError, match="LoRAs and IP-Adapters would have the layers compiled anew"):
        list(Engine(sdxl, compiled).run([[recipe(sdxl, adapter, weight=0.5)]]))
