"""LoRAs by name and path: what a text asks for, what a file is made for, and what is refused, without torch."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pipelines import loras, weight_files
from pipelines.checkpoint import Checkpoint, find
from pipelines.errors import CheckpointError, InputError, RecipeError
from pipelines.hashes import FileHashes
from pipelines.listing import own_list
from pipelines.loras import chosen, file_of, find_lora, look_lora, parse_loras
from pipelines.recipe import Lora

Shapes = Mapping[str, tuple[int, ...]]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="module")
def sdxl() -> Checkpoint:
    return find("demo-sdxl")


def written(path: Path, shapes: Shapes, remarks: Mapping[str, str] | None = None, fill: bytes = b"\0") -> Path:
    """A safetensors file of float16 tensors."""
    entries: dict[str, object] = {"__metadata__": dict(remarks)} if remarks else {}
    end = 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        entries[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    head = json.dumps(entries).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + fill * end)
    return path


def pair(layer: str, reads: int, writes: int, *, ends: tuple[str, str] = ("lora_A.weight", "lora_B.weight")) -> Shapes:
    """Both matrices of one layer, of rank 1."""
    return {f"{layer}.{ends[0]}": (1, reads), f"{layer}.{ends[1]}": (writes, 1)}


KOHYA = ("lora_down.weight", "lora_up.weight")
UNET = "unet.down_blocks.1.attentions.0.transformer_blocks.0"
DOUBLE, SINGLE = "transformer.transformer_blocks", "transformer.single_transformer_blocks"


# what a text asks for


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("none", ()),
        ("", ()),
        ("film", (("film", 1.0),)),
        ("film:0.8+skin:0.5", (("film", 0.8), ("skin", 0.5))),
        (" film:-1 + skin ", (("film", -1.0), ("skin", 1.0))),
        ("film:0", (("film", 0.0),)),
        ("/a/b/film.safetensors:0.5", (("/a/b/film.safetensors", 0.5),)),
        ("C:/loras/film.safetensors", (("C:/loras/film.safetensors", 1.0),)),
    ],
)
def test_a_text_names_loras_with_weights(text: str, asked: tuple[tuple[str, float], ...]) -> None:
    assert parse_loras(text) == asked


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("film:strong", "'strong' is no weight; write NAME or NAME:WEIGHT"),
        ("film:", "'' is no weight"),
        (":0.5", "a name is missing"),
        ("film++skin", "a name is missing"),
    ],
)
def test_a_text_that_names_none_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_loras(text)


@given(some.text())
def test_any_text_gives_names_or_is_refused(text: str) -> None:
    asked: tuple[tuple[str, float], ...] = ()
    with contextlib.suppress(InputError):
        asked = parse_loras(text)
    assert all(name for name, _ in asked)


# what a file is made for


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        (pair(f"{UNET}.attn2.to_k", 2048, 640), "sdxl"),
        (pair("lora_unet_input_blocks_4_1_transformer_blocks_1_attn2_to_k", 2048, 640, ends=KOHYA), "sdxl"),
        (pair("unet.conv_in", 4, 320) | pair("unet.mid_block.resnets.0.conv1", 1280, 1280), "sdxl"),
        (pair("lora_te2_text_model_encoder_layers_0_mlp_fc1", 1280, 5120, ends=KOHYA), "sdxl"),
        (
            {
                f"{UNET}.attn1.processor.to_q_lora.down.weight": (1, 640),
                f"{UNET}.attn1.processor.to_q_lora.up.weight": (640, 1),
            },
            "sdxl",
        ),
        (pair(f"{DOUBLE}.18.attn.to_q", 3072, 3072) | pair("transformer.context_embedder", 4096, 3072), "flux"),
        (pair(f"{SINGLE}.20.proj_mlp", 3072, 12288), "flux"),
        (pair("lora_unet_double_blocks_0_img_mlp_0", 3072, 12288, ends=KOHYA), "flux"),
        (pair("lora_unet_single_blocks_0_linear1", 3072, 21504, ends=KOHYA), "flux"),
        (pair("lora_transformer_single_transformer_blocks_0_attn_to_q", 3072, 3072, ends=KOHYA), "flux"),
        (
            {
                "double_blocks.0.processor.qkv_lora1.down.weight": (1, 3072),
                "double_blocks.0.processor.qkv_lora1.up.weight": (9216, 1),
            },
            "flux",
        ),
        (pair("diffusion_model.double_blocks.7.img_attn.qkv", 3072, 9216), "flux"),
        (pair("base_model.model.single_blocks.37.linear2", 15360, 3072), "flux"),
        (pair(f"{SINGLE}.0.attn.to_qkv_mlp_proj", 3072, 27648), "flux2"),
        (pair(f"{DOUBLE}.0.attn.to_q", 6144, 6144) | pair(f"{SINGLE}.47.attn.to_out", 24576, 6144), "flux2"),
        (pair("diffusion_model.double_blocks.4.img_mlp.0", 3072, 18432), "flux2"),
        (pair("lora_unet_single_blocks_19_linear1", 3072, 27648, ends=KOHYA), "flux2"),
        (
            {name: shape for n in range(5) for name, shape in pair(f"{DOUBLE}.{n}.attn.to_q", 3072, 3072).items()}
            | pair(f"{SINGLE}.19.attn.to_out", 12288, 3072),
            "flux2",
        ),
    ],
)
def test_a_file_tells_its_family_by_names_and_shapes(shapes: Shapes, family: str, tmp_path: Path) -> None:
    path = written(tmp_path / "film.safetensors", shapes)
    assert look_lora(path) == family


def test_a_weights_file_that_is_a_lora_is_seen_as_one(tmp_path: Path) -> None:
    path = written(tmp_path / "film.safetensors", pair(f"{SINGLE}.20.proj_mlp", 3072, 12288))
    look = weight_files.look(path)
    assert (look.kind, look.family) == ("lora", "flux")


@pytest.mark.parametrize(("remark", "family"), [("flux2-klein-4b", "flux2"), ("flux-1-dev", "flux")])
def test_where_names_and_shapes_fit_two_families_the_files_own_remark_tells(
    remark: str, family: str, tmp_path: Path
) -> None:
    shapes = pair(f"{DOUBLE}.4.attn.to_q", 3072, 3072) | pair(f"{SINGLE}.19.attn.to_out", 12288, 3072)
    assert look_lora(written(tmp_path / "film.safetensors", shapes, {"ss_base_model_version": remark})) == family


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (pair(f"{UNET}.attn2.to_k", 768, 320), "is made for Stable Diffusion 1;"),
        (pair(f"{UNET}.attn2.to_v", 1024, 320), "is made for Stable Diffusion 2;"),
        (pair(f"{UNET}.attn2.to_k", 1280, 768), "is made for the SDXL refiner"),
        (pair("lora_unet_down_blocks_0_attentions_0_proj_in", 320, 320, ends=KOHYA), "Stable Diffusion 1 or 2"),
        (pair(f"{DOUBLE}.0.attn.to_q", 1536, 1536), "is made for Stable Diffusion 3"),
        (pair("transformer.transformer_blocks.0.img_mlp.net.0.proj", 3072, 12288), "is made for Qwen-Image"),
        (pair(f"{DOUBLE}.59.attn.to_q", 3072, 3072), "more blocks than flux has"),
        (pair("diffusion_model.blocks.0.cross_attn.q", 5120, 5120), "is made for Wan"),
        (pair("diffusion_model.noise_refiner.0.attention.to_q", 3840, 3840), "is made for Z-Image"),
        (pair("transformer.blocks.0.mixer.q", 64, 64), "is made for an unknown network .blocks_0_mixer_q_"),
        (pair("transformer.blocks.0.attn1.to_q", 5120, 5120), "is made for an unknown network .blocks_0_attn1"),
        (pair("transformer.transformer_blocks.0.attn1.to_q", 2048, 2048), "is made for an unknown network"),
        (pair("text_encoder.text_model.encoder.layers.0.mlp.fc1", 768, 3072), "is made for an unknown network"),
        ({"lora_unet_mid_block_attn.hada_w1_a": (1, 8)}, "is a LyCORIS LoHa"),
        ({"lora_unet_mid_block_attn.lokr_w1": (1, 8)}, "is a LyCORIS LoKr"),
        (pair(f"{UNET}.attn1.to_q", 640, 640) | {f"{UNET}.attn1.to_q.dora_scale": (640, 1)}, "is a DoRA"),
        (
            pair("double_blocks.0.img_attn.qkv", 3072, 9216)
            | {"double_blocks.0.img_attn.norm.query_norm.scale": (128,)},
            "is a FLUX control LoRA .depth, canny., which needs a control image",
        ),
        (pair("transformer.x_embedder", 128, 3072) | pair(f"{DOUBLE}.0.attn.to_q", 3072, 3072), "a FLUX control LoRA"),
        (
            pair("base_model.model.mid_block.attentions.0.proj_in", 1280, 1280),
            "is peft's own file, whose scale stands in",
        ),
        ({"unet.conv_in.weight": (320, 4)}, "is no LoRA .1 tensors: conv_in_weight"),
        ({}, "is no LoRA .0 tensors: none"),
        ({f"{UNET}.attn1.to_q.lora_A.weight": (4, 640)}, "is damaged .unet.*to_q.lora_B.weight is missing"),
        (
            {f"{UNET}.attn1.to_q.lora_A.weight": (4, 640), f"{UNET}.attn1.to_q.lora_B.weight": (640, 8)},
            "is damaged .*does not fit",
        ),
        ({f"{UNET}.attn1.to_q.lora_A.weight": (), f"{UNET}.attn1.to_q.lora_B.weight": ()}, "is damaged"),
    ],
)
def test_what_is_not_applied_is_refused_by_name(shapes: Shapes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"^lora film.safetensors .*{reason}") as caught:
        look_lora(written(tmp_path / "film.safetensors", shapes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 64,
        (2**62).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b'{"a"',
        b"PK\x03\x04archive/data.pkl",
        b"\x80\x02}q\x00.padding",
    ],
)
def test_a_hostile_header_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        look_lora(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_the_words_says_so(tmp_path: Path) -> None:
    unet = pair(f"{UNET}.attn1.to_q", 640, 640)
    for name in (
        "lora_te1_text_model_encoder",
        "text_encoder_2.text_model.encoder",
        "text_encoders.clip_l.transformer",
    ):
        assert loras.changes_words(written(tmp_path / f"{name}.safetensors", unet | pair(name, 768, 768)))
    assert not loras.changes_words(written(tmp_path / "unet.safetensors", unet))


# finding them


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return written(tmp_path / "film.safetensors", pair(f"{UNET}.attn1.to_q", 640, 640))


def listed(*lines: str) -> None:
    own_list().parent.mkdir(parents=True, exist_ok=True)
    own_list().write_text("\n".join(lines))


def test_a_lora_is_found_by_name_and_by_path_and_is_the_same(film: Path) -> None:
    listed(f"my-film sdxl file:{film} kind=lora")
    by_name, by_path = find_lora("my-film")[1], find_lora(str(film))[1]
    assert by_name == Lora(file=FileHashes().of(film), family="sdxl", name="my-film")
    assert by_path == by_name.but(name="film")
    assert find_lora("my-film")[0] == film
    assert file_of(by_name) == film


def test_an_xlabs_file_is_found_by_path(tmp_path: Path) -> None:
    name = "double_blocks.0.processor.qkv_lora1"
    shapes = {f"{name}.down.weight": (1, 3072), f"{name}.up.weight": (9216, 1)}
    assert find_lora(str(written(tmp_path / "film.safetensors", shapes)))[1].family == "flux"


def test_a_lora_that_was_given_by_path_is_found_by_its_hash_until_it_changes(film: Path) -> None:
    _, found = find_lora(str(film))
    assert file_of(found) == film
    written(film, pair(f"{UNET}.attn1.to_q", 640, 641))
    with pytest.raises(
        CheckpointError, match=r"lora film \(sha256 \w{12}\) is on this disk no more; put the file back"
    ):
        file_of(found)


def test_a_listed_lora_that_moved_is_found_by_its_hash(film: Path, tmp_path: Path) -> None:
    _, found = find_lora(str(film))
    moved = film.rename(tmp_path / "moved.safetensors")
    listed(f"my-film sdxl file:{moved} kind=lora")
    assert file_of(found) == moved


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("demo-sdxl", "demo-sdxl is a checkpoint, not a LoRA"),
        ("nothing", "'nothing': it is neither a name in models.txt"),
        ("wrong", "lora wrong is listed for flux but made for sdxl; correct its row"),
        ("far", "lora far is not here yet; run `sidelight models pull far`"),
    ],
)
def test_what_is_no_lora_here_is_refused_in_one_line(wanted: str, reason: str, film: Path) -> None:
    listed(f"wrong flux file:{film} kind=lora", "far sdxl hf:a/b@main/film.safetensors kind=lora")
    with pytest.raises(CheckpointError, match=reason):
        find_lora(wanted)


def test_equal_sets_in_any_order_are_one(film: Path, sdxl: Checkpoint, tmp_path: Path) -> None:
    skin = written(tmp_path / "skin.safetensors", pair(f"{UNET}.attn1.to_q", 640, 640), fill=b"\1")
    both = chosen(f"{film}:0.8+{skin}:0.5", sdxl)
    assert both == chosen(f"{skin}:0.5 + {film}:0.8", sdxl)
    assert {one.name: one.weight for one in both} == {"film": 0.8, "skin": 0.5}


def test_weight_zero_is_without(film: Path, sdxl: Checkpoint) -> None:
    assert chosen(f"{film}:0", sdxl) == chosen("none", sdxl) == ()
    with pytest.raises(CheckpointError, match="neither a name"):
        chosen("nothing:0", sdxl)


def test_the_same_file_twice_is_refused_by_whatever_name(film: Path, sdxl: Checkpoint) -> None:
    listed(f"my-film sdxl file:{film} kind=lora")
    with pytest.raises(RecipeError, match="lora film is given twice; give it once"):
        chosen(f"my-film:0.5+{film}:0.5", sdxl)


def test_another_familys_lora_is_refused_by_name(film: Path) -> None:
    with pytest.raises(RecipeError, match="lora film is for sdxl, demo-flux is flux; leave it out, or pick a"):
        chosen(str(film), find("demo-flux"))


def test_a_weight_out_of_range_is_refused(film: Path, sdxl: Checkpoint) -> None:
    for weight in ("9", "nan", "-inf"):
        with pytest.raises(InputError, match="weight"):
            chosen(f"{film}:{weight}", sdxl)


def test_choosing_loras_loads_nothing_heavy(film: Path) -> None:
    code = (
        f"import sys\nfrom pipelines.loras import find_lora\nfind_lora({str(film)!r})\n"
        "print([name for name in ('torch', 'diffusers', 'transformers', 'peft', 'safetensors') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert told.stdout == "[]\n"
