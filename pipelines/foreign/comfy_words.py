"""What feeds a ComfyUI sampler: its texts, model, LoRAs and latent. Knows nothing about samplers."""

from typing import Any

from pipelines.foreign.graph import Graph, Node
from pipelines.foreign.ledger import number
from pipelines.foreign.said import ForeignLora, Model, Unmapped

_TEXT_NODES = {
    "CLIPTextEncode": ("text",), "CLIPTextEncodeSDXL": ("text_g", "text_l"), "CLIPTextEncodeSDXLRefiner": ("text",),
    "CLIPTextEncodeFlux": ("t5xxl", "clip_l"), "smZ CLIPTextEncode": ("text",), "BNK_CLIPTextEncodeAdvanced": ("text",),
}  # fmt: skip
"""Inputs that hold the prompt; a second one is the text of another encoder."""
_SEVERAL = {
    "ConditioningCombine": ("conditioning_1", "conditioning_2"),
    "ConditioningConcat": ("conditioning_to", "conditioning_from"),
    "ConditioningAverage": ("conditioning_to", "conditioning_from"),
}
_SOURCES = ("VAEEncode", "VAEEncodeForInpaint", "VAEEncodeTiled", "InpaintModelConditioning")
_NOT_HERE = "a text that is not in the graph (made while it ran, by {label})"


