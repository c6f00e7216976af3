"""LoRAs in the engine on tiny checkpoints: every form against weights changed by hand, mixed sweeps against stock."""

import gc
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import stock
import torch
from lora_files import FLUX2, MLP, RANK, change, laid_in, lora, write
from making import DENOISERS, answers, dealt, numerics, pictures, reasons, recipe, told
from safetensors.torch import load_file, save_file
from single_files import write_gguf
from tiny import tiny_checkpoint, tiny_flux, tiny_flux2, tiny_sdxl
from torchao.quantization import Int8WeightOnlyConfig

from pipelines.checkpoint import Checkpoint
from pipelines.engine import Engine
from pipelines.errors import CheckpointError, InputError
from pipelines.events import Encoding, Made, Shrunk
from pipelines.loras import look_lora
from pipelines.recipe import Lora, Recipe
from pipelines.weights import LoadedParts

pytestmark = pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")  # of the stock pipelines
BOUND = 2e-6  # of pixels in 0..1: the same sums in another order, float32


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("tiny")
    return {kind: tiny_checkpoint(kind, folder / kind) for kind in ("sdxl", "flux", "flux2")}


PARTS = {"sdxl": tiny_sdxl(), "flux": tiny_flux(), "flux2": tiny_flux2()}
WHOLE = {"sdxl": ("unet", "text_encoder", "text_encoder_2"), "flux": ("transformer", "text_encoder")}


class Files:
    """LoRA files by hash, as a run finds them."""

    def __init__(self, *paths: Path) -> None:
        self.paths = {lora(path, "sdxl").file: path for path in paths}

    def __call__(self, wanted: Lora) -> Path:
        if wanted.file not in self.paths:
            raise CheckpointError(f"lora {wanted.name} is on this disk no more")
        return self.paths[wanted.file]


def engine(checkpoint: Checkpoint, files: Callable[[Lora], Path], lanes: int = 1, **asked: Any) -> Engine:
    return Engine(checkpoint, numerics(checkpoint, lanes, **asked), images=stock.images, lora_file=files)


def by_hand(checkpoint: Checkpoint, folder: Path, changes: Any, scale: float) -> torch.Tensor:
    """The stock pipeline's picture of a checkpoint whose weights were changed by hand."""
    shutil.copytree(checkpoint.folder, folder)
    laid_in(folder, changes, scale)
    return stock.picture(folder, recipe(checkpoint), output="pt")[0].permute(1, 2, 0)


# every form


FORMS = [
    ("sdxl", "peft", WHOLE["sdxl"], (), 1.0),
    ("sdxl", "peft", WHOLE["sdxl"], (), None),
    ("sdxl", "kohya", WHOLE["sdxl"], (), 1.0),
    ("sdxl", "kohya-diffusers", WHOLE["sdxl"], (), 3.0),
    ("sdxl", "old", ("unet",), (), None),
    ("flux", "peft", WHOLE["flux"], MLP, 1.0),
    ("flux", "peft-down", ("transformer",), MLP, 1.0),
    ("flux", "kohya", WHOLE["flux"], MLP, 1.0),
    ("flux", "mixture", WHOLE["flux"], (), 1.0),
    ("flux", "comfy", WHOLE["flux"], MLP, 1.0),
    ("flux", "comfy-peft", ("transformer",), MLP, None),
    ("flux", "fal", ("transformer",), MLP, None),
    ("flux", "xlabs", ("transformer",), (), None),
    ("flux2", "peft", ("transformer",), FLUX2, None),
    ("flux2", "comfy-peft", ("transformer",), FLUX2, None),
]


