"""Trains the tiny CLIP and T5 text encoders to understand captions, and saves them as the pipelines want them.

The task is cheap: say from the encoder's outputs which attributes a caption named. That puts "dark" of "dark skin" and
of "dark background" in different places, which a random encoder does not, and the denoisers can then use frozen,
cached embeddings. Knows nothing about pictures.
"""

import argparse
import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from pipelines.demo.attributes import CLOTH, GROUND, HAIR, TONES, WORDS, Caption, caption, sample
from pipelines.demo.training.captions import FILLER, with_filler
from pipelines.demo.training.tokenizing import Tokenizers, build

VALUES: dict[str, list[Any]] = {
    "light": ["side left", "side right", "front"],
    "hard": ["hard", "soft"],
    "tone": list(TONES),
    "skin": ["textured", "smooth"],
    "hair": list(HAIR),
    "style": ["long", "short", "bald"],
    "ground": list(GROUND),
    "cloth": list(CLOTH),
    "sex": ["woman", "man"],
    "smile": [True, False],
    "beard": [True],
    "freckles": [True],
    "turn": ["left", "right"],
}
RATE = 2e-3
BATCH = 32


def typed(rng: np.random.Generator) -> Caption:
    """A caption as a person might type it, with what it really says."""
    if rng.random() < 0.04:
        return Caption("", {})
    told = caption(sample(rng), rng)
    text, said = told.text, told.said
    if rng.random() < 0.5:
        text = with_filler(text, rng, most=5)
    parts = text.split(", ")
    if rng.random() < 0.15:
        parts, said = parts[1:], {k: v for k, v in said.items() if k != "sex"}
    text = (", " if rng.random() < 0.9 else " and ").join(parts) + ("." if rng.random() < 0.2 else "")
    return Caption(text[:1].upper() + text[1:] if rng.random() < 0.4 else text, said)


class Reader(nn.Module):
    """Reads every attribute out of a token sequence with one learned query each, and out of a pooled vector if any."""

    def __init__(self, width: int, pooled: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(len(VALUES), width) * 0.1)
        self.out = nn.ModuleList(nn.Linear(width, len(v) + 1) for v in VALUES.values())
        self.pool = nn.ModuleList(nn.Linear(pooled, len(v) + 1) for v in VALUES.values()) if pooled else None

    def forward(self, tokens: Tensor, pooled: Tensor | None, target: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, and the share of right answers (over attributes not named too)."""
        mixed = torch.softmax(torch.einsum("btd,ad->bat", tokens, self.query), -1) @ tokens
        scores = [f(mixed[:, i]) for i, f in enumerate(self.out)]
        answers = torch.cat([target, target], 1) if self.pool is not None else target
        if self.pool is not None:
            scores += [f(pooled) for f in self.pool]
        losses = [F.cross_entropy(s, answers[:, i]) for i, s in enumerate(scores)]
        right = torch.stack([s.argmax(-1) == answers[:, i] for i, s in enumerate(scores)]).float().mean()
        return torch.stack(losses).sum() / len(VALUES), right


@dataclass(frozen=True)
class Encoders:
    """SDXL's first and second (the second, without projection, is FLUX's too), and FLUX's T5."""

    first: CLIPTextModel
    second: CLIPTextModelWithProjection
    t5: T5EncoderModel


def encoders(tokens: Tokenizers) -> Encoders:
    """Untrained, with token embeddings large enough to tell words apart from the start."""

    def config(width: int, layers: int) -> CLIPTextConfig:
        one = tokens.first
        return CLIPTextConfig(
            vocab_size=len(one),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=width // 32,
            projection_dim=96,
            bos_token_id=one.bos_token_id,
            eos_token_id=one.eos_token_id,
            pad_token_id=one.pad_token_id,
        )

    t5 = T5Config(
        vocab_size=len(tokens.t5),
        d_model=96,
        d_kv=24,
        d_ff=192,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        use_cache=False,
        tie_word_embeddings=False,
    )
    made = Encoders(CLIPTextModel(config(64, 2)), CLIPTextModelWithProjection(config(96, 3)), T5EncoderModel(t5))
    for clip in (made.first, made.second):
        nn.init.normal_(clip.get_input_embeddings().weight, 0, 0.25)
    nn.init.normal_(made.t5.shared.weight, 0, 1.0)
    return made


