"""The bench compares like with like: same cells, same pixels, honest arithmetic. Knows nothing about how fast it is."""

import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import typer
from tiny import SIZE, tiny_flux, tiny_sdxl
from typer.testing import CliRunner

from pipelines.checkpoint import Checkpoint, find
from pipelines.device import Numerics
from pipelines.errors import CellError, InputError
from pipelines.families import FAMILIES
from pipelines.families.base import settings
from sweeps.prepare import Prepared, prepare
from sweeps.sweep import from_flags
from workbench.bench import agreement, compare, eager, flops_per_row, plain_loop
from workbench.bench_command import bench
from workbench.bench_result import Agreement, Outcome, Round, Side, Split, Warmed, as_dict, as_text
from workbench.bench_weights import PIPELINES, RandomParts, ResidentParts, Unweighted, full_size, full_size_parts

MAKERS = {"sdxl": tiny_sdxl, "flux": tiny_flux}
ROWS = {"sdxl": 10, "flux": 5}  # of 5 evaluations: guidance is two rows of one call on SDXL, an input on FLUX


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """Tiny checkpoints on the disk, opened like any other."""
    folders = {family: tmp_path_factory.mktemp(family) for family in MAKERS}
    for family, folder in folders.items():
        getattr(diffusers, PIPELINES[family])(**MAKERS[family]()).save_pretrained(folder)
    return {family: find(str(folder)) for family, folder in folders.items()}


def two_cells(checkpoint: Checkpoint, **asked: Any) -> Prepared:
    """A sweep of 2 and 3 steps, prepared as the bench prepares its own."""
    given = {"checkpoint": ["tiny"], "prompt": ["a face"], "steps": ["2, 3"], "guidance": ["4"]}
    sweep = from_flags("bench", given | {"width": [str(SIZE)], "height": [str(SIZE)]})
    return prepare(sweep, checkpoint.folder / "no-run", asked={"device": "cpu", **asked}, lookup=lambda _: checkpoint)