@pytest.mark.parametrize(("family", "form", "components", "layers", "alpha"), FORMS)
def test_a_lora_of_any_form_adds_weight_times_alpha_by_rank_to_the_weights(
    checkpoints: dict[str, Checkpoint],
    family: str,
    form: str,
    components: tuple[str, ...],
    layers: tuple[str, ...],
    alpha: float | None,
    tmp_path: Path,
) -> None:
    checkpoint = checkpoints[family]
    changes = change(PARTS[family], *components, layers=layers)
    path = write(tmp_path / "film.safetensors", form, changes, alpha=alpha)
    wanted, plain = recipe(checkpoint, loras=[lora(path, checkpoint.family, 0.7)]), recipe(checkpoint)
    events = told(engine(checkpoint, Files(path)), [[wanted, plain]])
    made = {event.key: event for event in events if isinstance(event, Made)}
    assert reasons(events) == {}
    expected = by_hand(checkpoint, tmp_path / "changed", changes, 0.7 * (alpha / 2 if alpha else 1))
    assert (torch.from_numpy(made[wanted.key].pixels) - expected).abs().max() < BOUND
    assert (torch.from_numpy(made[plain.key].pixels) - expected).abs().max() > 1e-2
    assert made[wanted.key].warnings == ()
    assert look_lora(path) == checkpoint.family


@pytest.mark.parametrize(("family", "form"), [("sdxl", "kohya"), ("flux", "peft"), ("flux", "comfy")])
def test_layers_may_differ_in_alpha(checkpoints: dict[str, Checkpoint], family: str, form: str, tmp_path: Path) -> None:
    checkpoint = checkpoints[family]
    changes = change(PARTS[family], *WHOLE[family], layers=MLP)
    if form == "comfy":  # query, key and value are one layer there
        changes = {key: pair for key, pair in changes.items() if key[1] in MLP or key[0] == "text_encoder"}
    alphas = [1.0 + n % 3 for n in range(len(changes))]
    path = write(tmp_path / "resized.safetensors", form, changes, alphas=alphas)
    cell = recipe(checkpoint, loras=[lora(path, checkpoint.family)])
    (pixels,) = pictures(engine(checkpoint, Files(path)), [[cell]]).values()
    scaled = {key: (down * alpha / RANK, up) for (key, (down, up)), alpha in zip(changes.items(), alphas, strict=True)}
    assert (pixels - by_hand(checkpoint, tmp_path / "changed", scaled, 1.0)).abs().max() < BOUND


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_a_file_that_tells_its_scale_in_its_remarks_has_it(
    checkpoints: dict[str, Checkpoint], family: str, tmp_path: Path
) -> None:
    checkpoint = checkpoints[family]
    changes = change(PARTS[family], *WHOLE[family])
    tensors = load_file(write(tmp_path / "plain.safetensors", "peft", changes))
    said = {f"{part}.{key}": value for part in WHOLE[family] for key, value in REMARKS.items()}
    path = tmp_path / "film.safetensors"
    save_file(tensors, path, metadata={"format": "pt", "lora_adapter_metadata": json.dumps(said)})
    cell = recipe(checkpoint, loras=[lora(path, checkpoint.family)])
    (pixels,) = pictures(engine(checkpoint, Files(path)), [[cell]]).values()
    assert (pixels - by_hand(checkpoint, tmp_path / "changed", changes, 3 / RANK)).abs().max() < BOUND


REMARKS = {
    "r": RANK,
    "lora_alpha": 3,
    "megatron_config": {"a": 1},
    "megatron_core": "antigravity",
    "target_modules": ".*",
}
"""As diffusers writes them, with what would have peft import a module, or wrap every layer."""


# many LoRAs in one sweep


