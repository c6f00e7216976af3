"""ComfyUI's API graph: from the saved picture back to its samplers. Knows nothing about containers or Drafts.

Nodes are found by links, never by their order: the seed of one sampler never meets the prompt of another. The editor's
own graph (`workflow`) is not read: its values stand by position, which differs between versions of a node, and its seed
may be the next one.
"""

from collections.abc import Mapping
from typing import Any

from pipelines.foreign.comfy_words import Words
from pipelines.foreign.graph import Graph, Node
from pipelines.foreign.said import OTHER_VAE, ForeignPass, Told, Unmapped

EDITOR_ONLY = (
    "only the editor's graph (workflow) is kept, whose values stand by position and whose seed may be the next one;"
    " save with ComfyUI's own SaveImage, which keeps the graph that ran (prompt)"
)
ONE_OF = "picture"
"""Begins the role of a pass where the graph saves several pictures."""
_SAMPLERS = {"SamplerCustom", "SamplerCustomAdvanced"}
_UPSTREAM = ("latent_image", "latent", "samples", "optional_latent", "image", "pixels", "upscaled_image")
_ELSEWHERE = (
    "model", "clip", "vae", "positive", "negative", "conditioning", "control", "guider", "noise", "sampler", "sigmas",
    "mask", "upscale_model", "bbox", "sam", "segm", "style", "ipadapter", "insightface", "pipe",
)  # fmt: skip
"""Beginnings of the names of inputs that lead to no latent or picture on the way to the saved one."""
_SAMPLER_NODES = {
    "SamplerEulerAncestral": "euler_ancestral", "SamplerDPMPP_2M_SDE": "dpmpp_2m_sde", "SamplerDPMPP_SDE": "dpmpp_sde",
    "SamplerLMS": "lms", "SamplerDPMPP_3M_SDE": "dpmpp_3m_sde", "SamplerDPMPP_2S_Ancestral": "dpmpp_2s_ancestral",
}  # fmt: skip
_SCHEDULE_NODES = {
    "KarrasScheduler": "karras", "ExponentialScheduler": "exponential", "BetaSamplingScheduler": "beta",
    "SDTurboScheduler": "turbo", "Flux2Scheduler": "simple", "AlignYourStepsScheduler": "align_your_steps",
}  # fmt: skip
_KINDS = (
    ("LoadImage", "a picture that is not in the file"),
    ("VAELoader", OTHER_VAE),
    ("CLIPLoader", "a part that was loaded beside the checkpoint; models.txt says which are loaded here"),
    ("UNETLoader", "how the weights were held in memory"),
    ("ControlNet", "a ControlNet steered it; Sidelight leaves it out"),
    ("IPAdapter", "a reference image steered it; Sidelight leaves it out"),
    ("Upscale", "an upscale after the first pass; Sidelight leaves it out"),
)
"""Words in a node's kind, and why its values found no place."""
_NO_PIXELS = ("filename_prefix", "control_after_generate", "speak_and_recognation", "preview_method", "type", "device")
_PASSED_OVER = "a node that Sidelight does not know acts here; what it does is left out"


def read(entries: Mapping[str, Any], extra: str = "") -> Told:
    """What a graph says of the picture it saved; `extra` is text kept beside it that was not used.

    Raises InputError for graphs in circles, too deep or too large.
    """
    graph = Graph(entries)
    walk = _Walk(graph)
    chains = walk.chains()
    passes = tuple(each for chain in chains for each in chain)
    base = _agreed(chains, graph.unmapped)
    unmapped = [*graph.unmapped, *_left(graph)]
    if extra:
        unmapped.append(Unmapped.of("parameters", extra, "a summary beside the graph; the graph is what ran"))
    if not passes:
        unmapped.append(
            Unmapped.of("graph", f"{len(graph.nodes)} nodes", "no sampler was found behind a saved picture")
        )
    models = [f"model {each.model.name}" for each in passes if each.model]
    hints = (*models, *walk.hints, *(f"node {node.kind}" for node in graph.nodes.values() if node.id in graph.seen))
    return Told("ComfyUI", "", passes, base, hints, tuple(dict.fromkeys(unmapped)), ())