def benched(*words: str) -> Any:
    """What `sidelight bench --json` prints for these words."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(bench)
    done = CliRunner().invoke(app, [*words, "--json"])
    if done.exception:
        raise done.exception
    return json.loads(done.stdout)


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_one_lane_makes_the_plain_loops_pictures_byte_for_byte(checkpoints: dict[str, Checkpoint], family: str) -> None:
    *_, found = compare(two_cells(checkpoints[family]), repeats=1)
    assert isinstance(found, Outcome)
    assert found.agreement == Agreement(pictures=2, equal=2, largest=0, mean=0.0)
    assert (found.cells, found.evaluations, found.forwards) == (2, 5, 5)
    assert found.rows == found.slots == ROWS[family]
    for split in (found.plain.split, found.ours.split):
        assert min(split.forward, split.encode, split.decode) > 0
        assert 0 < split.outside < 1


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_lanes_share_forwards_and_agree_to_one_level(checkpoints: dict[str, Checkpoint], family: str) -> None:
    *_, found = compare(two_cells(checkpoints[family], lanes=2), repeats=1)
    assert isinstance(found, Outcome)
    assert found.forwards == 3  # as many as the longer cell's evaluations
    assert (found.rows, found.slots) == (ROWS[family], ROWS[family] // 5 * 6)
    assert found.agreement.largest <= 1


def test_rounds_are_told_as_they_end(checkpoints: dict[str, Checkpoint]) -> None:
    told = list(compare(two_cells(checkpoints["flux"]), repeats=3))
    assert [type(found) for found in told] == [Warmed, Round, Round, Round, Outcome]
    rounds, found = told[1:-1], told[-1]
    assert isinstance(found, Outcome)
    assert [(one.number, one.of) for one in rounds if isinstance(one, Round)] == [(1, 3), (2, 3), (3, 3)]
    assert found.plain.seconds == tuple(one.plain for one in rounds if isinstance(one, Round))
    assert found.ours.seconds == tuple(one.ours for one in rounds if isinstance(one, Round))


def test_the_command_prints_both_sides_as_json(checkpoints: dict[str, Checkpoint]) -> None:
    folder = str(checkpoints["sdxl"].folder)
    (told,) = benched("--checkpoint", folder, "--repeats", "1", "--lanes", "4", "--device", "cpu")
    assert (told["cells"], told["evaluations"], told["pixels"]) == (8, 40, [SIZE, SIZE])
    assert (told["forwards"], told["rows"], told["fill"]) == (10, 80, 1.0)
    assert told["speedup"] == told["plain"]["median_seconds"] / told["ours"]["median_seconds"]
    assert (told["numerics"]["lanes"], told["random_weights"]) == (4, False)


def test_work_of_a_row_does_not_depend_on_how_many_rows_a_call_has(checkpoints: dict[str, Checkpoint]) -> None:
    prepared = two_cells(checkpoints["sdxl"])
    numerics = prepared.numerics.now
    parts = ResidentParts(checkpoints["sdxl"], numerics)
    assert list(parts.open([name for name, part in parts.items() if part is None]))
    plain = plain_loop(parts, checkpoints["sdxl"], tokens=77, numerics=numerics)
    recipe = next(iter(prepared.recipes.values()))
    guided, unguided = (flops_per_row(plain, [[recipe.but(guidance=guidance)]]) for guidance in (4, 1))
    assert guided == unguided > 1e5


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_random_weights_of_any_size_run_on_both_sides(tmp_path: Path, family: str) -> None:
    getattr(diffusers, PIPELINES[family])(**MAKERS[family]()).save_pretrained(tmp_path)
    for weights in tmp_path.rglob("*.safetensors"):
        weights.unlink()
    checkpoint = Unweighted("random", family, tmp_path, {})
    *_, found = compare(two_cells(checkpoint, dtype="bfloat16"), repeats=1, open_parts=RandomParts)
    assert isinstance(found, Outcome)
    assert (found.checkpoint, found.cells, found.numerics.dtype) == ("random", 2, "bfloat16")
    assert found.agreement.largest <= 2  # latents become float32 before or after they are unscaled


def test_full_size_models_have_the_published_number_of_parameters() -> None:
    published = {"sdxl": ("unet", 2_567_463_684), "flux": ("transformer", 11_901_408_320)}
    for family, (denoiser, count) in published.items():
        checkpoint, (_, kind, config) = full_size(family), full_size_parts(family)[denoiser]
        with torch.device("meta"):
            model = getattr(diffusers, kind).from_config(config)
        assert checkpoint.latent_factor == 8
        assert settings(FAMILIES[family], checkpoint).width == 1024
        assert checkpoint.weights.family == family
        assert sum(weights.numel() for weights in model.parameters()) == count


def test_the_plain_loop_is_eager_and_shares_the_weights_of_a_compiled_denoiser() -> None:
    compiled = tiny_sdxl()["unet"]
    compiled.compile_repeated_blocks()
    blocks = [module for module in compiled.modules() if module._compiled_call_impl is not None]
    plain = eager(compiled)
    assert blocks
    assert not [module for module in plain.modules() if module._compiled_call_impl is not None]
    pairs = zip(plain.parameters(), compiled.parameters(), strict=True)
    assert all(mine.data_ptr() == theirs.data_ptr() for mine, theirs in pairs)


def outcome(plain: tuple[float, ...], ours: tuple[float, ...], *, peak_bytes: int | None = None) -> Outcome:
    """An outcome of these wall seconds (CPU seconds are half of them)."""
    split = Split(total=10, forward=6, encode=1, decode=2.5)
    sides = [Side(wall, tuple(second / 2 for second in wall), peak_bytes, split) for wall in (plain, ours)]
    numerics = Numerics(
        torch="2.x", diffusers="0.42", transformers="5", device="cpu", threads=2, dtype="float32", lanes=4, lane_width=2
    )
    return Outcome(
        checkpoint="tiny", cells=8, pixels=(16, 16), evaluations=40, numerics=numerics, plain=sides[0], ours=sides[1],
        forwards=12, rows=80, slots=96, flops_per_row=5e9, peak_flops=1e11, agreement=Agreement(8, 6, 1, 0.01),
        process_peak_bytes=10**9,
    )  # fmt: skip


def test_ratios_are_of_medians_and_their_spread_is_of_pairs() -> None:
    found = outcome((12.0, 10.0, 30.0), (4.0, 6.0, 5.0))
    assert found.speedup == 12 / 5
    assert found.spread == (10 / 6, 30 / 5)
    assert found.cpu_speedup == 12 / 5
    assert found.fill == 80 / 96
    assert found.peak_share(found.ours) == pytest.approx(5e9 * 80 / 5 / 1e11)
    assert found.plain.split.outside == pytest.approx(0.05)


def test_the_table_can_be_judged_by_who_reads_it() -> None:
    text = as_text(outcome((12.0,), (5.0,)), "2026-01-02")
    for needed in ("2.40x", "2026-01-02", "torch 2.x", "cpu, threads 2", "6 of 8 byte for byte equal", "fill 83%"):
        assert needed in text
    assert "peak memory of the device" not in text
    on_a_gpu = as_text(outcome((1.0,), (1.0,), peak_bytes=3 * 10**9), "2026-01-02")
    assert "| peak memory of the device | 3.00 GB | 3.00 GB |" in on_a_gpu


def test_json_holds_every_measured_value() -> None:
    told = json.loads(json.dumps(as_dict(outcome((12.0,), (5.0,)), "2026-01-02")))
    assert told["plain"]["seconds"] == [12.0]
    assert (told["ours"]["median_seconds"], told["speedup"], told["fill"]) == (5.0, 2.4, 80 / 96)
    assert len(told["numerics_digest"]) == 12


def test_differences_between_pictures_are_found_in_either_direction() -> None:
    flat, other = np.full((2, 2, 3), 100, np.uint8), np.full((2, 2, 3), 100, np.uint8)
    other[0, 0] = (90, 103, 100)
    found = agreement({"a": flat, "b": flat}, {"a": flat, "b": other})
    assert (found.pictures, found.equal, found.largest) == (2, 1, 10)
    assert found.mean == pytest.approx(13 / 24)


def test_a_checkpoint_that_makes_no_pictures_is_an_error_and_no_ratio(tmp_path: Path) -> None:
    pipe = diffusers.StableDiffusionXLPipeline(**tiny_sdxl())
    pipe.vae.decoder.conv_out.bias.data.fill_(float("nan"))
    pipe.save_pretrained(tmp_path)
    with pytest.raises(CellError, match="not finite"):
        benched("--checkpoint", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--cells", "many"), "allowed: small, g8, g50"),
        (("--family", "sd3"), "allowed: sdxl, flux"),
        (("--family", "sdxl", "--checkpoint", "demo-sdxl"), "give one of them"),
        (("--full-size", "--checkpoint", "demo-sdxl"), "give one of them"),
        (("--full-size",), "needs --family"),
        (("--full-size", "--family", "flux", "--device", "cpu"), "needs a GPU"),
        (("--checkpoint", "nowhere"), "neither a name"),
        (("--checkpoint", "demo-sdxl", "--size", "30"), "not a multiple"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        benched(*words)
    assert "\n" not in str(caught.value)