@pytest.fixture(scope="module")
def pair(checkpoints: dict[str, Checkpoint], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Two files of each family in two forms; the first changes the words too."""
    folder = tmp_path_factory.mktemp("loras")
    return {
        family: [
            write(folder / f"{family}-film.safetensors", "kohya", change(PARTS[family], *WHOLE[family]), alpha=1.0),
            write(folder / f"{family}-skin.safetensors", "peft", change(PARTS[family], WHOLE[family][0], seed=1)),
        ]
        for family in ("sdxl", "flux")
    }


def mixed(checkpoint: Checkpoint, paths: list[Path]) -> list[Recipe]:
    """Five states of two LoRAs, two prompts, two step counts, and img2img."""
    film, skin = ([lora(path, checkpoint.family, weight) for weight in (0.5, 1.0, -0.5)] for path in paths)
    both = sorted([film[0], skin[0]], key=lambda one: one.file)
    cells = [
        recipe(checkpoint, loras=state, prompt=("a face", "skin")[at % 2], seed=at, steps=2 + at % 2)
        for at, state in enumerate(([], [film[0]], [film[1]], both, [skin[2]], [], both))
    ]
    return [*cells, recipe(checkpoint, "img2img", loras=both, seed=9)]


def by_stock(checkpoint: Checkpoint, cell: Recipe, paths: list[Path]) -> torch.Tensor:
    """load_lora_weights and set_adapters in a pipeline of its own."""
    files = [Files(*paths)(one) for one in cell.loras]
    return stock.picture(checkpoint.folder, cell, output="pt", files=files)[0].permute(1, 2, 0)


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_a_mixed_sweep_in_one_lane_is_stock_bit_for_bit(
    checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]], family: str
) -> None:
    checkpoint, paths = checkpoints[family], pair[family]
    cells = mixed(checkpoint, paths)
    made = pictures(engine(checkpoint, Files(*paths)), [cells])
    wrong = [cell.loras for cell in cells if not torch.equal(made[cell.key], by_stock(checkpoint, cell, paths))]
    assert wrong == []
    assert len({tuple(pixels.flatten().tolist()) for pixels in made.values()}) == len(cells)


@pytest.mark.parametrize(("kind", "family"), [("inpaint", "sdxl"), ("fill", "flux"), ("flux2", "flux2")])
def test_inpainting_with_a_lora_is_stock_bit_for_bit(kind: str, family: str, tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(kind, tmp_path / kind)
    component, layers = ("unet", ()) if family == "sdxl" else ("transformer", FLUX2 if family == "flux2" else ())
    path = write(tmp_path / "film.safetensors", "peft", change(PARTS[family], component, layers=layers))
    cell = recipe(checkpoint, "inpaint", strength=1.0, loras=[lora(path, checkpoint.family, 0.7)])
    (pixels,) = pictures(engine(checkpoint, Files(path)), [[cell]]).values()
    assert torch.equal(pixels, by_stock(checkpoint, cell, [path]))


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_a_mixed_sweep_in_lanes_equals_one_lane_and_gives_equal_bytes_in_any_company(
    checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]], family: str
) -> None:
    checkpoint, paths = checkpoints[family], pair[family]
    cells = mixed(checkpoint, paths)
    lanes = dealt(cells, 3)
    whole = pictures(engine(checkpoint, Files(*paths), 3), lanes)
    stocks = pictures(engine(checkpoint, Files(*paths)), [cells])  # as the test before this one shows
    assert max(float((whole[key] - pixels).abs().max()) for key, pixels in stocks.items()) < 1e-5
    work = engine(checkpoint, Files(*paths), 3)
    for other in (
        [list(reversed(lane)) for lane in lanes],  # shuffled
        [[], lanes[1][1:], lanes[2][2:]],  # resumed
        [[cells[3]], [], []],  # alone, after others were loaded
    ):
        assert all(torch.equal(whole[key], pixels) for key, pixels in pictures(work, other).items())


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_cells_without_lora_have_the_bytes_of_a_run_without_any(
    checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]], family: str
) -> None:
    checkpoint, paths = checkpoints[family], pair[family]
    cells = mixed(checkpoint, paths)
    plain = [cell for cell in cells if not cell.loras]
    never = pictures(engine(checkpoint, Files(), 3), [[plain[0]], [plain[1]], []])
    among = pictures(engine(checkpoint, Files(*paths), 3), [[plain[0], *cells[2:4]], [plain[1]], cells[6:]])
    assert all(torch.equal(pixels, among[key]) for key, pixels in never.items())


def test_cells_of_one_state_share_forwards_and_others_never(
    checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]]
) -> None:
    flux, paths = checkpoints["flux"], pair["flux"]
    film = [lora(paths[0], "flux", weight) for weight in (0.5, 1.0)]
    cells = [recipe(flux, loras=[film[at % 2]], seed=at) for at in range(4)]
    work = engine(flux, Files(*paths), 4)
    pictures(work, dealt(cells, 4))
    assert (work.tally.calls, work.tally.forwards) == (12, 6)


def test_words_are_encoded_once_for_every_state_that_changes_them(
    checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]]
) -> None:
    sdxl, (film, skin) = checkpoints["sdxl"], pair["sdxl"]
    states = [[], [lora(film, "sdxl", 0.5)], [lora(film, "sdxl", 0.5), lora(skin, "sdxl")], [lora(skin, "sdxl")]]
    cells = [recipe(sdxl, loras=state, seed=seed) for state in states for seed in (1, 2)]
    events = told(engine(sdxl, Files(film, skin)), [cells])
    assert [event for event in events if isinstance(event, Encoding)] == [Encoding(1, 2), Encoding(2, 2)]


def test_weight_zero_is_no_lora_bit_for_bit(checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]]) -> None:
    flux, (film, _) = checkpoints["flux"], pair["flux"]
    cells = [recipe(flux), recipe(flux, loras=[lora(film, "flux", 0.0)])]
    work = engine(flux, Files(), 2)
    made = pictures(work, [[cells[0]], [cells[1]]])
    assert torch.equal(*made.values())
    assert work.tally.forwards == 3


def test_the_order_in_a_recipe_changes_no_byte(checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]]) -> None:
    sdxl, paths = checkpoints["sdxl"], pair["sdxl"]
    both = [lora(path, "sdxl", 0.5) for path in paths]
    cells = [recipe(sdxl, loras=both), recipe(sdxl, loras=both[::-1])]
    assert torch.equal(*pictures(engine(sdxl, Files(*paths)), [cells]).values())


# weights opened anew


def test_loras_are_loaded_again_when_memory_runs_out(
    checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]]
) -> None:
    sdxl, paths = checkpoints["sdxl"], pair["sdxl"]
    lanes = dealt(mixed(sdxl, paths), 4)
    expected = pictures(engine(sdxl, Files(*paths), 2), lanes)

    def scarce(answer: torch.Tensor, _: Any) -> None:
        if len(answer) > 4:
            raise torch.OutOfMemoryError("9 GiB")

    with answers(DENOISERS, scarce):
        events = told(engine(sdxl, Files(*paths), 4), lanes)
    made = {event.key: torch.from_numpy(event.pixels) for event in events if isinstance(event, Made)}
    assert [event.numerics.lanes for event in events if isinstance(event, Shrunk)] == [2]
    assert made.keys() == expected.keys()
    assert all(torch.equal(pixels, expected[key]) for key, pixels in made.items())


def test_text_encoders_that_were_put_away_get_their_loras_again(
    checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]]
) -> None:
    flux, paths = checkpoints["flux"], pair["flux"]
    first, later = (recipe(flux, prompt=prompt, loras=[lora(paths[0], "flux")]) for prompt in ("a face", "skin"))
    work = engine(flux, Files(*paths))
    pictures(work, [[first]])
    work._parts.put_away(["text_encoder", "text_encoder_2"])
    assert torch.equal(pictures(work, [[later]])[later.key], by_stock(flux, later, paths))


def test_nothing_is_held_after_the_engine(checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]]) -> None:
    flux, paths = checkpoints["flux"], pair["flux"]
    work = engine(flux, Files(*paths))
    pictures(work, [mixed(flux, paths)[:3]])
    held = weakref.ref(work._parts["transformer"])
    del work
    gc.collect()
    assert held() is None


# what cannot be


def fails(checkpoint: Checkpoint, path: Path) -> str:
    """Why a LoRA's cell fails, while those without it and with a good one before and after it are as they should be."""
    good = write(
        path.parent / "good.safetensors", "peft", change(PARTS[checkpoint.family], WHOLE[checkpoint.family][0])
    )
    before, wanted, after, plain = (
        recipe(checkpoint, seed=seed, loras=[lora(file, checkpoint.family)] if file else [])
        for seed, file in enumerate((good, path, good, None))
    )
    events = told(engine(checkpoint, Files(good, path), 2), [[before, wanted, after], [plain]])
    expected = pictures(engine(checkpoint, Files(good), 2), [[before, after], [plain]])
    made = {event.key: torch.from_numpy(event.pixels) for event in events if isinstance(event, Made)}
    assert all(torch.equal(pixels, made[key]) for key, pixels in expected.items())
    assert reasons(events).keys() == {wanted.key}
    return reasons(events)[wanted.key]


def test_a_lora_that_is_gone_fails_its_cells_alone(checkpoints: dict[str, Checkpoint], tmp_path: Path) -> None:
    path = write(tmp_path / "film.safetensors", "peft", change(PARTS["flux"], "transformer"))
    cells = [recipe(checkpoints["flux"]), recipe(checkpoints["flux"], loras=[lora(path, "flux")])]
    events = told(engine(checkpoints["flux"], Files(), 2), dealt(cells, 2))
    assert reasons(events) == {cells[1].key: "lora film is on this disk no more"}


def test_a_lora_that_fits_no_layer_fails_its_cells_alone(checkpoints: dict[str, Checkpoint], tmp_path: Path) -> None:
    path = write(tmp_path / "film.safetensors", "peft", change(PARTS["flux"], "transformer"))
    other = tmp_path / "other.safetensors"
    save_file({name.replace("blocks.0", "blocks.7"): tensor for name, tensor in load_file(path).items()}, other)
    assert "lora other fits no layer of this checkpoint; leave it out" in fails(checkpoints["flux"], other)


def test_another_familys_lora_loads_nothing_and_is_refused(checkpoints: dict[str, Checkpoint], tmp_path: Path) -> None:
    path = write(tmp_path / "film.safetensors", "peft", change(PARTS["flux"], "transformer"))
    wrong = recipe(checkpoints["sdxl"], loras=[lora(path, "sdxl")])
    events = told(engine(checkpoints["sdxl"], Files(path)), [[wrong]])
    assert "lora film" in reasons(events)[wrong.key]


@pytest.mark.parametrize("component", ["unet", "text_encoder"])
def test_matrices_of_another_size_fail_their_cells_alone(
    checkpoints: dict[str, Checkpoint], component: str, tmp_path: Path
) -> None:
    changes = change(PARTS["sdxl"], *WHOLE["sdxl"])
    layer = next(key for key in changes if key[0] == component)
    changes[layer] = (changes[layer][0], torch.ones(99, RANK))
    path = write(tmp_path / "film.safetensors", "peft", changes)
    assert "lora film cannot be loaded (" in fails(checkpoints["sdxl"], path)


def test_remarks_that_are_no_layer_names_are_not_given_to_peft(
    checkpoints: dict[str, Checkpoint], tmp_path: Path
) -> None:
    path = write(tmp_path / "film.safetensors", "peft", change(PARTS["flux"], "transformer"))
    said = {"transformer.r": RANK, "transformer.rank_pattern": {"(a+)+$": 3}}
    save_file(load_file(path), path, metadata={"lora_adapter_metadata": json.dumps(said)})
    assert "lora film cannot be loaded ('(a+)+$' in its remarks names no layer)" in fails(checkpoints["flux"], path)


def test_a_file_with_a_bias_for_one_layer_only_is_refused(checkpoints: dict[str, Checkpoint], tmp_path: Path) -> None:
    path = write(tmp_path / "film.safetensors", "peft", change(PARTS["sdxl"], "unet"))
    tensors = load_file(path)
    up = next(name for name in tensors if "lora_B" in name)
    save_file(tensors | {up.replace("weight", "bias"): torch.ones(len(tensors[up]))}, path)
    assert "lora film lacks weights for layers that it names" in fails(checkpoints["sdxl"], path)


def test_a_file_that_tells_two_scales_is_refused(checkpoints: dict[str, Checkpoint], tmp_path: Path) -> None:
    path = write(tmp_path / "film.safetensors", "peft", change(PARTS["flux"], "transformer"), alpha=1.0)
    save_file(load_file(path), path, metadata={"lora_adapter_metadata": json.dumps({"transformer.lora_alpha": 3})})
    assert "it tells its scale twice" in fails(checkpoints["flux"], path)


def test_a_file_that_was_damaged_since_it_was_looked_at_fails_its_cells_alone(
    checkpoints: dict[str, Checkpoint], tmp_path: Path
) -> None:
    path = write(tmp_path / "film.safetensors", "kohya", change(PARTS["flux"], *WHOLE["flux"]), alpha=1.0)
    wanted, plain = recipe(checkpoints["flux"], loras=[lora(path, "flux")]), recipe(checkpoints["flux"])
    files = Files(path)
    path.write_bytes(path.read_bytes()[:-8])
    assert "lora" in reasons(told(engine(checkpoints["flux"], files), [[wanted, plain]]))[wanted.key]


def test_tensors_that_find_no_place_are_counted_in_a_warning(
    checkpoints: dict[str, Checkpoint], tmp_path: Path
) -> None:
    path = write(tmp_path / "film.safetensors", "kohya", change(PARTS["flux"], "transformer"))
    tensors = load_file(path)
    t5 = {
        name.replace("unet_double_blocks_0_img_attn_proj", "te2_encoder_block_0"): tensor.clone()
        for name, tensor in tensors.items()
    }
    save_file(tensors | t5, path)
    cell = recipe(checkpoints["flux"], loras=[lora(path, "flux")])
    (made,) = (e for e in told(engine(checkpoints["flux"], Files(path)), [[cell]]) if isinstance(e, Made))
    assert made.warnings == ("lora film: 2 of its tensors fit nothing here and were left out",)


def test_loras_and_compiled_layers_are_refused_together(
    checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]]
) -> None:
    cell = recipe(checkpoints["flux"], loras=[lora(pair["flux"][0], "flux")])
    with pytest.raises(InputError, match="give compile off"):
        list(engine(checkpoints["flux"], Files(*pair["flux"]), compile="regional").run([[cell]]))


