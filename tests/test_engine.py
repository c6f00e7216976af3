"""The engine on tiny checkpoints: exactness, lanes, guidance windows, failures, memory, cancelling, previews."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import pytest
import stock
import torch
import transformers
from diffusers.models.autoencoders.vae import Decoder, Encoder
from making import DENOISERS, answers, dealt, engine, numerics, pictures, reasons, recipe, told
from tiny import SIZE, tiny_checkpoint

from pipelines import autoencoder, schedulers
from pipelines.checkpoint import Checkpoint
from pipelines.engine import Engine, fold
from pipelines.errors import CheckpointError, InputError
from pipelines.events import Encoding, Failed, Loading, Made, Preview, Shrunk, Stepped, Ticked
from pipelines.families.base import Images
from pipelines.recipe import Recipe

MODES = ("text-to-image", "img2img", "inpaint")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("tiny")
    return {kind: tiny_checkpoint(kind, folder / kind) for kind in ("sdxl", "flux", "inpaint")}


@pytest.fixture
def sdxl(checkpoints: dict[str, Checkpoint]) -> Checkpoint:
    return checkpoints["sdxl"]


@pytest.fixture
def flux(checkpoints: dict[str, Checkpoint]) -> Checkpoint:
    return checkpoints["flux"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("cell-")] == []


def varied(checkpoint: Checkpoint, count: int) -> list[Recipe]:
    """Cells that differ in seed, steps, guidance, prompt and mode."""
    return [
        recipe(
            checkpoint,
            MODES[at % 3],
            seed=at,
            steps=3 + at % 2,
            guidance=(4.0, 1.0, 7.0)[at // 2 % 3],
            prompt=("a face", "a portrait, side light")[at % 2],
        )
        for at in range(count)
    ]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether both hold equal bytes for every key they share, and share some."""
    return bool(a.keys() & b.keys()) and all(torch.equal(a[key], b[key]) for key in a.keys() & b.keys())


# one at a time: the stock pipeline, bit for bit


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("family", "scheduler", "values"),
    [
        ("sdxl", "euler", {"guidance": 1.0}),
        ("sdxl", "dpmpp-2m-sde-karras", {"negative": "plastic"}),
        ("sdxl", "heun", {"negative": "", "clip_skip": 1, "spacing": "trailing"}),
        ("flux", "euler", {}),
        ("flux", "unipc", {"negative": "plastic", "true_guidance": 3.0}),
    ],
)
def test_exact_is_the_stock_pipeline_bit_for_bit(
    checkpoints: dict[str, Checkpoint], family: str, scheduler: str, values: dict[str, Any], mode: str
) -> None:
    checkpoint = checkpoints[family]
    cell = recipe(checkpoint, mode, scheduler, **values)
    ours: list[torch.Tensor] = []
    theirs: list[torch.Tensor] = []
    with answers(DENOISERS, lambda answer, _: ours.append(answer)):
        (pixels,) = pictures(engine(checkpoint, lanes=1), [[cell]]).values()
    with answers(DENOISERS, lambda answer, _: theirs.append(answer)):
        expected = stock.picture(checkpoint.folder, cell, output="pt")[0].permute(1, 2, 0)
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert torch.equal(pixels, expected)


def test_an_inpainting_checkpoint_is_opened_and_equals_stock(checkpoints: dict[str, Checkpoint]) -> None:
    checkpoint = checkpoints["inpaint"]
    cell = recipe(checkpoint, "inpaint", strength=1.0)
    (pixels,) = pictures(engine(checkpoint), [[cell]]).values()
    assert torch.equal(pixels, stock.picture(checkpoint.folder, cell, output="pt")[0].permute(1, 2, 0))


