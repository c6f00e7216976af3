"""Makes a network out of a folder, a single file or a GGUF file, quantised where asked. Knows nothing about pictures.

Names inside single files are turned into diffusers' by diffusers' own loaders, with local settings: nothing is guessed
or fetched.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import safe_open

from pipelines.errors import CheckpointError
from pipelines.places import Place
from pipelines.weight_files import header, own_tensors

OPEN_CLIP = "conditioner.embedders.1.model."  # diffusers' converter of OpenCLIP wants the names as they stand in SDXL


def open_component(cls: Any, place: Place, dtype: torch.dtype) -> Any:
    """The network of that class, its weights as the place says; raises CheckpointError."""
    with _quiet():
        return _opened(cls, place, dtype)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' own remarks on names and types of tensors: what matters is raised as CheckpointError."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    before = [(log, log.get_verbosity()) for log in (of_diffusers, of_transformers)]
    try:
        for log, _ in before:
            log.set_verbosity_error()
        yield
    finally:
        for log, verbosity in before:
            log.set_verbosity(verbosity)


def _opened(cls: Any, place: Place, dtype: torch.dtype) -> Any:
    try:
        if not place.file:
            return _saved(cls, place, dtype)
        return _network(cls, place, dtype) if _is_diffusers(cls) else _encoder(cls, place, dtype)
    except NotImplementedError:  # what torch raises for tensors that were never filled
        why = "tensors are missing"
    except KeyError as error:
        why = f"{error.args[0]} is missing"
    except ValueError as error:
        why = str(error).splitlines()[0][:200]
    or_else = ", or give base=NAME of a checkpoint that it was made from" if place.file else ""
    lies = place.file or place.folder
    raise CheckpointError(
        f"{lies}: its {place.component} is not as {place.folder} says ({why}); copy it again{or_else}"
    )


def _saved(cls: Any, place: Place, dtype: torch.dtype) -> Any:
    """A component as diffusers and transformers save it, in the chosen variant."""
    named = {"variant": place.chosen_variant} if place.chosen_variant else {}
    module, told = cls.from_pretrained(
        place.folder,
        dtype=dtype,
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
        **({} if _is_diffusers(cls) else {"ignore_mismatched_sizes": True}),  # diffusers raises ValueError by itself
        **named,
        **_quantising(cls, place, dtype),
    )
    return module if place.is_saved_quantised else _filled(module, told)


def _filled(module: Any, told: Mapping[str, Any]) -> Any:
    """The network, unless tensors were left as chance made them, which the libraries only remark; raises KeyError."""
    if lacking := sorted(told["missing_keys"]):
        raise KeyError(lacking[0])
    if other := sorted(told["mismatched_keys"]):
        raise ValueError(f"{other[0][0]} has another size")
    return module


def _is_diffusers(cls: Any) -> bool:
    return str(cls.__module__).startswith("diffusers")


def _network(cls: Any, place: Place, dtype: torch.dtype) -> Any:
    """Denoiser or autoencoder, by diffusers' own single-file loader."""
    module = cls.from_single_file(
        _as_in_a_checkpoint(_tensors(place, dtype)),
        config=str(place.folder),
        dtype=dtype,
        local_files_only=True,
        **place.changes,
        **(_quantising(cls, place, dtype) if place.quantisation == "gguf" else {}),
    )
    if place.quantise == "int8":  # this loader takes the same argument, expects quantised weights and leaves floats
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        quantize_(module, Int8WeightOnlyConfig())
    return module


def _encoder(cls: Any, place: Place, dtype: torch.dtype) -> Any:
    """Text encoder, by transformers; OpenCLIP's names are turned into CLIP's by diffusers."""
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    config, tensors = cls.config_class.from_pretrained(place.folder), _tensors(place, dtype)
    if "token_embedding.weight" in tensors:
        named = {f"{OPEN_CLIP}{name}": tensor for name, tensor in tensors.items()}
        tensors = convert_open_clip_checkpoint(SimpleNamespace(config=config), named, prefix=OPEN_CLIP)
    module, told = cls.from_pretrained(
        None,
        config=config,
        state_dict=tensors,
        dtype=dtype,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **_quantising(cls, place, dtype),
    )
    return _filled(module, told)


def _tensors(place: Place, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The component's own tensors, by their names without prefix; 8-bit floats become `dtype`."""
    assert place.file
    own = own_tensors(header(place.file), place.component)
    if place.file.suffix.lower() == ".gguf":
        from diffusers.models.model_loading_utils import load_gguf_checkpoint

        read = load_gguf_checkpoint(str(place.file))
        return {name: read[inside] for name, inside in own.items()}
    with safe_open(place.file, framework="pt") as file:
        found = {name: file.get_tensor(inside) for name, inside in own.items()}
    return {name: tensor.to(dtype) if _is_float8(tensor) else tensor for name, tensor in found.items()}


def _is_float8(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and tensor.element_size() == 1


def _as_in_a_checkpoint(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """An LDM UNet's names with the prefix that diffusers' converter looks for; all others as they are."""
    if "input_blocks.0.0.weight" not in tensors:
        return tensors
    return {f"model.diffusion_model.{name}": tensor for name, tensor in tensors.items()}


def _quantising(cls: Any, place: Place, dtype: torch.dtype) -> dict[str, Any]:
    """The argument that has a loader quantise, or read what is quantised in GGUF; none for other weights."""
    import diffusers
    import transformers

    kinds: Any = diffusers if _is_diffusers(cls) else transformers
    if place.quantisation == "gguf":
        return {"quantization_config": diffusers.GGUFQuantizationConfig(compute_dtype=dtype)}
    if place.quantise == "int8":
        from torchao.quantization import Int8WeightOnlyConfig

        return {"quantization_config": kinds.TorchAoConfig(Int8WeightOnlyConfig())}
    if place.quantise == "nf4":
        config = kinds.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
        return {"quantization_config": config}
    return {}
