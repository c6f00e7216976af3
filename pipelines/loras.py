"""LoRAs by name or path: which ones a text asks for, and what a LoRA file is made for. Knows nothing about torch.

Files are told apart by the names and shapes of their tensors, in the forms of peft, kohya, XLabs, ai-toolkit, ComfyUI
and fal. What diffusers would load wrongly or not at all is refused by name.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from pipelines import listing
from pipelines.checkpoint import Checkpoint
from pipelines.errors import CheckpointError, InputError, RecipeError
from pipelines.hashes import FileHashes
from pipelines.recipe import FamilyName, Lora
from pipelines.weight_files import Header, header

FORM = "write NAME or NAME:WEIGHT, joined by +, as in film:0.8+skin:0.5, or none"
DOWN = re.compile(r"(.*)(lora_A|lora_down|lora\d?\.down|lora_linear_layer\.down)(\.weight)")
UP: Mapping[str, str] = {"lora_A": "lora_B", "lora_down": "lora_up"}
WORDS = ("lora_te", "text_encoder")
"""How tensors of text encoders begin, in every form."""
OTHER_METHODS: Mapping[str, str] = {
    "hada_w": "a LyCORIS LoHa",
    "lokr_": "a LyCORIS LoKr",
    "oft_": "an OFT adapter",
    "lora_mid": "a LyCORIS LoCon with a middle matrix",
    "dora_scale": "a DoRA",
    "lora_magnitude_vector": "a DoRA",
    "lora_controlnet": "a control LoRA of Stability, which needs a control image",
    "query_norm": "a FLUX control LoRA (depth, canny), which needs a control image",
}
"""What is not applied, by a piece of its tensors' names."""
OTHER_NETWORKS: Mapping[str, str] = {
    "joint_blocks_": "Stable Diffusion 3",
    "img_mlp_net_": "Qwen-Image",
    "img_mod_1": "Qwen-Image",
    "noise_refiner_": "Z-Image or Lumina",
    "context_refiner_": "Z-Image or Lumina",
    "cross_attn_": "Wan",
    "adaln_single": "PixArt or LTX",
    "distilled_guidance_layer": "Chroma",
    "lora_prior_": "Stable Cascade",
}
OTHER_READS: Mapping[int, str] = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 1280: "the SDXL refiner"}
"""Width of the words that a UNet's cross-attention reads; SDXL's are 2048 wide."""
LEFT_OUT = re.compile(r"\.diff(?:_b)?$|^text_encoders\.t5xxl\.|^lora_te[23]_|text_projection|position_embedding")
SD1 = re.compile(r"down_blocks_0_attentions|up_blocks_3_|input_blocks_[12]_1_|lora_te_")
DENOISER = re.compile(
    r"(?:base_model\.model\.)?(?:transformer\.|diffusion_model\.|unet\.|lora_unet_|lora_transformer_)?"
)
UNET = re.compile(r"(?:down_blocks|up_blocks|mid_block|input_blocks|middle_block|output_blocks)_")
DOUBLE = re.compile(r"(?:double_blocks|(?<!single_)transformer_blocks)_(\d+)_")
SINGLE = re.compile(r"single(?:_transformer)?_blocks_(\d+)_")
BLOCK_INPUT = re.compile(r"(?:to_q|qkv|linear1|(?:img|txt)_mlp_0|ff_net_0_proj|ff_linear_in)_$")
FLUX2 = re.compile(r"stream_modulation|to_qkv_mlp_proj|ff(?:_context)?_linear_|time_guidance_embed")
DEPTH: Mapping[FamilyName, tuple[int, int]] = {"flux": (19, 38), "flux2": (8, 48)}
"""Most double and single blocks of a network: FLUX.1; FLUX.2 dev (klein has fewer)."""
SD3_WIDTHS, FLUX2_WIDTHS, LATENT_PATCH = (1536, 2432), (4096, 6144), 64


def chosen(text: str, checkpoint: Checkpoint) -> tuple[Lora, ...]:
    """The LoRAs that a draft's text names, in one order, so that equal sets give equal recipes.

    Weight 0 adds exactly nothing, so such a LoRA is left out (after it was found and fits). Raises InputError for a
    text, name or file that cannot be, RecipeError for another family's LoRA or one that is named twice.
    """
    found = [find_lora(name)[1].but(weight=weight) for name, weight in parse_loras(text)]
    check(found, family=checkpoint.family, checkpoint=checkpoint.name)
    return in_order(found)


def parse_loras(text: str) -> tuple[tuple[str, float], ...]:
    """Names (or paths) and weights out of "film:0.8+skin:0.5"; a weight not given is 1; "none" or "" is ()."""
    if text.strip() in ("", "none"):
        return ()
    found = []
    for part in text.split("+"):
        name, colon, weight = part.strip().rpartition(":")
        if not colon or "/" in weight:  # a colon may stand in a path
            name, weight = part.strip(), "1"
        try:
            found.append((name.strip(), float(weight)))
        except ValueError:
            raise InputError(f"loras {text!r}: {weight!r} is no weight; {FORM}") from None
        if not found[-1][0]:
            raise InputError(f"loras {text!r}: a name is missing; {FORM}")
    return tuple(found)


