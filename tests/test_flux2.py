"""FLUX.2 klein: equal to the stock pipelines alone and merged, its geometry, its guidance, its autoencoder."""

from typing import Any

import diffusers
import pytest
import stock
import torch
from making import dealt, engine, pictures, recipe, told
from tiny import SIZE, tiny_checkpoint, tiny_flux2

from pipelines import autoencoder, solvers
from pipelines.checkpoint import Checkpoint
from pipelines.events import Made, Preview
from pipelines.families import family_of
from pipelines.recipe import Recipe

BOUND = 2e-5  # of the widest pixel: sums in another order
MODES = ("text-to-image", "inpaint")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("tiny")
    return {kind: tiny_checkpoint(kind, folder / kind) for kind in ("flux2", "klein")}


@pytest.fixture
def base(checkpoints: dict[str, Checkpoint]) -> Checkpoint:
    return checkpoints["flux2"]


def stocks(checkpoint: Checkpoint, cell: Recipe) -> torch.Tensor:
    """(height, width, 3) as the stock pipeline makes it."""
    return stock.picture(checkpoint.folder, cell, output="pt")[0].permute(1, 2, 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("kind", "scheduler", "values"),
    [
        ("klein", "euler", {"guidance": 1.0}),
        ("klein", "euler-stochastic", {"guidance": 1.0}),
        ("flux2", "euler", {}),
        ("flux2", "unipc", {"guidance": 1.0}),
        ("flux2", "dpmpp-2m", {"negative": "plastic", "guidance": 3.0}),
    ],
)
def test_one_at_a_time_is_the_stock_pipeline_bit_for_bit(
    checkpoints: dict[str, Checkpoint], kind: str, scheduler: str, values: dict[str, Any], mode: str
) -> None:
    checkpoint = checkpoints[kind]
    cell = recipe(checkpoint, mode, scheduler, **values)
    (pixels,) = pictures(engine(checkpoint), [[cell]]).values()
    assert pixels.std() > 0.01, "a flat picture proves nothing"
    assert torch.equal(pixels, stocks(checkpoint, cell))


def test_every_value_that_may_be_said_changes_the_picture(base: Checkpoint) -> None:
    plain = recipe(base, "inpaint")
    assert plain.start
    changes: list[dict[str, Any]] = [
        {"prompt": "a face"},
        {"negative": "plastic"},
        {"guidance": 2.0},
        {"guidance_interval": (0.0, 0.5)},
        {"text_tokens": 64},
        {"seed": 2},
        {"steps": 4},
        {"start": plain.start.but(strength=0.3)},
        {"scheduler": recipe(base, scheduler="euler:shift=2:use_dynamic_shifting=false").scheduler},
    ]
    made = pictures(engine(base, 4), dealt([plain, *(plain.but(**change) for change in changes)], 4))
    assert len({pixels.numpy().tobytes() for pixels in made.values()}) == 1 + len(changes)


def test_a_cell_gives_equal_bytes_alone_and_in_company(base: Checkpoint) -> None:
    cells = [recipe(base, MODES[at % 2], seed=at, guidance=(1.0, 4.0, 2.0)[at % 3]) for at in range(6)]
    lanes = dealt(cells, 3)
    whole = pictures(engine(base, 3), lanes)
    for lane, (first, _) in enumerate(lanes):
        alone = pictures(engine(base, 3), [[first] if at == lane else [] for at in range(3)])
        assert torch.equal(alone[first.key], whole[first.key])


def test_cells_of_equal_size_and_other_shape_never_share_a_forward(base: Checkpoint) -> None:
    wide, tall = (recipe(base, width=w * SIZE, height=h * SIZE, guidance=1.0) for w, h in ((2, 1), (1, 2)))
    more = wide.but(seed=9)
    work = engine(base, 3)
    made = pictures(work, [[wide], [tall], [more]])
    assert (work.tally.calls, work.tally.forwards) == (9, 6), "the two wide ones share, the tall one is alone"
    for cell in (wide, tall, more):
        expected = stocks(base, cell)
        assert (made[cell.key] - expected).abs().max() < BOUND * expected.abs().max()


def test_only_a_base_checkpoint_under_guidance_calls_twice_a_step(checkpoints: dict[str, Checkpoint]) -> None:
    counted = {}
    for kind, guidance in (("klein", 1.0), ("flux2", 1.0), ("flux2", 3.0)):
        (made,) = (
            event
            for event in told(engine(checkpoints[kind]), [[recipe(checkpoints[kind], guidance=guidance)]])
            if isinstance(event, Made)
        )
        counted[kind, guidance] = made.evaluations
    assert counted == {("klein", 1.0): 3, ("flux2", 1.0): 3, ("flux2", 3.0): 6}