# weights that move, or are not plain


@pytest.mark.parametrize("offload", ["model", "group"])
def test_offloaded_layers_take_loras(
    checkpoints: dict[str, Checkpoint], pair: dict[str, list[Path]], offload: str
) -> None:
    sdxl, paths = checkpoints["sdxl"], pair["sdxl"]
    lanes = dealt(mixed(sdxl, paths)[:4], 2)
    work = engine(sdxl, Files(*paths), 2)
    whole = pictures(work, lanes)
    offloaded = Engine(sdxl, work.numerics.because("asked for", offload=offload), lora_file=Files(*paths))
    made = pictures(offloaded, lanes)
    assert made.keys() == whole.keys()
    assert all(torch.equal(whole[key], pixels) for key, pixels in made.items())


class Int8(LoadedParts):
    """The denoiser's matrices as torchao's 8-bit integers."""

    def read(self, cls: Any, place: Any, dtype: Any) -> Any:
        if cls is not diffusers.FluxTransformer2DModel:
            return super().read(cls, place, dtype)
        quantised = diffusers.TorchAoConfig(Int8WeightOnlyConfig(version=2))
        return cls.from_pretrained(place.folder, dtype=dtype, quantization_config=quantised)


class Gguf(LoadedParts):
    """The denoiser's matrices as 8-bit blocks of a GGUF file."""

    def read(self, cls: Any, place: Any, dtype: Any) -> Any:
        if cls is not diffusers.FluxTransformer2DModel:
            return super().read(cls, place, dtype)
        (weights,) = Path(place.folder).glob("*.safetensors")
        write_gguf(weights.with_suffix(".gguf"), load_file(weights))
        quantised = diffusers.GGUFQuantizationConfig(compute_dtype=dtype)
        return cls.from_single_file(
            str(weights.with_suffix(".gguf")),
            config=str(place.folder),
            quantization_config=quantised,
            dtype=dtype,
            local_files_only=True,
        )


@pytest.mark.parametrize("parts", [Int8, Gguf])
def test_quantised_weights_take_loras_and_keep_their_own_bytes_without(
    pair: dict[str, list[Path]], parts: Any, tmp_path: Path
) -> None:
    flux, paths = tiny_checkpoint("flux", tmp_path / "flux"), pair["flux"]
    plain, wanted = recipe(flux), recipe(flux, loras=[lora(paths[0], "flux")])
    never = pictures(Engine(flux, numerics(flux, 1), open_parts=parts), [[plain]])
    work = Engine(flux, numerics(flux, 1), lora_file=Files(*paths), open_parts=parts)
    made = pictures(work, [[wanted, plain]])
    assert torch.equal(never[plain.key], made[plain.key])
    full = pictures(engine(flux, Files(*paths)), [[wanted, plain]])
    assert 0 < (made[plain.key] - full[plain.key]).abs().max() < 0.01
    assert (made[wanted.key] - full[wanted.key]).abs().max() < 0.01
    assert (made[wanted.key] - made[plain.key]).abs().max() > 0.03