class _Walk:
    """One reading of a graph; `hints` are words on the way that may tell the family."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.hints: list[str] = []

    def chains(self) -> list[tuple[ForeignPass, ...]]:
        """For every saved picture its passes in order; a chain that another one goes on with is left out."""
        found: list[tuple[Node, ...]] = []
        for root in self._roots():
            self.graph.seen.add(root.id)
            chain: dict[str, Node] = {}
            self._flow(root, chain, set(), 0)
            if chain and tuple(chain.values()) not in found:
                found.append(tuple(chain.values()))
        ids = [{node.id for node in chain} for chain in found]
        whole = [chain for chain, own in zip(found, ids, strict=True) if not any(own < other for other in ids)]
        named = [f"{ONE_OF} {number}: " if len(whole) > 1 else "" for number in range(1, len(whole) + 1)]
        return [self._passes(chain, name) for chain, name in zip(whole, named, strict=True)]

    def _roots(self) -> list[Node]:
        """Nodes that save; else those that preview; else those that nothing goes on from."""
        nodes = [node for node in self.graph.nodes.values() if any(map(self.graph.link, node.inputs.values()))]
        linked = self.graph.linked()
        ends = [node for node in nodes if node.id not in linked]
        for words in (("save",), ("preview",)):
            if saving := [node for node in nodes if any(word in node.kind.casefold() for word in words)]:
                return saving
        return ends

    def _flow(self, node: Node, chain: dict[str, Node], been: set[str], depth: int) -> None:
        """Samplers upstream of a node, the first to run first."""
        if node.id in been:
            return
        been.add(node.id)
        self.graph.follow(node.inputs.get("vae"), depth)  # met, so that another VAE is listed
        for name, value in node.inputs.items():
            if name not in _UPSTREAM and (_is_sampler(node) or name.casefold().startswith(_ELSEWHERE)):
                continue
            if found := self.graph.follow(value, depth):
                self._flow(found[0], chain, been, depth + 1)
        if _is_sampler(node):
            chain[node.id] = node

    def _passes(self, chain: tuple[Node, ...], picture: str) -> tuple[ForeignPass, ...]:
        passes = []
        for number, node in enumerate(chain):
            one = self._pass(node)
            if "image" in node.inputs:
                role = node.kind  # a detailer or an upscaler that samples by itself
            elif number == 0:
                role = "base"
            else:
                role = "refiner" if one.first_step else "second pass"
            passes.append(one.but(role=picture + role))
        return tuple(passes)

    def _pass(self, node: Node) -> ForeignPass:
        words = Words(self.graph)
        said = self._custom(node, words) if node.kind in _SAMPLERS else self._plain(node, words)
        self.hints += words.hints
        return ForeignPass.read(said | {"spelling": "comfyui", "distilled": words.distilled})

    def _plain(self, node: Node, words: Words) -> dict[str, Any]:
        """KSampler, KSamplerAdvanced, and nodes of packs with the same inputs."""
        take, graph = self.graph.take, self.graph
        is_noised = take(node, "add_noise") not in ("disable", False)
        steps = graph.whole(node, "steps", low=1, high=1000)
        first, last = graph.whole(node, "start_at_step"), graph.whole(node, "end_at_step")
        take(node, "return_with_leftover_noise")
        return {
            "seed": graph.whole(node, "seed", "noise_seed") if is_noised else None,
            "steps": steps,
            "cfg": graph.number(node, "cfg"),
            "sampler": graph.text(take(node, "sampler_name")) or "",
            "schedule": graph.text(take(node, "scheduler")),
            "denoise": graph.number(node, "denoise", high=1),
            "first_step": first or None,
            "last_step": last if last is not None and steps is not None and last < steps else None,
            **words.texts(take(node, "positive"), take(node, "negative")),
            **words.model(take(node, "model")),
            **words.latent(take(node, *_UPSTREAM)),
        }

    def _custom(self, node: Node, words: Words) -> dict[str, Any]:
        """SamplerCustom and SamplerCustomAdvanced: guider, noise, sampler and sigmas are nodes of their own."""
        take, graph = self.graph.take, self.graph
        noise = graph.follow(take(node, "noise"), 0)
        is_noised = take(node, "add_noise") is not False
        guider = graph.follow(take(node, "guider"), 0)
        source = guider[0] if guider else node
        positive = take(source, "positive", "conditioning", "cond1")
        return {
            "seed": graph.whole(noise[0] if noise else node, "noise_seed", "seed") if is_noised else None,
            "cfg": graph.number(source, "cfg", "cfg_conds") if source.kind != "BasicGuider" else 1.0,
            "sampler": self._sampler(take(node, "sampler")),
            **self._sigmas(take(node, "sigmas")),
            **words.texts(positive, take(source, "negative")),
            **words.model(take(source, "model")),
            **words.latent(take(node, *_UPSTREAM)),
        }

    def _sampler(self, value: Any) -> str:
        if not (found := self.graph.follow(value, 0)):
            return ""
        node = found[0]
        name = self.graph.text(self.graph.take(node, "sampler_name"))
        return name or _SAMPLER_NODES.get(node.kind, node.kind)

    def _sigmas(self, value: Any, depth: int = 0) -> dict[str, Any]:
        """Steps, schedule and strength of the grid of noise; nodes that cut it in two tell which part is walked."""
        if not (found := self.graph.follow(value, depth)):
            return {}
        node, output = found
        take, graph = self.graph.take, self.graph
        if node.kind == "SplitSigmas":
            step = graph.whole(node, "step", high=1000)
            part = {"last_step": step} if output == 0 else {"first_step": step}
            return self._sigmas(take(node, "sigmas"), depth + 1) | part
        if "sigmas" in node.inputs:
            graph.unmapped.append(Unmapped.of(node.label, "", _PASSED_OVER))
            return self._sigmas(take(node, "sigmas"), depth + 1)
        schedule = graph.text(take(node, "scheduler")) or _SCHEDULE_NODES.get(node.kind, node.kind)
        return {
            "steps": graph.whole(node, "steps", low=1, high=1000),
            "schedule": schedule,
            "denoise": graph.number(node, "denoise", high=1),
        }


def _is_sampler(node: Node) -> bool:
    return node.kind in _SAMPLERS or {"sampler_name", "steps"} <= node.inputs.keys()


def _agreed(chains: list[tuple[ForeignPass, ...]], unmapped: list[Unmapped]) -> ForeignPass | None:
    """The first pass; of several saved pictures only what all their first passes agree on."""
    firsts = [chain[0] for chain in chains]
    if len(firsts) < 2:
        return firsts[0] if firsts else None
    base = firsts[0]
    base = base.but(role="base")
    for name in (name for name in ForeignPass.model_fields if name != "role"):
        values = [getattr(first, name) for first in firsts]
        if any(value != values[0] for value in values):
            base = base.but(**{name: ForeignPass.model_fields[name].default})
            why = f"the graph saves {len(firsts)} pictures that differ in it, and not which one this file is"
            unmapped.append(Unmapped.of(name, " | ".join(map(str, values)), why))
    return base


def _left(graph: Graph) -> list[Unmapped]:
    """Values of nodes on the way that no field stands for, and nodes beside the way."""
    unmapped = [
        Unmapped.of(f"{node.label} {name}", value, _reason(node, name))
        for node, name, value in graph.left()
        if not (name == "batch_size" and value == 1)
    ]
    unmapped += [Unmapped.of(name, value, "is no node of the graph") for name, value in graph.others.items()]
    aside = [node.label for node in graph.aside()]
    if aside:
        unmapped.append(Unmapped.of("other nodes", ", ".join(aside), "are not on the way to the saved picture"))
    return unmapped


def _reason(node: Node, name: str) -> str:
    if name == "batch_size":
        return "the seed is of the whole batch, and which picture of it this is is not recorded: only the first matches"
    if name in _NO_PIXELS or node.kind in ("SaveImage", "PreviewImage"):
        return "says nothing about the pixels"
    if node.kind.startswith("ModelSampling"):
        return "moves the noise schedule; on FLUX say it as --scheduler NAME:shift=VALUE or :max_shift=VALUE"
    for words, why in _KINDS:
        if words.casefold() in node.kind.casefold():
            return why
    return "no field of a Draft stands for it"