# lanes


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_a_cell_gives_equal_bytes_alone_shuffled_resumed_and_in_company(
    checkpoints: dict[str, Checkpoint], family: str
) -> None:
    checkpoint = checkpoints[family]
    cells = varied(checkpoint, 8)
    lanes = dealt(cells, 3)
    work = engine(checkpoint, lanes=3)
    whole = pictures(work, lanes)
    assert same(whole, pictures(work, [list(reversed(lane)) for lane in lanes]))
    assert same(whole, pictures(engine(checkpoint, lanes=3), [[], lanes[1][1:], lanes[2][:1]]))
    for at, cell in enumerate(cells[:3]):
        assert same(whole, pictures(work, [[cell] if lane == at else [] for lane in range(3)]))
    larger = recipe(checkpoint, width=2 * SIZE, seed=77)  # another shape never shares a forward
    assert same(whole, pictures(work, [[larger, *lanes[0]], *lanes[1:]]))


def test_twelve_cells_in_four_lanes_take_about_a_quarter_of_the_forwards(flux: Checkpoint) -> None:
    cells = [recipe(flux, seed=at, guidance=float(at), prompt=("a face", "skin")[at % 2]) for at in range(12)]
    work = engine(flux, lanes=4)
    pictures(work, dealt(cells, 4))
    assert (work.tally.calls, work.tally.forwards, work.tally.slots) == (36, 9, 36)


def test_true_guidance_merges_with_cells_that_have_none(flux: Checkpoint) -> None:
    guided = recipe(flux, negative="plastic", true_guidance=3.0)
    plain = recipe(flux, seed=2, steps=6)
    work = engine(flux, lanes=2)
    made = {event.key: event for event in told(work, [[guided], [plain]]) if isinstance(event, Made)}
    assert work.tally.forwards == 6
    assert made[guided.key].evaluations == made[plain.key].evaluations == 6


def test_lanes_are_laid_together_modulo_their_number(sdxl: Checkpoint) -> None:
    a, b, c = (recipe(sdxl, seed=at) for at in range(3))
    assert fold([[a], [b], [c]], 2) == [[a, c], [b]]
    assert fold([[a]], 3) == [[a], [], []]


def test_no_graph_is_kept_and_a_hook_fires_once_a_merged_forward(sdxl: Checkpoint) -> None:
    seen: list[torch.Tensor] = []
    work = engine(sdxl, lanes=2)
    pictures(work, [[recipe(sdxl)], []])  # opens the parts
    work._parts["unet"].register_forward_hook(lambda *call: seen.append(call[2][0]))
    pictures(work, [[recipe(sdxl, seed=2)], [recipe(sdxl, seed=3)]])
    assert [answer.requires_grad for answer in seen] == [False] * 3


# guidance in a part of the steps


def test_a_guidance_window_is_stocks_own_and_leaves_out_the_unconditional_rows(sdxl: Checkpoint) -> None:
    cell = recipe(sdxl, steps=4, negative="plastic", guidance_interval=(0.0, 0.5))
    work = engine(sdxl)
    (pixels,) = pictures(work, [[cell]]).values()
    expected = stock.picture(sdxl.folder, cell, output="pt", callback=stock.window_until(2))[0].permute(1, 2, 0)
    assert torch.equal(pixels, expected)
    assert work.tally.rows == 2 * 2 + 2 * 1


def test_outside_its_window_true_guidance_makes_one_call_a_step(flux: Checkpoint) -> None:
    cell = recipe(flux, steps=4, negative="plastic", true_guidance=3.0, guidance_interval=(0.25, 0.75))
    work = engine(flux)
    (made,) = (event for event in told(work, [[cell]]) if isinstance(event, Made))
    assert work.tally.rows == made.evaluations == 4 + 2


def test_a_window_over_half_the_walked_steps_counts_the_steps_of_img2img(sdxl: Checkpoint) -> None:
    work = engine(sdxl)
    pictures(work, [[recipe(sdxl, "img2img", steps=8, strength=0.5, guidance_interval=(0.5, 1.0))]])
    assert work.tally.rows == 2 * 1 + 2 * 2


# what is computed once