class Words:
    """One sampler's inputs, walked back to where they come from. `distilled` is known after `texts`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.distilled: float | None = None
        self.hints: list[str] = []
        self._clip_skip: int | None = None
        self._loras: dict[str, ForeignLora] = {}

    def texts(self, positive: Any, negative: Any) -> dict[str, Any]:
        """Prompt, negative and clip_skip."""
        prompt = self._words(positive, side="positive", depth=0)
        return {
            "prompt": prompt,
            "negative": self._words(negative, side="negative", depth=0),
            "clip_skip": self._clip_skip,
        }

    def model(self, value: Any) -> dict[str, Any]:
        """The checkpoint that a model comes from, and the LoRAs on the way, first loaded first."""
        model = self._model(value, 0)
        return {"model": model, "loras": tuple(reversed(self._loras.values()))}

    def latent(self, value: Any, depth: int = 0) -> dict[str, Any]:
        """The size in pixels, where an empty latent or an upscale says it; what it began from otherwise."""
        if not (found := self.graph.follow(value, depth)):
            return {}
        node, _ = found
        if node.kind in _SOURCES:
            return {"begins_from": self._image(node, depth) or "an image that is not in the file"}
        if "sampler_name" in node.inputs or node.kind.startswith("SamplerCustom"):
            return {}  # an earlier pass, which has its own size
        if "samples" not in node.inputs or "width" in node.inputs:
            width = self.graph.whole(node, "width", "empty_latent_width", low=1, high=10**6)
            height = self.graph.whole(node, "height", "empty_latent_height", low=1, high=10**6)
            if width and height:
                return {"width": width, "height": height}
        for name in ("samples", "latent", "latent_image"):
            if name in node.inputs:
                return self.latent(self.graph.take(node, name), depth + 1)
        self.graph.unmapped.append(
            Unmapped.of(f"{node.label} size", "", "no size stands in the graph; say --width, --height")
        )
        return {}

    def _words(self, value: Any, *, side: str, depth: int) -> str | None:
        """The text of a conditioning; None where it is zeros, or not to be had. `side` is the side it came in by."""
        if not (found := self.graph.follow(value, depth)):
            return None
        node, output = found
        take = self.graph.take
        if node.kind == "ConditioningZeroOut":
            take(node, "conditioning")
            return None
        if "guidance" in node.inputs and side == "positive":
            self.distilled = self.graph.number(node, "guidance")
        if node.kind in _TEXT_NODES:
            return self._encoded(node, side)
        if node.kind in _SEVERAL:
            return self._several(node, side, depth)
        if "ckpt_name" in node.inputs:  # a loader that holds the texts itself, and counts its model first
            return self.graph.text(take(node, "negative" if output == 2 else "positive"), depth + 1)
        if "positive" in node.inputs and "negative" in node.inputs:
            self._met(node)
            inside = take(node, "negative" if output == 1 else "positive")
            return self._words(inside, side=side, depth=depth + 1)
        for name in ("conditioning", "conditioning_to", "positive", "cond"):
            if self.graph.link(node.inputs.get(name)):
                self._met(node)
                return self._words(take(node, name), side=side, depth=depth + 1)
        text = self.graph.text(take(node, "text", "prompt", "positive_prompt"), depth + 1)
        if text is None and (only := self._only_link(node)):  # a switch or relay of some pack
            self._met(node)
            return self._words(only, side=side, depth=depth + 1)
        if text is None:
            self.graph.unmapped.append(Unmapped.of(f"{side} prompt", "", _NOT_HERE.format(label=node.label)))
        return text

    def _encoded(self, node: Node, side: str) -> str | None:
        """The text of an encoding node; its second encoder's text has no place of its own."""
        names = _TEXT_NODES[node.kind]
        texts = [self.graph.text(self.graph.take(node, name), 1) for name in names]
        chosen = next(filter(None, texts), texts[0])
        if chosen is None:
            self.graph.unmapped.append(Unmapped.of(f"{side} prompt", "", _NOT_HERE.format(label=node.label)))
        for name, text in zip(names, texts, strict=True):
            if text != chosen:
                why = "another text for one of the two encoders; a Recipe has one text for both"
                self.graph.unmapped.append(Unmapped.of(f"{node.label} {name}", text or "", why))
        if side == "positive":
            self._clip(self.graph.take(node, "clip"), 1)
        else:
            self.graph.take(node, "clip")
        return chosen

    def _several(self, node: Node, side: str, depth: int) -> str | None:
        first, *others = (
            self._words(self.graph.take(node, name), side=side, depth=depth + 1) for name in _SEVERAL[node.kind]
        )
        for text in others:
            why = f"{node.kind} adds it to the first prompt; a Recipe has one"
            self.graph.unmapped.append(Unmapped.of(f"{side} prompt, further", text or "", why))
        return first

    def _model(self, value: Any, depth: int) -> Model | None:
        if not (found := self.graph.follow(value, depth)):
            return None
        node, _ = found
        self._adapters(node)
        name = self.graph.text(
            self.graph.take(node, "ckpt_name", "unet_name", "model_name", "base_ckpt_name", "ckpt", "gguf_name"),
            depth + 1,
        )
        if name:
            self._clip_layer(node, "clip_skip")
            return Model(name=name)
        if not node.kind.startswith("LoraLoader") and "Lora" not in node.kind:
            self._met(node)
        for inside in ("model", "base_model", "model1"):
            if inside in node.inputs:
                return self._model(self.graph.take(node, inside), depth + 1)
        return self._model(self._only_link(node), depth + 1)

    def _only_link(self, node: Node) -> Any:
        """The one link of a node that has one; None otherwise."""
        links = [value for value in node.inputs.values() if self.graph.link(value)]
        return links[0] if len(links) == 1 else None

    def _clip(self, value: Any, depth: int) -> None:
        """Layers skipped on the way from the text to the encoder."""
        while found := self.graph.follow(value, depth):
            node, depth = found[0], depth + 1
            if isinstance(kind := self.graph.take(node, "type"), str):
                self.hints.append(f"text encoder of type {kind}")
            if node.kind == "CLIPSetLastLayer":
                self._clip_layer(node, "stop_at_clip_layer")
            value = self.graph.take(node, "clip")

    def _clip_layer(self, node: Node, name: str) -> None:
        """ComfyUI counts from the last layer, -1; -2 is SDXL's normal."""
        layer = self.graph.whole(node, name, low=-24, high=-1)
        if layer == -1:
            self.graph.unmapped.append(
                Unmapped.of("clip layer", -1, "SDXL's encoders end one layer earlier here, as trained")
            )
        elif layer is not None:
            self._clip_skip = -2 - layer

    def _adapters(self, node: Node) -> None:
        """LoRAs of one node, in the forms of ComfyUI and of the packs most used."""
        take = self.graph.take
        if "lora_name" in node.inputs:
            name = take(node, "lora_name")
            weight = take(node, "strength_model", "lora_model_strength", "strength", "lora_weight")
            self._adapter(node, name, weight, take(node, "strength_clip", "lora_clip_strength"))
        for key, value in node.inputs.items():
            if key.startswith("lora_") and isinstance(value, dict):  # rgthree's Power Lora Loader
                take(node, key)
                if value.get("on") is True:
                    self._adapter(node, value.get("lora"), value.get("strength"), value.get("strengthTwo"))

    def _adapter(self, node: Node, name: Any, weight: Any, text_weight: Any) -> None:
        plain = self.graph.text(name.get("content") if isinstance(name, dict) else name)
        strength = number(weight, -100, 100)
        if plain == "None":
            return
        if plain is None or strength is None:
            self.graph.unmapped.append(Unmapped.of(node.label, f"{name} {weight}", "is no LoRA with a weight"))
            return
        text = number(text_weight, -100, 100)
        self._loras[node.id + plain] = ForeignLora(name=plain, weight=strength, text_weight=text)

    def _image(self, node: Node, depth: int) -> str:
        """The name of the image that was encoded into the latent, "" if it does not stand in the graph."""
        value = self.graph.take(node, "pixels", "image")
        while found := self.graph.follow(value, depth):
            node, depth = found[0], depth + 1
            inside = self.graph.take(node, "image", "pixels", "images", "samples")
            if isinstance(inside, str):
                return inside
            value = inside
        return ""

    def _met(self, node: Node) -> None:
        """A node that changes what passes it, in a way a Recipe does not hold."""
        if node.kind in ("Reroute", "FluxGuidance") or node.kind.startswith("ModelSampling"):
            return  # their values are listed one by one, or mapped
        self.graph.unmapped.append(
            Unmapped.of(node.label, "", "acts on the way to the picture; Sidelight leaves it out")
        )
        for value in node.inputs.values():
            self.graph.follow(value, 0)  # what feeds it is listed too