def find_lora(wanted: str) -> tuple[Path, Lora]:
    """The LoRA of that name in models.txt, or at that path, at weight 1; raises CheckpointError, one line."""
    path = Path(wanted).expanduser()
    if path.suffix == ".safetensors" and path.is_file():
        name, family = path.stem, look_lora(path)
    else:
        name, path, family = _listed(listing.row_of(wanted))
    hashes = FileHashes()
    digest = hashes.of(path.resolve())
    hashes.save()
    return path, Lora(file=digest, family=family, name=name)


def _listed(row: listing.Row) -> tuple[str, Path, FamilyName]:
    if row.kind != "lora":
        raise CheckpointError(f"{row.name} is a {row.kind}, not a LoRA; name a row of models.txt with kind=lora")
    path = row.place()
    if path is None:
        raise CheckpointError(f"lora {row.name} is not here yet; run `sidelight models pull {row.name}`")
    family = look_lora(path)
    if family != row.family:
        raise CheckpointError(f"lora {row.name} is listed for {row.family} but made for {family}; correct its row")
    return row.name, path, family


def file_of(lora: Lora) -> Path:
    """Where a recipe's LoRA lies: among the rows of models.txt, or where it was when its hash was last asked for.

    Raises CheckpointError if no file on this disk holds it.
    """
    hashes = FileHashes()
    rows = [row.place() for row in listing.rows().values() if row.kind == "lora"]
    for path in [*hashes.files(lora.file), *filter(None, rows)]:
        if path.is_file() and hashes.of(path.resolve()) == lora.file:
            hashes.save()
            return path
    raise CheckpointError(
        f"{named(lora)} (sha256 {lora.file[:12]}) is on this disk no more; put the file back, or list it with "
        "`sidelight models add`"
    )


def check(loras: Iterable[Lora], *, family: FamilyName, checkpoint: str) -> None:
    """Refuse LoRAs of another family, and one given twice; raises RecipeError."""
    seen: set[str] = set()
    for lora in loras:
        if lora.family != family:
            raise RecipeError(
                f"{named(lora)} is for {lora.family}, {checkpoint or 'this checkpoint'} is {family}; "
                f"leave it out, or pick a checkpoint of {lora.family}"
            )
        if lora.file in seen:
            raise RecipeError(f"{named(lora)} is given twice; give it once, with the weights added up")
        seen.add(lora.file)


def in_order(loras: Iterable[Lora]) -> tuple[Lora, ...]:
    """Those that do something, by hash: sums of the same LoRAs in another order differ in their last bits."""
    return tuple(sorted((lora for lora in loras if lora.weight), key=lambda lora: lora.file))