def answers(said: list[dict[str, Any]]) -> Tensor:
    """(b, attributes): 0 for what a caption does not name, else the value's number from 1."""
    return torch.tensor(
        [[VALUES[k].index(s[k]) + 1 if k in s and s[k] in VALUES[k] else 0 for k in VALUES] for s in said]
    )


def padded(tokenizer: Any, texts: list[str], length: int) -> Tensor:
    ids: Tensor = tokenizer(
        texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids
    return ids


def train(e: Encoders, t: Tokenizers, rng: np.random.Generator, steps: int) -> None:
    """Trains all three at once, in place."""
    readers = Reader(64, 64), Reader(96, 96), Reader(96, 0)
    parameters = [q for m in (e.first, e.second, e.t5, *readers) for q in m.parameters()]
    optimiser, start = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01), time.monotonic()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 40) * (1 - step / steps) ** 0.7
        lines = [typed(rng) for _ in range(BATCH)]
        texts, target = [line.text for line in lines], answers([line.said for line in lines])
        # the pipeline gives T5 no mask, so padding reaches the attention: any amount of it must do no harm
        length = 512 if step % 40 == 39 else int(rng.choice([48, 64, 64, 128]))
        few = 8 if length == 512 else BATCH
        a = e.first(padded(t.first, texts, 77), output_hidden_states=True)
        b = e.second(padded(t.second, texts, 77), output_hidden_states=True)
        told = [
            readers[0](a.hidden_states[-2], a.pooler_output, target),
            readers[1](b.hidden_states[-2], b.text_embeds, target),
            readers[2](e.t5(padded(t.t5, texts[:few], length))[0], None, target[:few]),
        ]
        loss = torch.stack([loss for loss, _ in told]).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if step % 50 == 49:
            right = [round(share.item(), 3) for _, share in told]
            print(
                f"{step + 1} loss {loss.item():.3f} right {right} {(time.monotonic() - start) / (step + 1):.2f} s",
                flush=True,
            )


def without_projection(second: CLIPTextModelWithProjection) -> CLIPTextModel:
    """FLUX's CLIP: the body of SDXL's second encoder; padding after the end token is never read."""
    clip = CLIPTextModel(copy.deepcopy(second.config))
    body = {
        k.removeprefix("text_model."): v for k, v in second.state_dict().items() if not k.startswith("text_projection")
    }
    clip.load_state_dict({k: body[k.removeprefix("text_model.")] for k in clip.state_dict()})
    return clip


def save(out: Path, e: Encoders, t: Tokenizers) -> None:
    """Two folders, `sdxl` and `flux`, laid out as in the pipelines."""
    for tokenizer in (t.first, t.second, t.t5):  # else the last batch's padding is saved as if the tokenizer's own
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()
    t.first.save_pretrained(out / "sdxl" / "tokenizer")
    t.second.save_pretrained(out / "sdxl" / "tokenizer_2")
    e.first.save_pretrained(out / "sdxl" / "text_encoder")
    e.second.save_pretrained(out / "sdxl" / "text_encoder_2")
    t.first.save_pretrained(out / "flux" / "tokenizer")
    t.t5.save_pretrained(out / "flux" / "tokenizer_2")
    without_projection(e.second).save_pretrained(out / "flux" / "text_encoder")
    e.t5.save_pretrained(out / "flux" / "text_encoder_2")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("out", type=Path)
    p.add_argument("--steps", type=int, default=650)
    p.add_argument("--seed", type=int, default=0)
    o = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(o.seed)
    rng = np.random.default_rng(o.seed)
    corpus = [typed(rng).text for _ in range(4000)] + FILLER * 3 + [w for words in WORDS.values() for w in words] * 3
    tokens = build(corpus)
    made = encoders(tokens)
    train(made, tokens, rng, o.steps)
    save(o.out, made, tokens)


if __name__ == "__main__":
    main()