def test_equal_words_are_encoded_once(sdxl: Checkpoint) -> None:
    cells = [recipe(sdxl, prompt=prompt, seed=at) for at, prompt in enumerate(("a face", "skin", "a face", "skin"))]
    work = engine(sdxl)
    assert [event for event in told(work, [cells]) if isinstance(event, Encoding)] == [Encoding(1, 2), Encoding(2, 2)]
    assert not [event for event in told(work, [cells]) if isinstance(event, Encoding)]


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_a_start_image_is_encoded_once_and_every_seed_draws_its_own_sample(
    checkpoints: dict[str, Checkpoint], family: str
) -> None:
    checkpoint = checkpoints[family]
    cells = [recipe(checkpoint, "img2img", seed=seed, strength=0.34) for seed in range(3)]
    runs: list[Any] = []
    with answers(Encoder, lambda answer, _: runs.append(answer)):
        made = pictures(engine(checkpoint, lanes=3), dealt(cells, 3))
    assert len(runs) == 1
    assert not torch.equal(made[cells[0].key], made[cells[1].key])


# failures


def test_a_cell_whose_image_cannot_be_read_fails_alone(sdxl: Checkpoint) -> None:
    cells = varied(sdxl, 5)
    whole = pictures(engine(sdxl, lanes=3), dealt(cells, 3))

    def images(cell: Recipe) -> Images:
        if cell.seed == 1:
            raise OSError("inputs/0000.png is damaged")
        return stock.images(cell)

    events = told(Engine(sdxl, numerics(sdxl, 3), images=images), dealt(cells, 3))
    assert reasons(events) == {cells[1].key: "OSError: inputs/0000.png is damaged"}
    assert all(torch.equal(whole[e.key], torch.from_numpy(e.pixels)) for e in events if isinstance(e, Made))


def test_a_row_that_breaks_the_merged_forward_fails_alone(flux: Checkpoint) -> None:
    cells = [recipe(flux, seed=at, guidance=float(at)) for at in range(4)]
    whole = pictures(engine(flux, lanes=4), dealt(cells, 4))

    def breaks(_: torch.Tensor, arguments: dict[str, Any]) -> None:
        if 2.0 in arguments["guidance"].tolist():
            raise ValueError("guidance 2 is cursed")

    with answers(DENOISERS, breaks):
        events = told(engine(flux, lanes=4), dealt(cells, 4))
    assert reasons(events) == {cells[2].key: "ValueError: guidance 2 is cursed"}
    assert all(torch.equal(whole[e.key], torch.from_numpy(e.pixels)) for e in events if isinstance(e, Made))