def tensors(path: Path) -> Mapping[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of a file's tensors by name; raises CheckpointError."""
    return _header(path).tensors


def remarks(path: Path) -> Mapping[str, str]:
    """What a file says of itself; raises CheckpointError."""
    return _header(path).metadata


def changes_words(path: Path) -> bool:
    """Whether a LoRA file changes text encoders too."""
    return any(name.startswith(WORDS) for name in _header(path).tensors)


def left_out(path: Path, family: FamilyName) -> int:
    """How many tensors of a LoRA file diffusers passes over in silence: on FLUX, T5's and whole differences."""
    names = _header(path).tensors if family == "flux" else ()
    return sum(bool(LEFT_OUT.search(name)) for name in names)


def look_lora(path: Path) -> FamilyName:
    """The family that a LoRA file is made for, by the names and shapes of its tensors.

    Raises CheckpointError, naming what was seen, for other methods (LoHa, LoKr, DoRA), control LoRAs, other
    networks (Stable Diffusion 1 and 3, Qwen-Image ...), and damaged, halved or unreadable files.
    """
    seen = _Seen.read(path, _header(path))
    for piece, what in OTHER_METHODS.items():
        if seen.has(piece):
            _refuse(path, f"is {what}; LoRAs in the forms of peft, kohya, XLabs, ai-toolkit and fal are applied")
    if seen.is_bare_peft:
        _refuse(
            path, "is peft's own file, whose scale stands in another file; save it with save_lora_weights of diffusers"
        )
    if not seen.reads:
        some = ", ".join(list(seen.flat)[:3])
        _refuse(path, f"is no LoRA ({len(seen.flat)} tensors: {some or 'none'} ...); give one that holds lora matrices")
    for piece, what in OTHER_NETWORKS.items():
        if seen.has(piece):
            _refuse(path, _made_for(what))
    if any(UNET.search(name) for name in seen.flat):
        return _unet(path, seen)
    if any(DOUBLE.search(name) or SINGLE.search(name) for name in seen.flat) and not seen.has("attn1_"):
        return _flux(path, seen)
    if seen.has("lora_te2_text_model") or seen.has("text_encoder_2_text_model"):
        return "sdxl"
    some = ", ".join(list(seen.reads)[:3])
    _refuse(path, f"is made for an unknown network ({some} ...); LoRAs for SDXL, FLUX.1 and FLUX.2 are applied")


@dataclass(frozen=True)
class _Seen:
    """A LoRA's tensors without what the forms differ in: prefix and dots. Widths by layer: reads (in), writes (out)."""

    flat: tuple[str, ...]
    reads: Mapping[str, int]
    writes: Mapping[str, int]
    remarks: str
    is_bare_peft: bool
    """In peft's names and not fal's, which have FLUX's own names behind them."""

    @classmethod
    def read(cls, path: Path, seen: Header) -> "_Seen":
        reads, writes = {}, {}
        for name, (_, shape) in seen.tensors.items():
            if match := DOWN.fullmatch(name):
                before, down, after = match.groups()
                up = before + UP.get(down, down.replace("down", "up")) + after
                other = seen.tensors.get(up, ("", ()))[1]
                if len(shape) < 2 or len(other) < 2 or shape[0] != other[1]:
                    _refuse(path, f"is damaged ({up} is missing or does not fit {name}); download it again")
                layer = _flat(before)
                reads[layer], writes[layer] = shape[1], other[0]
        remarks = " ".join(value for key, value in seen.metadata.items() if "base_model" in key or "arch" in key)
        flat = tuple(_flat(name) for name in seen.tensors)
        is_peft = any(name.startswith("base_model.") for name in seen.tensors)
        is_fal = any("double_blocks_" in name or "single_blocks_" in name for name in flat)
        return cls(flat, reads, writes, remarks.lower(), is_peft and not is_fal)

    def has(self, piece: str) -> bool:
        return any(piece in name for name in self.flat)

    def widths(self) -> set[int]:
        """What the blocks of a transformer read: the width of its stream."""
        return {width for layer, width in self.reads.items() if BLOCK_INPUT.search(layer)}

    def top(self, blocks: re.Pattern[str]) -> int:
        """Highest number of such a block, -1 if there is none."""
        return max((int(match[1]) for name in self.flat if (match := blocks.search(name))), default=-1)


def _flat(name: str) -> str:
    return DENOISER.sub("", name, count=1).replace(".", "_")


def _unet(path: Path, seen: _Seen) -> FamilyName:
    words = {width for layer, width in seen.reads.items() if re.search(r"attn2_(?:processor_)?to_[kv]_$", layer)}
    for width in sorted(words & OTHER_READS.keys()):
        _refuse(path, _made_for(OTHER_READS[width]))
    if any(SD1.search(name) for name in seen.flat):
        _refuse(path, _made_for("Stable Diffusion 1 or 2"))
    return "sdxl"


def _flux(path: Path, seen: _Seen) -> FamilyName:
    family: FamilyName = "flux2" if _is_flux2(seen) else "flux"
    patch = {width for layer, width in seen.reads.items() if re.search("img_in|x_embedder", layer)}
    if family == "flux" and 2 * LATENT_PATCH in patch:
        _refuse(path, f"is {OTHER_METHODS['query_norm']}; leave it out")
    if seen.widths() & set(SD3_WIDTHS):
        _refuse(path, _made_for("Stable Diffusion 3"))
    doubles, singles = DEPTH[family]
    if seen.top(DOUBLE) >= doubles or seen.top(SINGLE) >= singles:
        _refuse(path, f"is made for a network with more blocks than {family} has; leave it out")
    return family


def _is_flux2(seen: _Seen) -> bool:
    """By names, widths, the shape of its multilayer perceptrons; last by what the file says of itself, or its depth."""
    if any(FLUX2.search(name) for name in seen.flat) or seen.widths() & set(FLUX2_WIDTHS):
        return True
    for layer, width in seen.reads.items():
        if re.search(r"(?:img|txt)_mlp_0_", layer):
            return seen.writes[layer] == 6 * width
        if re.search(r"single_blocks_\d+_linear1_", layer):
            return seen.writes[layer] == 9 * width
    if seen.remarks:
        return any(name in seen.remarks for name in ("flux2", "flux.2", "flux-2", "klein"))
    return (seen.top(DOUBLE), seen.top(SINGLE)) == (4, 19)  # all blocks of klein 4B, as wide as FLUX.1


def _made_for(network: str) -> str:
    return f"is made for {network}; LoRAs for SDXL, FLUX.1 and FLUX.2 are applied"


def named(lora: Lora) -> str:
    """What messages call it."""
    return f"lora {lora.name or lora.file[:12]}"


def _refuse(path: Path, why: str) -> NoReturn:
    raise CheckpointError(f"lora {path.name} {why}")


def _header(path: Path) -> Header:
    stat = path.stat() if path.is_file() else None
    return _header_at(path, stat and stat.st_mtime_ns, stat and stat.st_size)


@lru_cache(maxsize=64)  # settling a sweep asks once a cell
def _header_at(path: Path, _: int | None, __: int | None) -> Header:
    return header(path)
