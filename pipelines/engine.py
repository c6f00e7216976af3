"""Opens a checkpoint and makes pictures of recipes, as a generator of events. Knows nothing about files or people.

1 encode every distinct prompt, 2 put the text encoders away, 3 denoise all lanes side by side (`pipelines.coalesce`),
4 decode each picture as it ends. Closing the generator cancels: nothing is left running.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from pipelines import autoencoder, loras, reference_crops, reference_images, schedulers, solvers
from pipelines.adapters import Adapters
from pipelines.checkpoint import Checkpoint
from pipelines.coalesce import CellThread, Coalescer, Ended, Reported, Tally, twin
from pipelines.device import Numerics, less_memory, torch_device
from pipelines.errors import CellError, CheckpointError, InputError
from pipelines.events import Encoding, Event, Failed, Loading, Made, Preview, Shrunk, Stepped, Ticked
from pipelines.families import family_of
from pipelines.families.base import Images
from pipelines.guidance import within
from pipelines.recipe import Lora, Recipe, Reference
from pipelines.reference_images import Adapter
from pipelines.reference_inputs import ReferenceInputs
from pipelines.weights import LoadedParts

Lanes = Sequence[Sequence[Recipe]]
KEPT_WORDS = 64
"""Encoded prompts that are kept beside those in use: up to 8 MB each."""


@dataclass
class Course:
    """One picture on its way, and what its denoising has shown so far; written by its own pipeline alone."""

    recipe: Recipe
    lane: int
    begun: float = 0.0
    evaluations: int = 0
    beginning: solvers.Beginning | None = None


class Engine:
    """Holds one checkpoint's weights and makes pictures with them, under given numerics.

    `images` gives the pictures that a recipe names by hash, `lora_file` the file of a LoRA, `adapter_of` an image
    adapter; `crops` cuts what is read of a reference out of its picture. `open_parts` gives the components of the
    checkpoint, under these numerics or, where memory runs out, under smaller ones. With `previews`, every step tells a
    rough picture (and waits for the device, which costs a little); one that is called is asked each time.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        numerics: Numerics,
        *,
        images: Callable[[Recipe], Images] = lambda _: Images(),
        lora_file: Callable[[Lora], Path] = loras.file_of,
        adapter_of: Callable[[Reference], Adapter] = reference_images.adapter_of,
        crops: Callable[[Any], tuple[Any, ...]] = reference_crops.crops,
        open_parts: Callable[[Checkpoint, Numerics], LoadedParts] = LoadedParts,
        previews: bool | Callable[[], bool] = False,
    ) -> None:
        self.checkpoint, self.numerics = checkpoint, numerics
        self.tally = Tally()
        self._family = family_of(checkpoint)
        self._images, self._open_parts = images, open_parts
        self._is_preview_due = previews if callable(previews) else lambda: previews
        self._lora_file = lora_file
        self._parts = open_parts(checkpoint, numerics)
        self._adapters = Adapters(self._parts, self._family, lora_file)
        self._referring = partial(ReferenceInputs, adapter_of=adapter_of, crops=crops)
        self._references = self._referring(self._parts, numerics)
        self._words: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        self._posteriors: dict[str, torch.Tensor] = {}

    def run(self, lanes: Lanes) -> Generator[Event, None, None]:
        """Make every recipe's picture; each ends in `Made` or `Failed`, in no fixed order.

        Raises CheckpointError while loading, InputError if even the last rung of the memory ladder does not fit.
        """
        lanes = fold(lanes, self.numerics.lanes)
        if self.numerics.compile != "off" and any(_changes_layers(recipe) for lane in lanes for recipe in lane):
            raise InputError("LoRAs and IP-Adapters would have the layers compiled anew; give compile off")
        left = {recipe.key for lane in lanes for recipe in lane}
        while left:
            todo = [[recipe for recipe in lane if recipe.key in left] for lane in lanes]
            shortage = ""
            try:
                yield from self._encode([recipe for lane in todo for recipe in lane])
                yield from self._read([recipe for lane in todo for recipe in lane])
                yield from self._parts.open([self._family.denoiser, "vae", "scheduler"])
                for event in self._denoise(todo):
                    if isinstance(event, Made | Failed):
                        left.discard(event.key)
                    yield event
            except torch.OutOfMemoryError as error:
                shortage = (str(error) or "out of memory").splitlines()[0]
            if shortage:  # outside the except block, whose traceback still holds the tensors
                lanes = yield from self._shrink(lanes, shortage)

    def _encode(self, recipes: Sequence[Recipe]) -> Iterator[Loading | Encoding]:
        """Turn every distinct prompt into tensors, kept on the CPU, then put the encoders away (not on a CPU)."""
        family = self._family
        todo = {words: recipe for recipe in recipes if (words := self._said(recipe)) not in self._words}
        if not todo:
            return
        if len(self._words) > KEPT_WORDS:
            wanted = {self._said(recipe) for recipe in recipes}
            self._words = {words: made for words, made in self._words.items() if words in wanted}
        yield from self._parts.open(family.encoders)
        for done, (words, recipe) in enumerate(todo.items(), 1):
            try:
                self._adapters.speak(recipe)
            except CheckpointError:
                continue  # the recipe's own cell tells it when it begins, and fails alone
            with torch.no_grad():
                made = family.encode(self._parts, recipe, self.checkpoint)
            self._words[words] = {name: tensor.cpu() for name, tensor in made.items()}
            yield Encoding(done, len(todo))
        if torch_device(self.numerics) != "cpu":
            self._parts.put_away(family.encoders)

    def _read(self, recipes: Sequence[Recipe]) -> Iterator[Encoding]:
        """Turn every distinct reference into what the network reads of it, then put its encoder away (not on a CPU)."""
        todo = self._references.unread(recipes)
        for done, recipe in enumerate(todo, 1):
            self._references.read(recipe, self._images)
            yield Encoding(done, len(todo))
        if todo and torch_device(self.numerics) != "cpu":
            self._references.put_away()
            self._parts.put_away([])

    def _said(self, recipe: Recipe) -> tuple[Any, ...]:
        """What a recipe's encoded words depend on."""
        return self._adapters.words(recipe), *self._family.words(recipe)

    def _denoise(self, lanes: Lanes) -> Iterator[Event]:
        courses = [[Course(recipe, number) for recipe in lane] for number, lane in enumerate(lanes)]
        by_key = {course.recipe.key: course for lane in courses for course in lane}
        coalescer = Coalescer(min(self.numerics.lane_width, self._family.lane_width))
        coalescer.tally = self.tally
        threads = [(CellThread(course.recipe.key, partial(self._body, course)) for course in lane) for lane in courses]
        with closing(coalescer.run(threads)) as happenings:
            for happening in happenings:
                match happening:
                    case None:
                        yield Ticked()
                    case Reported(_, event):
                        yield event
                    case Ended(key, latents, None):
                        yield self._finish(by_key[key], latents)
                    case Ended(_, _, torch.OutOfMemoryError() as error):
                        raise error
                    case Ended(key, _, error):
                        yield Failed(key, str(error) if isinstance(error, CellError | InputError) else _told(error))

    def _body(self, course: Course, cell: CellThread) -> Any:
        """On the cell's thread: the stock pipeline from noise to latents, its denoiser parked at every call."""
        course.begun, recipe = time.monotonic(), course.recipe
        family, parts, device = self._family, self._parts, torch_device(self.numerics)
        generator = torch.Generator("cpu").manual_seed(recipe.seed)
        scheduler = solvers.build(
            recipe.scheduler,
            parts["scheduler"],
            family=family.name,
            spacing=recipe.spacing,
            seed=recipe.seed,
            generator=generator,
        )
        network = self._adapters.network(recipe)
        words = {name: tensor.to(device) for name, tensor in self._words[self._said(recipe)].items()}
        given = self._references.arguments(recipe, words, rows=family.rows(recipe))
        network = self._references.network(recipe, network)
        forward: Callable[..., Any] = self._references.weighed(recipe, partial(cell.park, network))
        forward = partial(_counted, course, forward)
        if recipe.guidance_interval != (0.0, 1.0):
            forward = within(
                recipe.guidance_interval,
                forward,
                evaluations=schedulers.evaluations_of(recipe),
                rows=family.rows(recipe),
            )
        own = {
            family.denoiser: twin(parts[family.denoiser], forward),
            "vae": self._remembering_vae(),
            "scheduler": scheduler,
        }
        pipe = family.pipeline({**parts, **own}, recipe)
        pipe.set_progress_bar_config(disable=True)
        made = pipe(
            **given,
            **family.arguments(recipe, self._references.images(recipe, self._images(recipe))),
            generator=generator,
            output_type="latent",
            callback_on_step_end=partial(self._step, course, cell),
            callback_on_step_end_tensor_inputs=["latents"],
        )
        return made.images

    def _step(self, course: Course, cell: CellThread, pipe: Any, index: int, timestep: Any, now: Any) -> Any:
        """The pipeline's own callback: tell the step; note where on the noise schedule the first one stood."""
        if index == 0:
            course.beginning = solvers.begins_at(pipe.scheduler, timestep)
        cell.events.append(Stepped(course.recipe.key, index + 1, pipe.num_timesteps))
        if self._is_preview_due():
            latents = self._family.latents(now["latents"], course.recipe, self.checkpoint)
            shown = autoencoder.preview(self._parts["vae"], self._colours, latents)
            cell.events.append(Preview(course.recipe.key, index + 1, shown))
        return now

    def _remembering_vae(self) -> Any:
        """The VAE for one pipeline: it remembers what it encoded (the posterior, not a sample drawn from it).

        Stock img2img and inpainting cast the VAE about; this one stays in its own dtype and answers in the asker's.
        """
        vae = self._parts["vae"]

        def encode(x: torch.Tensor) -> Any:
            name = hashlib.sha256(x.float().cpu().numpy().tobytes()).hexdigest()
            if name not in self._posteriors:
                self._posteriors[name] = autoencoder.posterior(vae, x)
            return autoencoder.as_encoded(self._posteriors[name], x.dtype)

        other: Any = twin(vae, vae.forward)
        other.encode, other.to = encode, lambda *_, **__: other
        return other

    @cached_property
    def _colours(self) -> torch.Tensor:
        return autoencoder.preview_colours(self._parts["vae"])

    def _finish(self, course: Course, packed: torch.Tensor) -> Made | Failed:
        """Latents to pixels; values that are no numbers are found before they would become black."""
        recipe, beginning = course.recipe, course.beginning
        assert beginning, "a picture is done that has not taken a step"
        latents = self._family.latents(packed, recipe, self.checkpoint)
        try:
            with self._room_to_decode():
                decoded, warnings = autoencoder.decode(self._parts["vae"], latents)
        except CellError as error:
            return Failed(recipe.key, str(error))
        return Made(
            recipe.key,
            decoded,
            first_timestep=beginning.timestep,
            first_sigma=beginning.sigma,
            evaluations=course.evaluations,
            numerics=self.numerics,
            lane=course.lane,
            seconds=time.monotonic() - course.begun,
            warnings=warnings + self._adapters.warnings(recipe),
        )

    @contextmanager
    def _room_to_decode(self) -> Iterator[None]:
        denoiser = self._parts[self._family.denoiser]
        if self.numerics.offload == "model":
            denoiser.to("cpu")
        try:
            yield
        finally:
            if self.numerics.offload == "model":
                denoiser.to(torch_device(self.numerics))

    def _shrink(self, lanes: Lanes, shortage: str) -> Generator[Event, None, Lanes]:
        """Take the next rung of the memory ladder: other numerics, weights opened anew, lanes laid together."""
        self.numerics = less_memory(self.numerics)
        yield Shrunk(self.numerics, shortage)
        self._posteriors.clear()  # a tiled autoencoder encodes differently
        self._parts.put_away([self._family.denoiser, "vae"])
        self._parts = self._open_parts(self.checkpoint, self.numerics)
        self._adapters = Adapters(self._parts, self._family, self._lora_file)
        self._references = self._referring(self._parts, self.numerics)
        return fold(lanes, self.numerics.lanes)


def _changes_layers(recipe: Recipe) -> bool:
    return bool(recipe.loras) or any(reference.mechanism == "ip-adapter" for reference in recipe.references)


def _told(error: BaseException | None) -> str:
    """What is our bug, or a library's: with its kind."""
    return f"{type(error).__name__}: {error}"


def fold(lanes: Lanes, count: int) -> Lanes:
    """Lay lanes into `count` of them: lane n goes to n modulo `count`, empty ones stay, as their rows are padded."""
    return [[recipe for lane in lanes[first::count] for recipe in lane] for first in range(count)]


def _counted(course: Course, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    course.evaluations += 1
    return forward(*args, **kwargs)
