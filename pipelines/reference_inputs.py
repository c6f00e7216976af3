"""References as inputs of a checkpoint's network, read once and kept. Knows nothing about steps, lanes or files' names.

What is read of a reference is patches of its skin (`pipelines.reference_crops`). For a recipe without a carried one
the network and its arguments are what they would be if there were no references at all.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from pipelines import ip_adapter, redux, reference_crops, reference_images
from pipelines.coalesce import twin
from pipelines.device import Numerics, torch_device
from pipelines.errors import SidelightError
from pipelines.families.base import Images, Parts
from pipelines.recipe import Recipe, Reference
from pipelines.reference_images import Adapter

Read = tuple[str, str | None]
"""What reading a reference depends on: its picture, and the adapter's weights where there are any."""
KEPT = 64
"""Read references that are kept beside those in use: about 6 MB each."""


class ReferenceInputs:
    """The references of recipes for one checkpoint's loaded parts.

    `adapter_of` says where a recipe's adapter lies, `crops` cuts the patches that are read out of a picture.
    """

    def __init__(
        self,
        parts: Parts,
        numerics: Numerics,
        *,
        adapter_of: Callable[[Reference], Adapter] = reference_images.adapter_of,
        crops: Callable[[Any], tuple[Any, ...]] = reference_crops.crops,
    ) -> None:
        self._parts, self._adapter_of, self._crops = parts, adapter_of, crops
        self._dtype, self._device = getattr(torch, numerics.dtype), torch_device(numerics)
        self._read: dict[Read, torch.Tensor | tuple[Any, ...]] = {}
        self._failed: dict[Read, SidelightError] = {}
        self._pulls: dict[str, ip_adapter.Pull] = {}
        self._networks: dict[tuple[int, str], torch.nn.Module] = {}
        self._readers: dict[str, ip_adapter.Reader | redux.Reader] = {}

    def unread(self, recipes: Sequence[Recipe]) -> Sequence[Recipe]:
        """Of recipes, those with references that are not read yet, one for each set of them."""
        if len(self._read) > KEPT:
            wanted = {_name(one) for recipe in recipes for one in reference_images.carried(recipe)}
            self._read = {name: made for name, made in self._read.items() if name in wanted}
        sets = {tuple(map(_name, reference_images.carried(recipe))): recipe for recipe in recipes}
        return [recipe for names, recipe in sets.items() if any(name not in self._read for name in names)]

    def read(self, recipe: Recipe, images: Callable[[Recipe], Images]) -> None:
        """Read a recipe's references; what cannot be read is told when its picture begins, which fails alone."""
        carried = reference_images.carried(recipe)
        for at, reference in enumerate(carried):
            if (name := _name(reference)) in self._read:
                continue
            try:
                self._read[name] = self._made(reference, self._crops(images(recipe).references[at]))
                self._failed.pop(name, None)
            except SidelightError as error:
                self._failed[name] = error

    def put_away(self) -> None:
        """Forget the image encoders."""
        self._readers.clear()

    def images(self, recipe: Recipe, images: Images) -> Images:
        """The recipe's images with sheets of skin in the place of references that a network reads as pictures."""
        sheets = tuple(self._sheet(one, recipe) for one in self._carried(recipe) if one.adapter is None)
        return Images(images.start, images.mask, sheets)

    def arguments(self, recipe: Recipe, words: Mapping[str, torch.Tensor], *, rows: int) -> Mapping[str, Any]:
        """The words as the pipeline's arguments, with what references add; `rows` of one call of the denoiser.

        Raises what reading a reference raised.
        """
        given: dict[str, Any] = dict(words)
        for reference in self._carried(recipe):
            read: Any = self._read[_name(reference)]
            if reference.mechanism == "ip-adapter":
                given["ip_adapter_image_embeds"] = [read[2 - rows :].to(self._device)]
            elif reference.mechanism == "redux":
                for name in ("prompt_embeds", "negative_prompt_embeds"):  # both, so that true guidance acts on words
                    if name in given:
                        tokens = read.to(given[name].device)
                        given[name] = redux.behind(given[name], tokens, weight=reference.weight)
        return given

    def network(self, recipe: Recipe, network: torch.nn.Module) -> torch.nn.Module:
        """The denoiser for this recipe: `network` itself, or one in which its IP-Adapter acts, for all weights one."""
        for reference in self._carried(recipe):
            if reference.mechanism == "ip-adapter" and reference.adapter:
                key = id(network), reference.adapter
                if key not in self._networks:
                    pull = self._pull(reference)
                    self._networks[key] = twin(network, partial(_pulled, network, pull))
                return self._networks[key]
        return network

    def weighed(self, recipe: Recipe, forward: Callable[..., Any]) -> Callable[..., Any]:
        """A call of the denoiser that says for each of its rows how strongly the reference pulls."""
        for reference in reference_images.carried(recipe):
            if reference.mechanism == "ip-adapter":
                return partial(_with_weight, forward, reference.weight)
        return forward

    def _carried(self, recipe: Recipe) -> Iterator[Reference]:
        for reference in reference_images.carried(recipe):
            if (name := _name(reference)) not in self._read:
                raise self._failed[name]
            yield reference

    def _made(self, reference: Reference, patches: tuple[Any, ...]) -> torch.Tensor | tuple[Any, ...]:
        if reference.adapter is None:
            return patches
        reader = self._reader(reference, reference.adapter)
        read = (
            reader.tokens(patches)
            if isinstance(reader, ip_adapter.Reader)
            else reader.tokens(reference_crops.sheet(patches))
        )
        return read.cpu()

    def _reader(self, reference: Reference, digest: str) -> ip_adapter.Reader | redux.Reader:
        if digest not in self._readers:
            adapter = self._adapter_of(reference)
            kind = ip_adapter.Reader if reference.mechanism == "ip-adapter" else redux.Reader
            self._readers[digest] = kind(adapter, dtype=self._dtype, device=self._device)
        return self._readers[digest]

    def _pull(self, reference: Reference) -> ip_adapter.Pull:
        assert reference.adapter, "checked: an IP-Adapter has a digest"
        if reference.adapter not in self._pulls:
            adapter, unet = self._adapter_of(reference), self._parts["unet"]
            self._pulls[reference.adapter] = ip_adapter.Pull(adapter, unet, dtype=self._dtype, device=self._device)
        return self._pulls[reference.adapter]

    def _sheet(self, reference: Reference, recipe: Recipe) -> Any:
        """Kontext was trained with a reference of the picture's own area; FLUX.2 takes any up to 1024 x 1024."""
        patches: Any = self._read[_name(reference)]
        side = math.isqrt(recipe.width * recipe.height) if reference.mechanism == "kontext" else None
        return reference_crops.sheet(patches, side=side)


def _name(reference: Reference) -> Read:
    return reference.image, reference.adapter


def _with_weight(forward: Callable[..., Any], weight: float, *args: Any, **kwargs: Any) -> Any:
    return forward(*args, reference_weight=torch.full((len(args[0]),), weight, device=args[0].device), **kwargs)


def _pulled(network: torch.nn.Module, pull: ip_adapter.Pull, **given: Any) -> Any:
    """One forward in which the adapter acts; the tokens stand beside the words, where diffusers' own UNet puts them."""
    weights, added = given.pop("reference_weight"), dict(given["added_cond_kwargs"])
    given["encoder_hidden_states"] = (given["encoder_hidden_states"], added.pop("image_embeds"))
    with pull.acting(weights):
        return network(**{**given, "added_cond_kwargs": added})
