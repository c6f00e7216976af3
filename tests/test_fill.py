"""FLUX.1-Fill and -Kontext: equal to their own stock pipelines alone and merged; what they cannot do is refused."""

from typing import Any

import diffusers
import pytest
import stock
import torch
from making import DENOISERS, answers, dealt, engine, pictures, recipe, told
from PIL import ImageOps
from tiny import SIZE, tiny_checkpoint

from pipelines import schedulers
from pipelines.checkpoint import Checkpoint
from pipelines.engine import Engine
from pipelines.events import Made
from pipelines.families import family_of
from pipelines.families.base import Images
from pipelines.recipe import Recipe

BOUND = 2e-5  # of the widest pixel: sums in another order
FAMILY = {row.name: dict(row.modes).get("flux", ()) for row in schedulers.rows()}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("tiny")
    return {kind: tiny_checkpoint(kind, folder / kind) for kind in ("fill", "kontext")}


@pytest.fixture
def fill(checkpoints: dict[str, Checkpoint]) -> Checkpoint:
    return checkpoints["fill"]


@pytest.fixture
def kontext(checkpoints: dict[str, Checkpoint]) -> Checkpoint:
    return checkpoints["kontext"]


def stocks(checkpoint: Checkpoint, cell: Recipe) -> torch.Tensor:
    """(height, width, 3) as the checkpoint's own stock pipeline makes it."""
    return stock.picture(checkpoint.folder, cell, output="pt")[0].permute(1, 2, 0)


def merged_as_stock(checkpoint: Checkpoint, cells: list[Recipe]) -> None:
    """Run the cells in four lanes and compare each with its stock picture."""
    work = engine(checkpoint, 4)
    made = pictures(work, dealt(cells, 4))
    assert len(made) == len(cells), "none failed"
    for cell in cells:
        expected = stocks(checkpoint, cell)
        assert expected.std() > 0.01, "a flat picture proves nothing"
        assert (made[cell.key] - expected).abs().max() < BOUND * expected.abs().max(), cell.scheduler.name
    assert work.tally.forwards < 0.4 * work.tally.calls


# Fill


@pytest.mark.parametrize("strength", [1.0, 0.7])
@pytest.mark.parametrize("scheduler", ["euler", "euler-stochastic", "dpmpp-2m", "unipc-karras"])
def test_fill_one_at_a_time_is_its_stock_pipeline_bit_for_bit(
    fill: Checkpoint, scheduler: str, strength: float
) -> None:
    cell = recipe(fill, "inpaint", scheduler, strength=strength, guidance=30.0, steps=4)
    (pixels,) = pictures(engine(fill), [[cell]]).values()
    assert pixels.std() > 0.01, "a flat picture proves nothing"
    assert torch.equal(pixels, stocks(fill, cell))


def test_fill_merged_equals_its_stock_pipeline_for_every_scheduler(fill: Checkpoint) -> None:
    names = [name for name, modes in FAMILY.items() if "inpaint" in modes]
    assert len(names) > 15
    merged_as_stock(
        fill,
        [
            recipe(
                fill,
                "inpaint",
                name,
                seed=at,
                steps=3 + at % 2,
                guidance=(30.0, 10.0)[at % 2],
                strength=(1.0, 0.8)[at // 2 % 2],
                prompt=("a face", "skin, 85mm")[at % 2],
            )
            for at, name in enumerate(names)
        ],
    )


def test_fill_sees_the_mask_and_the_picture_around_it(fill: Checkpoint) -> None:
    cell = recipe(fill, "inpaint", strength=1.0, guidance=30.0)
    seen: list[torch.Tensor] = []

    def made(start: Any, mask: Any) -> torch.Tensor:
        work = Engine(fill, engine(fill).numerics, images=lambda _: Images(start, mask))
        with answers(DENOISERS, lambda _, arguments: seen.append(arguments["hidden_states"])):
            (pixels,) = pictures(work, [[cell]]).values()
        return pixels

    pixels = made(stock.START, stock.MASK)
    masks = seen[0][..., 32:]
    assert seen[0].shape == (1, (SIZE // 4) ** 2, 48)
    assert masks.unique().tolist() == [0, 1]
    assert masks.mean() == pytest.approx(torch.tensor(list(stock.MASK.getdata())).float().mean() / 255)
    assert not torch.equal(pixels, made(stock.START, ImageOps.invert(stock.MASK)))
    assert not torch.equal(pixels, made(ImageOps.invert(stock.START), stock.MASK))


def test_fill_begins_with_noise_alone_at_full_strength_as_stock_does(fill: Checkpoint) -> None:
    cells = [recipe(fill, "inpaint", strength=strength, steps=4) for strength in (1.0, 0.5)]
    whole, part = (event for event in told(engine(fill), [cells]) if isinstance(event, Made))
    assert (whole.first_sigma, whole.evaluations) == (1.0, 4)
    assert part.first_sigma < 1
    assert part.evaluations == 2


def test_fill_has_the_defaults_that_its_pipeline_was_published_with(fill: Checkpoint) -> None:
    defaults = family_of(fill).defaults(fill)
    assert (defaults.width, defaults.steps, defaults.guidance) == (1024, 50, 30.0)


# Kontext, without a picture


@pytest.mark.parametrize("values", [{}, {"negative": "plastic", "true_guidance": 3.0}, {"width": 2 * SIZE}])
def test_kontext_without_a_picture_is_both_stock_pipelines_bit_for_bit(
    kontext: Checkpoint, values: dict[str, Any]
) -> None:
    cell = recipe(kontext, guidance=2.5, **values)
    (pixels,) = pictures(engine(kontext), [[cell]]).values()
    assert stock.class_of(stock.pipeline(kontext.folder), cell) is diffusers.FluxKontextPipeline
    assert torch.equal(pixels, stocks(kontext, cell))
    plain = diffusers.FluxPipeline.from_pretrained(kontext.folder, local_files_only=True)
    expected = plain(
        prompt=cell.prompt,
        negative_prompt=cell.negative,
        true_cfg_scale=cell.true_guidance,
        guidance_scale=2.5,
        num_inference_steps=cell.steps,
        width=cell.width,
        height=cell.height,
        generator=torch.Generator().manual_seed(cell.seed),
        output_type="pt",
    ).images[0]
    assert torch.equal(pixels, expected.permute(1, 2, 0))


def test_kontext_merged_equals_its_stock_pipeline_for_every_scheduler(kontext: Checkpoint) -> None:
    names = [name for name, modes in FAMILY.items() if "text-to-image" in modes]
    merged_as_stock(
        kontext, [recipe(kontext, scheduler=name, seed=at, guidance=2.5 + at % 2) for at, name in enumerate(names)]
    )


def test_kontext_has_the_defaults_of_its_published_example(kontext: Checkpoint) -> None:
    defaults = family_of(kontext).defaults(kontext)
    assert (defaults.width, defaults.steps, defaults.guidance) == (1024, 28, 2.5)