@pytest.mark.parametrize("step", [0, 1, 2])
def test_nan_in_one_row_of_a_merged_forward_fails_that_cell_only(sdxl: Checkpoint, step: int) -> None:
    cells = [recipe(sdxl, seed=at) for at in range(3)]
    whole = pictures(engine(sdxl, lanes=3), dealt(cells, 3))
    calls = 0

    def poison(answer: torch.Tensor, _: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        answer = answer.clone()
        if calls == step + 1:
            answer[3] = torch.nan  # the conditional row of lane 1
        return answer

    with answers(DENOISERS, poison):
        events = told(engine(sdxl, lanes=3), dealt(cells, 3))
    assert list(reasons(events)) == [cells[1].key]
    assert "the latents are not finite" in reasons(events)[cells[1].key]
    assert all(torch.equal(whole[e.key], torch.from_numpy(e.pixels)) for e in events if isinstance(e, Made))


def test_nan_in_decoding_fails_that_cell_only(sdxl: Checkpoint) -> None:
    cells = [recipe(sdxl, seed=at) for at in range(3)]
    decoded: list[int] = []

    def poison(answer: torch.Tensor, _: Any) -> torch.Tensor | None:
        decoded.append(1)
        return answer * torch.nan if len(decoded) == 2 else None

    with answers(Decoder, poison):
        events = told(engine(sdxl), [cells])
    assert list(reasons(events)) == [cells[1].key]
    assert "the decoded picture is not finite" in reasons(events)[cells[1].key]


def test_an_offloaded_network_comes_back_even_where_decoding_failed(sdxl: Checkpoint) -> None:
    work = engine(sdxl)
    pictures(work, [[recipe(sdxl)]])  # opens the parts
    work.numerics = work.numerics.because("as on a small card", offload="model")
    moves: list[str] = []
    work._parts["unet"].to = moves.append
    with answers(Decoder, lambda answer, _: answer * torch.nan):
        events = told(work, [[recipe(sdxl, seed=2), recipe(sdxl, seed=3)]])
    assert len(reasons(events)) == 2
    assert moves == ["cpu", "cpu"] * 2  # away and back; here both are the CPU


def test_nan_in_decoding_at_low_precision_is_repeated_in_float32(sdxl: Checkpoint) -> None:
    cells = [recipe(sdxl, seed=at) for at in range(2)]
    work = engine(sdxl, vae_dtype="bfloat16")
    with answers(Decoder, lambda answer, _: answer * torch.nan if answer.dtype == torch.bfloat16 else None):
        made = [event for event in told(work, [cells]) if isinstance(event, Made)]
    warning = "decoded in float32, as torch.bfloat16 gave values that are no numbers"
    assert [event.warnings for event in made] == [(warning,)] * 2
    assert work._parts["vae"].dtype == torch.bfloat16
    assert all(event.numerics.vae_dtype == "bfloat16" for event in made)


def test_a_dark_picture_is_legal(sdxl: Checkpoint) -> None:
    with answers(Decoder, lambda answer, _: torch.full_like(answer, -9.0)):
        (pixels,) = pictures(engine(sdxl), [[recipe(sdxl)]]).values()
    assert pixels.count_nonzero() == 0


# memory


def scarce(rows: int, after: int = 0) -> Any:
    """A device that runs out of memory above so many rows, from the call after the first `after` ones on."""
    calls = 0

    def change(answer: torch.Tensor, _: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > after and len(answer) > rows:
            raise torch.OutOfMemoryError("tried to allocate 9 GiB\nand a long report")

    return answers(DENOISERS, change)


@pytest.mark.parametrize(("rows", "lanes"), [(4, 2), (2, 1)])
def test_out_of_memory_halves_the_lanes_until_bytes_equal_a_run_that_began_so(
    sdxl: Checkpoint, rows: int, lanes: int
) -> None:
    cells = varied(sdxl, 6)
    with scarce(rows):
        events = told(engine(sdxl, lanes=4), dealt(cells, 4))
    made = {event.key: event for event in events if isinstance(event, Made)}
    shrunk = [event for event in events if isinstance(event, Shrunk)]
    assert [event.numerics.lanes for event in shrunk] == [2, 1][: 3 - lanes]
    assert shrunk[0].reason == "tried to allocate 9 GiB"
    assert {event.numerics.lanes for event in made.values()} == {lanes}
    started_so = pictures(engine(sdxl, lanes=lanes), dealt(cells, 4))
    assert all(torch.equal(started_so[key], torch.from_numpy(event.pixels)) for key, event in made.items())


def test_out_of_memory_in_the_middle_keeps_what_is_made_and_begins_the_live_cells_anew(flux: Checkpoint) -> None:
    cells = [recipe(flux, seed=at, steps=2 + 3 * (at % 2)) for at in range(4)]
    with scarce(1, after=3):
        made = {e.key: e for e in told(engine(flux, lanes=2), dealt(cells, 2)) if isinstance(e, Made)}
    assert [made[cell.key].numerics.lanes for cell in cells] == [2, 1, 1, 1]
    assert [made[cell.key].evaluations for cell in cells] == [2, 5, 2, 5]


def test_out_of_memory_while_words_are_encoded_takes_a_rung_too(sdxl: Checkpoint) -> None:
    encoded: list[int] = []

    def once(*_: Any) -> None:
        encoded.append(1)
        if len(encoded) == 1:
            raise torch.OutOfMemoryError

    with answers(transformers.CLIPTextModel, once):
        events = told(engine(sdxl, lanes=2), [[recipe(sdxl)]])
    assert [event.reason for event in events if isinstance(event, Shrunk)] == ["out of memory"]


def test_when_the_ladder_ends_one_line_says_what_is_needed(sdxl: Checkpoint) -> None:
    rungs: list[tuple[int, bool, str]] = []

    shrunk = (event.numerics for event in engine(sdxl, lanes=4).run([[recipe(sdxl)]]) if isinstance(event, Shrunk))
    with scarce(0), pytest.raises(InputError, match=r"too little memory even with one row.*ask for smaller pictures"):
        rungs.extend((now.lanes, now.tiled, now.offload) for now in shrunk)
    assert rungs[:4] == [(2, False, "none"), (1, False, "none"), (1, True, "none"), (1, True, "model")]
    assert rungs[4:] == [(1, True, "group")]


# cancelling


def test_closing_while_cells_are_live_is_quick_and_leaves_no_thread_and_no_tensor(sdxl: Checkpoint) -> None:
    work = engine(sdxl, lanes=4)
    events = work.run(dealt(varied(sdxl, 12), 4))
    while not isinstance(next(events), Ticked):
        pass
    live = [thread for thread in threading.enumerate() if thread.name.startswith("cell-")]
    assert len(live) == 4
    begun = time.monotonic()
    events.close()
    assert time.monotonic() - begun < 1
    assert not any(thread.is_alive() for thread in live)
    network = weakref.ref(work._parts["unet"])
    del work, events
    gc.collect()
    assert network() is None


def test_closing_while_loading_opens_nothing_more(sdxl: Checkpoint) -> None:
    work = engine(sdxl)
    events = work.run([[recipe(sdxl)]])
    assert next(events) == Loading("text_encoder", 0, sdxl.bytes())
    events.close()
    assert [name for name, part in work._parts.items() if isinstance(part, torch.nn.Module)] == []


def test_a_closed_engine_makes_the_same_picture_when_run_again(flux: Checkpoint) -> None:
    cells = varied(flux, 4)
    whole = pictures(engine(flux, lanes=2), dealt(cells, 2))
    work = engine(flux, lanes=2)
    events = work.run(dealt(cells, 2))
    while not isinstance(next(events), Ticked):
        pass
    events.close()
    again = pictures(work, dealt(cells, 2))
    assert again.keys() == whole.keys()
    assert same(whole, again)


# what is told


def test_loading_tells_bytes_up_to_the_whole_checkpoint(sdxl: Checkpoint) -> None:
    loading = [event for event in told(engine(sdxl), [[recipe(sdxl)]]) if isinstance(event, Loading)]
    assert [event.component for event in loading][-3:] == ["unet", "vae", "scheduler"]
    assert [event.bytes for event in loading] == sorted(event.bytes for event in loading)
    assert 0 < loading[-1].bytes <= loading[-1].of_bytes == sdxl.bytes()


def test_steps_and_the_beginning_are_told_for_each_picture(sdxl: Checkpoint) -> None:
    cell = recipe(sdxl, "img2img", "heun", steps=4, strength=0.5)
    events = told(engine(sdxl), [[cell]])
    assert [(e.step, e.steps) for e in events if isinstance(e, Stepped)] == [(1, 3), (2, 3), (3, 3)]
    (made,) = (event for event in events if isinstance(event, Made))
    assert made.evaluations == schedulers.evaluations(cell.scheduler, 2) == 3
    assert (made.first_timestep, made.pixels.shape, made.lane) == (251.0, (SIZE, SIZE, 3), 0)
    assert 0 < made.first_sigma < 14.6
    assert made.seconds > 0


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_previews_are_one_pixel_a_latent_and_change_no_byte(checkpoints: dict[str, Checkpoint], family: str) -> None:
    checkpoint = checkpoints[family]
    cell = recipe(checkpoint, width=2 * SIZE)
    events = told(engine(checkpoint, previews=True), [[cell]])
    shown = [event for event in events if isinstance(event, Preview)]
    assert [event.step for event in shown] == [1, 2, 3]
    assert {(event.pixels.shape, str(event.pixels.dtype)) for event in shown} == {((SIZE // 2, SIZE, 3), "uint8")}
    (made,) = (event for event in events if isinstance(event, Made))
    assert same({cell.key: torch.from_numpy(made.pixels)}, pictures(engine(checkpoint), [[cell]]))


def test_a_preview_shows_about_the_right_colours(demo: Path) -> None:
    vae = diffusers.AutoencoderKL.from_pretrained(demo / "sidelight-demo-sdxl" / "vae", local_files_only=True)
    colours = autoencoder.preview_colours(vae)
    assert torch.allclose(colours, autoencoder.preview_colours(vae), atol=1e-5), "another call gives other colours"
    for wanted in ((0.78, 0.57, 0.46), (0.25, 0.17, 0.13), (0.5, 0.5, 0.5), (0.9, 0.9, 0.9)):
        flat = torch.tensor(wanted).view(1, 3, 1, 1).expand(1, 3, 64, 64)
        with torch.no_grad():
            latents = vae.encode(flat * 2 - 1).latent_dist.mode() * vae.config.scaling_factor
        shown = torch.from_numpy(autoencoder.preview(vae, colours, latents)).float().mean((0, 1)) / 255
        assert (shown - torch.tensor(wanted)).abs().max() < 0.2


# what is never opened


def test_a_component_of_a_foreign_library_is_never_run(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint("sdxl", tmp_path)
    index = tmp_path / "model_index.json"
    index.write_text(index.read_text().replace('"diffusers",\n    "AutoencoderKL"', '"evil",\n    "AutoencoderKL"'))
    with pytest.raises(CheckpointError, match="vae asks for code of evil, which is never run"):
        list(engine(checkpoint).run([[recipe(checkpoint)]]))


# on a GPU


@pytest.mark.gpu
@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_merged_on_cuda_equals_one_at_a_time(checkpoints: dict[str, Checkpoint], family: str) -> None:
    cells = varied(checkpoints[family], 6)
    asked = {"device": "cuda", "dtype": "float32"}
    merged = pictures(engine(checkpoints[family], lanes=4, **asked), dealt(cells, 4))
    alone = pictures(engine(checkpoints[family], lanes=1, **asked), [cells])
    assert max(float((merged[key] - alone[key]).abs().max()) for key in merged) < 2e-3  # its convolutions round to TF32


@pytest.mark.gpu
def test_a_resumed_run_on_cuda_gives_equal_bytes_in_bfloat16(sdxl: Checkpoint) -> None:
    lanes = dealt(varied(sdxl, 8), 4)
    whole = pictures(engine(sdxl, lanes=4, device="cuda"), lanes)
    assert same(whole, pictures(engine(sdxl, lanes=4, device="cuda"), [[], *(lane[1:] for lane in lanes[1:])]))


@pytest.mark.gpu
def test_a_device_that_is_really_full_takes_the_ladder(sdxl: Checkpoint) -> None:
    cells = [recipe(sdxl, seed=at, width=1024, height=1024) for at in range(8)]
    used = {}
    for lanes in (1, 8):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        pictures(engine(sdxl, lanes=lanes, device="cuda"), dealt(cells, 8))
        used[lanes] = torch.cuda.max_memory_reserved()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((used[1] + used[8]) / 2 / total)
    try:
        events = told(engine(sdxl, lanes=8, device="cuda"), dealt(cells, 8))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert [event for event in events if isinstance(event, Shrunk)]
    assert not [event for event in events if isinstance(event, Failed)]