def test_a_guidance_window_is_diffusers_own_with_guidance_taken_away(base: Checkpoint) -> None:
    cell = recipe(base, steps=6, guidance_interval=(0.0, 0.5))
    (made,) = (event for event in told(engine(base), [[cell]]) if isinstance(event, Made))
    assert made.evaluations == 3 * 2 + 3
    pipe = stock.pipeline(base.folder)
    generator = torch.Generator().manual_seed(cell.seed)
    pipe.scheduler = solvers.build(
        cell.scheduler, pipe.scheduler, family="flux2", spacing=None, seed=cell.seed, generator=generator
    )

    def unguided(pipe: Any, index: int, _: Any, values: dict[str, Any]) -> dict[str, Any]:
        pipe._guidance_scale = 1.0 if index + 1 >= 3 else cell.guidance
        return values

    expected = pipe(
        prompt=cell.prompt,
        num_inference_steps=6,
        guidance_scale=cell.guidance,
        width=SIZE,
        height=SIZE,
        generator=generator,
        output_type="pt",
        callback_on_step_end=unguided,
    ).images[0]
    assert torch.equal(torch.from_numpy(made.pixels), expected.permute(1, 2, 0))


# the autoencoder, whose scaling is a batch norm over patches


def test_patches_are_unscaled_and_laid_out_as_stock_does(base: Checkpoint) -> None:
    vae = tiny_flux2()["vae"]
    pipeline = diffusers.Flux2KleinPipeline
    wanted = torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(0))
    mean, variance = (value.view(1, -1, 1, 1) for value in (vae.bn.running_mean, vae.bn.running_var))
    patches = (pipeline._patchify_latents(wanted) - mean) / torch.sqrt(variance + vae.config.batch_norm_eps)
    cell = recipe(base, width=2 * SIZE)
    carried = family_of(base).latents(pipeline._pack_latents(patches), cell, base)
    assert torch.equal(carried, patches)
    assert torch.allclose(autoencoder._unscaled(vae, carried), wanted, atol=1e-5)
    assert torch.equal(family_of(base).latents(wanted, cell, base), wanted), "what a pipeline ends with is left alone"


def test_previews_are_one_pixel_a_latent_and_change_no_byte(base: Checkpoint) -> None:
    cell = recipe(base, width=2 * SIZE, guidance=1.0)
    events = told(engine(base, previews=True), [[cell]])
    shown = [event.pixels for event in events if isinstance(event, Preview)]
    (made,) = (event.pixels for event in events if isinstance(event, Made))
    assert [pixels.shape for pixels in shown] == [(SIZE // 2, SIZE, 3)] * 3
    assert (made == pictures(engine(base), [[cell]])[cell.key].numpy()).all()


class LinearAutoencoder(torch.nn.Module):
    """One whose colours are a linear map of its 4 latents; scaled as FLUX.2's are, and laid out alike."""

    def __init__(self) -> None:
        super().__init__()
        self.bn, self.config, self.dtype = tiny_flux2()["vae"].bn, tiny_flux2()["vae"].config, torch.float32
        self.device = torch.device("cpu")
        self.register_buffer("map", torch.randn(3, 4, generator=torch.Generator().manual_seed(2)) * 0.1)

    def decode(self, latents: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
        """Two pixels a latent along a side."""
        assert not return_dict
        return (torch.einsum("rc,nchw->nrhw", self.map, latents).repeat_interleave(2, 2).repeat_interleave(2, 3),)


def test_previews_put_every_place_of_a_patch_where_it_belongs() -> None:
    vae = LinearAutoencoder()
    patches = torch.randn(1, 16, 4, 6, generator=torch.Generator().manual_seed(5))
    shown = autoencoder.preview(vae, autoencoder.preview_colours(vae), patches)
    unscaled = patches * torch.sqrt(vae.bn.running_var + 1e-4).view(1, -1, 1, 1) + vae.bn.running_mean.view(1, -1, 1, 1)
    (decoded,) = vae.decode(diffusers.Flux2KleinPipeline._unpatchify_latents(unscaled), return_dict=False)
    wanted = (decoded * 0.5 + 0.5).clamp(0, 1)[0, :, ::2, ::2].permute(1, 2, 0)
    assert (torch.from_numpy(shown) / 255 - wanted).abs().max() < 1 / 255


@pytest.mark.gpu
def test_merged_on_cuda_equals_one_at_a_time(base: Checkpoint) -> None:
    cells = [recipe(base, MODES[at % 2], seed=at, guidance=(1.0, 4.0, 2.0)[at % 3]) for at in range(6)]
    asked = {"device": "cuda", "dtype": "float32"}
    merged = pictures(engine(base, 4, **asked), dealt(cells, 4))
    alone = pictures(engine(base, 1, **asked), [cells])
    assert max(float((merged[key] - alone[key]).abs().max()) for key in merged) < 2e-3  # its convolutions round to TF32
