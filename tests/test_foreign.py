"""What each tool's text says comes out as the right fields, and everything else is listed with a reason."""

import json
import random
from pathlib import Path
from typing import Any

import foreign_samples as samples
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines import foreign, schedulers
from pipelines.checkpoint import find
from pipelines.draft import settle
from pipelines.errors import InputError
from pipelines.foreign import Foreign
from pipelines.hashes import FileHashes
from pipelines.metadata import a1111
from pipelines.recipe import Recipe, SchedulerChoice, Weights
from sweeps.sweep import expand, from_flags
from tests.pictures import NO_IMAGE

LIST = """\
own-base   sdxl file:sd_xl_base_1.0.safetensors
own-jugger sdxl file:juggernautXL_v9.safetensors
own-flux   flux file:flux1-dev.safetensors
own-film   sdxl file:film.safetensors kind=lora
"""
SEED = 2**64 - 1


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own list, beside a checkpoint file of a few bytes."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "sidelight"
    folder.mkdir()
    (folder / "models.txt").write_text(LIST)
    (folder / "sd_xl_base_1.0.safetensors").write_bytes(b"not opened here")
    return folder


def picture(folder: Path, **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    path = folder / "a.png"
    Image.new("RGB", (16, 8)).save(path, pnginfo=info)
    return path


def read(folder: Path, **texts: Any) -> Foreign:
    plain = {name: text if isinstance(text, str) else json.dumps(text) for name, text in texts.items()}
    return foreign.read(picture(folder, **plain))


def values(found: Foreign) -> dict[str, Any]:
    return found.values.model_dump(exclude_none=True)


def unmapped(found: Foreign) -> dict[str, str]:
    return {each.name: each.value for each in found.unmapped}


# name of the sample: tool, family, row, values
TEXTS: dict[str, tuple[str, str | None, str, dict[str, Any]]] = {
    "A1111_OLD": ("A1111", "sdxl", "own-base", {
        "prompt": "photo of a woman by a window, freckles,  (soft light:1.2)", "negative": "plastic skin, blur",
        "seed": 2179987202, "width": 832, "height": 1216, "steps": 30, "guidance": 6.5, "scheduler": "dpmpp-2m-karras",
        "loras": "film_grain_v2:0.8",
    }),
    "A1111_NEW": ("A1111", "sdxl", "own-jugger", {
        "prompt": "portrait, side light", "seed": SEED, "width": 896, "height": 1152, "steps": 25, "guidance": 5.0,
        "scheduler": "dpmpp-2m-sde-exponential",
    }),
    "A1111_HIRES": ("A1111", "sdxl", None, {
        "prompt": "cabin, golden hour", "negative": "cartoon", "seed": 777, "width": 832, "height": 1216, "steps": 25,
        "guidance": 6.0, "scheduler": "euler-ancestral", "spacing": "linspace",
    }),
    "A1111_REFINER": ("A1111", "sdxl", "own-base", {
        "prompt": "portrait", "seed": 5, "width": 1024, "height": 1024, "steps": 40, "guidance": 7.0,
        "scheduler": "euler", "spacing": "linspace",
    }),
    "A1111_HASHES": ("A1111", "sdxl", "", {
        "prompt": "portrait , 85mm\nwith two lines", "negative": "easynegative,\nblur", "seed": 1, "width": 1024,
        "height": 1024, "steps": 20, "guidance": 7.0, "scheduler": "unipc", "spacing": "leading",
        "loras": "Flux Nurse outfit 512X768:0.5+- skin - detail_V2.0:-0.4",
    }),
    "A1111_IMG2IMG": ("A1111", "sdxl", "", {
        "prompt": "portrait", "negative": "blur", "seed": 9, "width": 1024, "height": 1024, "steps": 20,
        "guidance": 7.0, "scheduler": "ddim", "spacing": "leading",
    }),
    "A1111_LIKE_VALUES": ("A1111", "sdxl", "", {
        "prompt": "a poster that reads Steps: 9, Sampler: none, Seed: 1\nand more text", "seed": 3, "width": 512,
        "height": 512, "steps": 20, "guidance": 7.0, "scheduler": "euler-karras", "spacing": "linspace",
    }),
    "A1111_BROKEN_QUOTES": ("A1111", "sdxl", "", {
        "prompt": "portrait", "seed": 3, "width": 1024, "height": 1024, "steps": 20, "guidance": 7.0,
        "scheduler": "euler", "spacing": "linspace",
    }),
    "FORGE_FLUX": ("Forge", "flux", None, {
        "prompt": 'FredStyle "positive."', "seed": 3045329758, "width": 832, "height": 1216, "steps": 20,
        "guidance": 3.5, "scheduler": "euler", "loras": "Fred-FLUX-Share:0.95+Ars_Style_-_Flux:0.6",
    }),
    "FORGE_CLIP_SKIP": ("Forge", "sdxl", "", {
        "prompt": "portrait", "seed": 3, "width": 1024, "height": 1024, "steps": 20, "guidance": 7.0,
        "scheduler": "euler-ancestral", "spacing": "linspace", "clip_skip": 1,
    }),
    "CIVITAI_FLUX": ("Civitai", "flux", None, {
        "prompt": "old fisherman mending nets", "seed": 1234567890, "width": 832, "height": 1216, "steps": 20,
        "guidance": 3.5, "loras": "Film Look:0.85",
    }),
    "CIVITAI_ONE_LINE": ("Civitai", "sdxl", "", {
        "prompt": "Negative space, fog, a vintage car, in the style of a movie", "negative": "", "seed": 1760020955,
        "width": 832, "height": 1216, "steps": 23, "guidance": 4.0, "scheduler": "euler-ancestral",
        "spacing": "linspace",
    }),
    "SDNEXT": ("SD.Next", "sdxl", "", {
        "prompt": "wl_lemons, old man", "negative": "", "seed": 3873706916, "width": 832, "height": 1216, "steps": 30,
        "guidance": 6.0, "guidance_interval": (0.0, 0.8), "scheduler": "dpmpp-2m-karras", "clip_skip": 1,
        "loras": "Lemons-000005:1",
    }),
    "PACK_TEXT": ("ComfyUI, as A1111 text", "sdxl", "", {
        "prompt": "a red fox", "negative": "blurry", "seed": 639466906728691, "width": 1216, "height": 832,
        "steps": 30, "guidance": 4.5, "scheduler": "dpmpp-2m-sde-karras",
    }),
    "PROMPT_ONLY": ("A1111", None, "", {"prompt": "just a prompt\nover two lines"}),
    "WINDOWS_LINES": ("A1111", "sdxl", "own-jugger", {
        "prompt": "portrait, side light", "seed": SEED, "width": 896, "height": 1152, "steps": 25, "guidance": 5.0,
        "scheduler": "dpmpp-2m-sde-exponential",
    }),
    "UNICODE_PROMPT": ("A1111", "sdxl", "own-jugger", {
        "prompt": "Bildnis von Änne, 光 \U0001f4a1, side light", "seed": SEED, "width": 896, "height": 1152,
        "steps": 25, "guidance": 5.0, "scheduler": "dpmpp-2m-sde-exponential",
    }),
    "FOOOCUS_A1111": ("Fooocus", "sdxl", None, {
        "prompt": "portrait,\nof a woman", "negative": "blur", "seed": 5403816327163523621, "width": 1152,
        "height": 896, "steps": 30, "guidance": 4.0, "scheduler": "dpmpp-2m-sde-karras", "loras": "sd_xl_offset:0.1",
    }),
}  # fmt: skip


def test_every_text_has_an_expectation() -> None:
    assert TEXTS.keys() == samples.TEXTS.keys()


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_gives_exactly_these_fields(tmp_path: Path, name: str) -> None:
    tool, family, row, expected = TEXTS[name]
    found = read(tmp_path, parameters=samples.TEXTS[name])
    assert (found.tool, found.family) == (tool, family)
    if row is not None:  # None: a row of the shipped list may or may not be this one
        assert found.row == row
    assert values(found) == expected


BASE = {"width": 832, "height": 1216, "steps": 25, "guidance": 6.5, "scheduler": "dpmpp-2m-karras"}
PORTRAIT = BASE | {"prompt": "portrait, side light", "negative": "plastic skin", "seed": SEED}
GRAPHS: dict[str, dict[str, Any]] = {
    "COMFY": PORTRAIT,
    "COMFY_LORAS": PORTRAIT | {"prompt": "portrait", "clip_skip": 1, "loras": "own-film:0.8+skin:0.5"},
    "COMFY_BASE_REFINER": {
        "prompt": "base prompt", "negative": "", "seed": 721897303308196, "width": 1024, "height": 1024, "steps": 25,
        "guidance": 8.0, "scheduler": "euler", "spacing": "linspace",
    },
    "COMFY_FLUX": {
        "prompt": "portrait, side light", "seed": 219670278747233, "width": 832, "height": 1216, "steps": 20,
        "guidance": 3.5, "scheduler": "euler",
    },
    "COMFY_IMG2IMG": {
        "prompt": "portrait, side light", "negative": "plastic skin", "seed": SEED, "steps": 20, "guidance": 6.5,
        "scheduler": "dpmpp-2m-karras",
    },
    "COMFY_HIRES": PORTRAIT,
    "COMFY_ZERO": {name: value for name, value in PORTRAIT.items() if name != "negative"},
    "COMFY_TWO_SAVED": BASE | {"negative": "plastic skin"},
    "COMFY_EFFICIENT": BASE | {"prompt": "portrait", "negative": "blur", "seed": 456, "guidance": 7.0},
    "COMFY_RGTHREE": PORTRAIT | {"seed": 77, "loras": "own-film:0.7"},
}  # fmt: skip


def test_every_graph_has_an_expectation() -> None:
    assert GRAPHS.keys() == samples.GRAPHS.keys()


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_gives_exactly_these_fields_in_any_order_of_nodes(tmp_path: Path, name: str) -> None:
    nodes = list(samples.GRAPHS[name].items())
    for seed in range(3):
        found = read(tmp_path, prompt=dict(nodes))
        assert found.tool == "ComfyUI"
        assert values(found) == GRAPHS[name]
        random.Random(seed).shuffle(nodes)


JSONS: dict[str, tuple[dict[str, Any], str, str, dict[str, Any]]] = {
    "FOOOCUS": ({"parameters": samples.FOOOCUS, "fooocus_scheme": "fooocus"}, "Fooocus", "sdxl", {
        "prompt": "portrait", "negative": "", "seed": 5403816327163523621, "width": 1152, "height": 896, "steps": 30,
        "guidance": 4.0, "scheduler": "dpmpp-2m-sde-karras", "loras": "sd_xl_offset_example-lora_1.0:0.1",
    }),
    "SWARM": ({"parameters": samples.SWARM}, "SwarmUI", "sdxl", {
        "prompt": "portrait of a woman", "negative": "", "seed": SEED, "width": 1024, "height": 1024, "steps": 20,
        "guidance": 7.0, "scheduler": "euler", "spacing": "linspace", "loras": "own-film:0.5+skin:1",
    }),
    "SWARM_FLUX": ({"parameters": samples.SWARM_FLUX}, "SwarmUI", "flux", {
        "prompt": "portrait", "seed": 7, "width": 832, "height": 1216, "steps": 20, "guidance": 3.5,
        "scheduler": "euler",
    }),
    "INVOKE_SDXL": ({"invokeai_metadata": samples.INVOKE_SDXL}, "InvokeAI", "sdxl", {
        "prompt": "a robot reading a book", "negative": "blurry, low quality", "seed": 591741300, "width": 1184,
        "height": 888, "steps": 30, "guidance": 5.0, "scheduler": "dpmpp-2m-karras",
        "loras": "Dramatic_Lighting_v3:1.5",
    }),
    "INVOKE_3": ({"invokeai_metadata": samples.INVOKE_3}, "InvokeAI", "sdxl", {
        "prompt": "a lake", "seed": 3, "width": 1024, "height": 1024, "steps": 20, "guidance": 7.5,
        "scheduler": "euler-ancestral", "loras": "old:0.8",
    }),
    "INVOKE_FLUX": ({"invokeai_metadata": samples.INVOKE_FLUX}, "InvokeAI", "flux", {
        "prompt": "a lake", "seed": 3, "width": 1360, "height": 768, "steps": 30, "guidance": 4.0,
    }),
    "CIVITAI_COMFY": ({"parameters": samples.CIVITAI_COMFY}, "ComfyUI", "sdxl", {
        "prompt": "portrait", "negative": "blur", "seed": 3, "width": 832, "height": 1216, "steps": 25,
        "guidance": 6.5, "scheduler": "euler-ancestral", "spacing": "linspace",
    }),
    "COMFY_NAN": ({"prompt": samples.COMFY_NAN}, "ComfyUI", "sdxl", PORTRAIT),
}  # fmt: skip


@pytest.mark.parametrize("name", JSONS)
def test_json_of_other_tools_gives_exactly_these_fields(tmp_path: Path, name: str) -> None:
    texts, tool, family, expected = JSONS[name]
    found = read(tmp_path, **texts)
    assert (found.tool, found.family) == (tool, family)
    assert values(found) == expected


def test_noise_of_a_gpu_is_said_and_noise_of_a_cpu_is_not(tmp_path: Path) -> None:
    assert "on the GPU" in read(tmp_path, parameters=samples.A1111_OLD).warnings[0]
    assert "RNG nv" in read(tmp_path, parameters=samples.A1111_REFINER).warnings[0]
    assert "on cuda" in read(tmp_path, invokeai_metadata=samples.INVOKE_3).warnings[0]
    assert read(tmp_path, parameters=samples.A1111_NEW).warnings == ()
    assert read(tmp_path, prompt=samples.COMFY).warnings == ()


def test_hires_is_a_second_pass_with_the_strength(tmp_path: Path) -> None:
    first, second = read(tmp_path, parameters=samples.A1111_HIRES).passes
    assert first.denoise is None
    assert (second.role, second.width, second.height, second.steps) == ("hires", 1248, 1824, 10)
    assert (second.cfg, second.denoise, second.seed) == (4.0, 0.45, 777)


def test_a_refiner_is_a_second_pass_of_another_model(tmp_path: Path) -> None:
    first, second = read(tmp_path, parameters=samples.A1111_REFINER).passes
    assert first.model == foreign.Model(name="sd_xl_base_1.0", hash="31e35c80fc")
    assert second.model == foreign.Model(name="sd_xl_refiner_1.0", hash="7440042bbd")
    assert second.first_step == 32


def test_the_seed_of_one_sampler_never_meets_the_prompt_of_the_other(tmp_path: Path) -> None:
    first, second = read(tmp_path, prompt=samples.COMFY_BASE_REFINER).passes
    assert (first.role, first.seed, first.prompt, first.last_step) == ("base", 721897303308196, "base prompt", 20)
    assert (second.role, second.seed, second.prompt, second.first_step) == ("refiner", None, "refiner prompt", 20)
    first, second = read(tmp_path, prompt=samples.COMFY_HIRES).passes
    assert (first.seed, first.prompt) == (SEED, "portrait, side light")
    assert (second.seed, second.prompt, second.denoise) == (42, "another prompt", 0.5)


def test_of_several_saved_pictures_only_what_they_share_is_taken(tmp_path: Path) -> None:
    found = read(tmp_path, prompt=samples.COMFY_TWO_SAVED)
    assert found.values.seed is None
    assert unmapped(found)["seed"] == f"{SEED} | 1"
    assert [each.seed for each in found.passes] == [SEED, 1]


def test_a_start_image_is_asked_for_with_the_strength_and_steps_that_match(tmp_path: Path) -> None:
    whys = [each.why for each in read(tmp_path, prompt=samples.COMFY_IMG2IMG).unmapped]
    assert any("--start IMAGE --strength 0.5 --steps 40" in why for why in whys)
    whys = [each.why for each in read(tmp_path, parameters=samples.A1111_IMG2IMG).unmapped]
    assert any(why.endswith("--start IMAGE --strength 0.4") for why in whys)
    assert any("--mask" in why for why in whys)


@pytest.mark.parametrize("name", ["A1111_OLD", "A1111_HIRES", "A1111_HASHES", "FORGE_FLUX", "CIVITAI_FLUX", "SDNEXT"])
def test_every_key_is_mapped_or_listed_with_a_reason(tmp_path: Path, name: str) -> None:
    from pipelines.foreign import infotext

    text = samples.TEXTS[name]
    found = read(tmp_path, parameters=text)
    listed = {each.name.casefold().partition(" ")[0] for each in found.unmapped} | {"hires", "denoising"}
    mapped = {
        "steps", "sampler", "schedule", "cfg", "distilled", "seed", "size", "model", "version", "hashes", "app",
        "pipeline", "civitai", "clip", "rng",
    }  # fmt: skip
    for key, _ in infotext.split(text).pairs:
        assert key.casefold().partition(" ")[0] in listed | mapped, key
    assert all(each.why for each in found.unmapped)


def test_nodes_without_a_place_are_listed(tmp_path: Path) -> None:
    found = read(tmp_path, prompt=samples.COMFY_ZERO)
    assert unmapped(found)["node 19 ControlNetApplyAdvanced strength"] == "0.6"
    assert unmapped(found)["node 24 LoadImage image"] == "edges.png"
    found = read(tmp_path, prompt=samples.COMFY_FLUX)
    assert unmapped(found)["node 28 ModelSamplingFlux max_shift"] == "1.15"
    assert unmapped(found)["node 10 VAELoader vae_name"] == "ae.safetensors"


def test_the_graph_that_ran_goes_before_the_summary_beside_it(tmp_path: Path) -> None:
    found = read(tmp_path, parameters=samples.PACK_TEXT, prompt=samples.COMFY)
    assert values(found) == PORTRAIT
    assert unmapped(found)["parameters"] == samples.PACK_TEXT
    found = read(tmp_path, parameters=samples.PACK_TEXT, prompt={"1": samples.node("Unknown", text="x")})
    assert found.values.prompt == "a red fox"


def test_what_is_only_recognised_says_why_and_gives_no_draft(tmp_path: Path) -> None:
    for texts, tool in (
        ({"workflow": samples.EDITOR}, "ComfyUI"),
        ({"Software": "NovelAI", "Comment": samples.NOVELAI}, "NovelAI"),
        ({"Dream": '"a cat" -s 50 -S 1'}, "InvokeAI"),
    ):
        found = read(tmp_path, **texts)
        assert (found.tool, values(found)) == (tool, {})
        with pytest.raises(InputError, match="cannot be swept around: ") as caught:
            foreign.draft(found)
        assert "\n" not in str(caught.value)


def test_a_draft_holds_the_values_and_the_matched_checkpoint(tmp_path: Path) -> None:
    draft = foreign.draft(read(tmp_path, prompt=samples.COMFY))
    assert draft.checkpoint == "own-jugger"
    assert (draft.seed, draft.prompt, draft.guidance) == (SEED, "portrait, side light", 6.5)
    assert draft.scheduler == "dpmpp-2m-karras"


def test_an_unknown_checkpoint_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    found = read(tmp_path, parameters=samples.PACK_TEXT)
    with pytest.raises(InputError) as caught:
        foreign.draft(found)
    line = str(caught.value)
    assert "JANXL4realish (hash BB2C170125)" in line
    assert "sidelight models add" in line
    assert "--checkpoint NAME" in line
    assert "\n" not in line
    assert foreign.draft(found, "own-base").checkpoint == "own-base"


def test_another_family_is_mapped_anew(tmp_path: Path) -> None:
    """The same words mean other fields on FLUX: CFG is true guidance in ComfyUI, the one guidance in a text."""
    graph = samples.COMFY | {"3": samples.sampler(scheduler="simple", sampler_name="euler")}
    draft = foreign.draft(read(tmp_path, prompt=graph), "own-flux")
    assert (draft.true_guidance, draft.guidance, draft.negative) == (6.5, None, "plastic skin")
    draft = foreign.draft(read(tmp_path, parameters=samples.PROMPT_ONLY), "own-base")
    assert draft.negative == "blur"


def test_a_hash_is_compared_only_where_it_is_known(tmp_path: Path, models: Path) -> None:
    path = models / "sd_xl_base_1.0.safetensors"
    hashes = FileHashes()
    digest = hashes.of(path)
    renamed = samples.A1111_OLD.replace("sd_xl_base_1.0", "renamedXL").replace("31e35c80fc", digest[:10])
    assert read(tmp_path, parameters=renamed).row == ""  # nobody hashed it yet
    hashes.save()
    assert read(tmp_path, parameters=renamed).row == "own-base"
    assert read(tmp_path, parameters=renamed.replace(digest[:10], digest.upper())).row == "own-base"
    other = read(tmp_path, parameters=samples.A1111_OLD)  # the name fits, the hash does not
    assert other.row == ""
    assert "another version" in other.row_why
    path.write_bytes(b"changed since")
    assert read(tmp_path, parameters=renamed).row == ""


@pytest.mark.parametrize("seed", [str(SEED), SEED, "123.0", 7.0], ids=str)
def test_seeds_stay_exact_as_text_or_number(tmp_path: Path, seed: str | int | float) -> None:
    found = read(tmp_path, prompt=samples.COMFY | {"3": samples.sampler(seed=seed)})
    assert found.values.seed == int(str(seed).removesuffix(".0"))


@pytest.mark.parametrize("seed", [-1, 2**64, "12345678901234567890123", "1e5", 1.5, True, None, [], "٣"], ids=str)
def test_what_is_no_seed_is_listed_and_not_guessed(tmp_path: Path, seed: Any) -> None:
    found = read(tmp_path, prompt=samples.COMFY | {"3": samples.sampler(seed=seed)})
    assert found.values.seed is None
    assert seed is None or "node 3 KSampler seed" in unmapped(found)


@pytest.mark.parametrize(("name", "value"), [("steps", 2000), ("cfg", "much"), ("denoise", 7), ("cfg", ["99", 0])])
def test_what_is_no_value_of_a_node_is_listed(tmp_path: Path, name: str, value: Any) -> None:
    found = read(tmp_path, prompt=samples.COMFY | {"3": samples.sampler(**{name: value})})
    assert unmapped(found)[f"node 3 KSampler {name}"] == str(value)


def test_values_out_of_range_are_listed(tmp_path: Path) -> None:
    text = "portrait\nSteps: 0, Sampler: Nonsense, CFG scale: high, Seed: -1, Size: big, Model: aXL, RNG: CPU"
    found = read(tmp_path, parameters=text)
    assert values(found) == {"prompt": "portrait"}
    assert {"Steps", "Seed", "CFG scale", "size", "sampler"} <= unmapped(found).keys()


def test_an_empty_negative_means_what_it_meant_there(tmp_path: Path) -> None:
    """A1111 puts zeros in its place on SDXL, which is None here; ComfyUI encodes the empty text."""
    text = samples.A1111_OLD.replace("Negative prompt: plastic skin, blur\n", "Negative prompt: \n")
    assert read(tmp_path, parameters=text).values.negative is None
    graph = samples.COMFY | {"7": samples.node("CLIPTextEncode", text="", clip=["4", 1])}
    assert read(tmp_path, prompt=graph).values.negative == ""


OURS = Recipe(
    checkpoint=Weights(digest="c" * 64, family="sdxl", name="own-base"),
    prompt="portrait, (soft:1.1)",
    negative="plastic skin, blur: bad",
    seed=SEED,
    width=1024,
    height=832,
    steps=20,
    guidance=0.1 + 0.2,
    scheduler=SchedulerChoice(name="dpmpp-2m-karras"),
)
PROMPTS = {
    "plain": "portrait, side light",
    "unicode": "Bildnis von Änne, Licht von links 光 \U0001f4a1",
    "newlines": "first line\n\nthird",
    "quotes": 'she said "soft", it\'s: \\n not a newline, {"a": [1',
    "markup": "</script><b onload=x>&amp;",
    "like values": "x\nSteps: 9, Sampler: z, Seed: 1",
    "long": "skin, " * 20_000 + "end",
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())
def test_our_own_text_comes_back(tmp_path: Path, prompt: str) -> None:
    for name in ("dpmpp-2m-karras", "euler", "unipc", "euler-ancestral"):
        recipe = OURS.but(prompt=prompt, scheduler=SchedulerChoice(name=name))
        sampler, schedule = schedulers.to_a1111(recipe.scheduler)
        found = read(tmp_path, parameters=a1111(recipe, sampler=sampler, schedule_type=schedule))
        assert found.row == "own-base"
        got = values(found)
        got.pop("spacing", None)  # the text has no name for it
        assert got == {
            "prompt": prompt, "negative": recipe.negative, "seed": SEED, "width": 1024, "height": 832, "steps": 20,
            "guidance": 0.1 + 0.2, "scheduler": name,
        }  # fmt: skip


def test_what_depends_on_an_unknown_family_is_kept_for_later(tmp_path: Path) -> None:
    graph = samples.COMFY | {
        "4": samples.node("CheckpointLoaderSimple", ckpt_name="mystery.safetensors"),
        "6": samples.node("CLIPTextEncode", text="embedding:skin_v2 portrait", clip=["12", 0]),
        "12": samples.node("CLIPSetLastLayer", stop_at_clip_layer=-3, clip=["4", 1]),
    }
    found = read(tmp_path, prompt=graph)
    assert found.family is None
    assert {"guidance", "negative", "sampler", "clip skip", "embedding"} <= unmapped(found).keys()
    draft = foreign.draft(found, "own-base")
    assert (draft.guidance, draft.negative, draft.scheduler, draft.clip_skip) == (
        6.5,
        "plastic skin",
        "dpmpp-2m-karras",
        1,
    )


def test_a_text_that_was_made_while_the_graph_ran_is_said_to_be_missing(tmp_path: Path) -> None:
    graph = samples.COMFY | {
        "6": samples.node("CLIPTextEncode", text=["60", 0], clip=["4", 1]),
        "60": samples.node("LanguageModel", question="describe it"),
    }
    found = read(tmp_path, prompt=graph)
    assert found.values.prompt is None
    assert any("not in the graph" in each.why for each in found.unmapped)


def test_a_split_grid_gives_its_part_of_the_steps(tmp_path: Path) -> None:
    graph = samples.COMFY_FLUX | {
        "13": samples.COMFY_FLUX["13"]
        | {"inputs": samples.COMFY_FLUX["13"]["inputs"] | {"sigmas": ["40", 1], "latent_image": ["41", 0]}},
        "40": samples.node("SplitSigmas", step=5, sigmas=["17", 0]),
        "41": samples.node("VAEEncode", pixels=["42", 0], vae=["10", 0]),
        "42": samples.node("LoadImage", image="woman.png"),
    }
    found = read(tmp_path, prompt=graph)
    assert found.base
    assert (found.base.first_step, found.base.steps) == (5, 20)
    assert any("--strength 0.75" in each.why for each in found.unmapped)


@pytest.mark.parametrize("name", ["A1111_NEW", "A1111_HIRES", "SDNEXT"])
def test_a_sweep_around_a_picture_settles_into_recipes(tmp_path: Path, name: str) -> None:
    like = foreign.draft(read(tmp_path, parameters=samples.TEXTS[name]), "demo-sdxl")
    sweep = from_flags("like", {"guidance": ["2..6"], "loras": ["none"]}, like=like)
    drafts = [place.draft for place in expand(sweep)]
    assert [draft.guidance for draft in drafts] == [2, 3, 4, 5, 6]
    recipe = settle(drafts[0], find("demo-sdxl"), NO_IMAGE).recipe
    expected = TEXTS[name][3]
    assert (recipe.prompt, recipe.seed, recipe.steps) == (expected["prompt"], expected["seed"], expected["steps"])
    assert recipe.scheduler.name == expected["scheduler"]


def test_texts_for_two_encoders_and_relays_are_followed(tmp_path: Path) -> None:
    encoder = samples.node("CLIPTextEncodeSDXL", text_g="large", text_l="small", width=4096, clip=["4", 1])
    graph = samples.COMFY | {
        "3": samples.sampler(positive=["60", 0], model=["61", 0]),
        "6": encoder,
        "60": samples.node("Any Switch (rgthree)", any_01=["6", 0]),
        "61": samples.node("Any Switch (rgthree)", any_01=["4", 0]),
    }
    found = read(tmp_path, prompt=graph)
    assert (found.values.prompt, found.row) == ("large", "own-jugger")
    assert unmapped(found)["node 6 CLIPTextEncodeSDXL text_l"] == "small"
    assert unmapped(found)["node 6 CLIPTextEncodeSDXL width"] == "4096"  # the size SDXL is told: no field for it
    encoder["inputs"]["text_g"] = ""
    assert read(tmp_path, prompt=graph).values.prompt == "small"
