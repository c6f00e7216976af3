"""Trains a small AutoencoderKL on crops of the rendered portraits and saves it as a diffusers folder.

Knows nothing about captions. 4 latent channels make the SDXL one (factor 4), 16 the FLUX one (factor 8).
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from pipelines.demo.training.compiling import dead_parameters, repair
from pipelines.demo.training.loop import Learner, clock
from pipelines.demo.training.pictures import Pictures, crops, latents, load, signed

NOISE = 0.08  # of the latent's standard deviation; also makes the decoder forgive what the denoiser leaves
SPREAD = 0.02  # weight of the pull towards latents of zero mean and unit variance


def build(channels: int) -> AutoencoderKL:
    """SDXL's layout with quant convs for 4 channels, FLUX's without them for 16; narrow where the picture is large.

    SDXL's takes two halvings, not three: with only 4 channels, factor 8 loses every pore. Two norm groups: with eight
    the last layer had two channels a group, which is nearly instance norm, and red came out orange.
    """
    flux = channels == 16
    widths = (16, 32, 64, 96) if flux else (16, 32, 64)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        norm_num_groups=2,
        latent_channels=channels,
        sample_size=256,
        mid_block_add_attention=False,
        use_quant_conv=not flux,
        use_post_quant_conv=not flux,
        scaling_factor=0.3611 if flux else 0.13025,
        shift_factor=0.1159 if flux else None,
        force_upcast=not flux,
    )


def loss_of(made: Tensor, x: Tensor) -> Tensor:
    """L1 of values, of gradients (edges), of the local amount of detail (skin stays rough, if not exact), of colour."""
    total = F.l1_loss(made, x)
    for dim in (2, 3):
        a, b = made.diff(dim=dim), x.diff(dim=dim)
        total = (
            total + 0.5 * F.l1_loss(a, b) + 0.5 * F.l1_loss(F.avg_pool2d(a.abs(), 8, 4), F.avg_pool2d(b.abs(), 8, 4))
        )
    low, low_x = F.avg_pool2d(made, 4), F.avg_pool2d(x, 4)  # tone and above all colour come last without this
    hue, hue_x = low - low.mean(1, keepdim=True), low_x - low_x.mean(1, keepdim=True)
    return total + F.l1_loss(low, low_x) + 5 * F.l1_loss(hue, hue_x)


class Both(nn.Module):
    """Reconstruction through a slightly noisy latent, with that latent's mean and log-variance.

    The noise is a fixed share of the latent's own spread: a KL term strong enough to matter made this small encoder
    give up (all noise, no signal) within 50 steps. The log-variance half learns to state that noise.
    """

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        post = self.vae.encode(x).latent_dist
        mean, logvar = post.mean.float(), post.logvar.float()
        noise = NOISE * mean.detach().std() * torch.randn_like(mean)
        return self.vae.decode((mean + noise).to(x.dtype)).sample, mean, logvar


@torch.no_grad()
def give_unit_variance(vae: AutoencoderKL, x: Tensor) -> None:
    """Scales the last encoder layer: at torch's default, 0.02, the decoder learns to do without the latent."""
    z = vae.encode(x).latent_dist.mean
    last, channels = vae.quant_conv or vae.encoder.conv_out, z.shape[1]
    gain = 1 / z.std((0, 2, 3))
    last.weight[:channels] *= gain[:, None, None, None]
    last.bias[:channels] = (last.bias[:channels] - z.mean((0, 2, 3))) * gain


@torch.no_grad()
def standardise(vae: AutoencoderKL, pictures: Pictures) -> None:
    """Folds a scale per channel into the weights, so that the family's own scaling and shift give unit variance."""
    scaling, offset = vae.config.scaling_factor, vae.config.shift_factor or 0
    z = torch.cat(
        [vae.encode(signed(pictures[i : i + 16])).latent_dist.mean for i in range(0, min(256, len(pictures)), 16)]
    )
    mean, std, c = z.mean((0, 2, 3)), z.std((0, 2, 3)), z.shape[1]
    gain = 1 / (std * scaling)
    last, first = vae.quant_conv or vae.encoder.conv_out, vae.post_quant_conv or vae.decoder.conv_in
    last.weight[:c] *= gain[:, None, None, None]
    last.bias[:c] = (last.bias[:c] - mean) * gain + offset
    last.bias[c:] += 2 * gain.log()  # log-variance half; its clamp is far away
    # exact for a 1x1 convolution, exact but for the outermost latent for a 3x3 one
    first.bias += (first.weight.sum((2, 3)) * (mean - offset / gain)).sum(1)
    first.weight /= gain[None, :, None, None]


def train(vae: AutoencoderKL, pictures: Pictures, o: argparse.Namespace) -> None:
    """Trains in place. A warm-started one keeps the scale of its latents: a denoiser trained on them still fits."""
    rng = np.random.default_rng(o.seed)
    channels = vae.config.latent_channels
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    offset, unit = (vae.config.shift_factor or 0, 1 / vae.config.scaling_factor) if o.init else (0.0, 1.0)
    if not o.init:
        give_unit_variance(vae, crops(pictures, rng, batch=64, size=o.crop))
    run = torch.compile(Both(vae), dynamic=False) if o.compile else Both(vae)
    probe = nn.Conv2d(channels, 3, 1)  # coarse colour must be readable from the latent: the encoder learns it first
    learner = Learner([*vae.parameters(), *probe.parameters()], keep=0.995, decay=1e-3)
    for tick in clock(o.minutes, rate=o.rate, warmup=80):
        x = crops(pictures, rng, batch=o.batch, size=o.crop)
        with torch.autocast("cpu", torch.bfloat16):
            made, mean, logvar = run(x)
        z, x = (mean - offset) / unit, x.contiguous()
        loss = loss_of(made.float().contiguous(), x) + F.l1_loss(probe(z), F.avg_pool2d(x, factor))
        loss = loss + SPREAD * ((z.std((0, 2, 3)) - 1).square().mean() + z.mean((0, 2, 3)).square().mean())
        loss = loss + 1e-3 * (logvar - 2 * math.log(NOISE * unit)).square().mean()
        learner.learn(loss, rate=tick.rate)
        if tick.step == 0 and (dead := dead_parameters(vae)):
            raise RuntimeError(f"no gradient reaches {dead[:5]}; train with --no-compile")
        learner.report(tick, every=50)
        if learner.steps % 200 == 0:
            with learner.averaged():
                vae.save_pretrained(o.out.with_name(o.out.name + "-part"))
    learner.install()
    print("steps", learner.steps, flush=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("data", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--channels", type=int, default=4, choices=(4, 16))
    p.add_argument("--init", type=Path, help="autoencoder folder to go on from")
    p.add_argument("--minutes", type=float, default=20)
    p.add_argument("--batch", type=int, default=6)
    p.add_argument("--crop", type=int, default=96)
    p.add_argument("--rate", type=float, default=1e-3)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    o = p.parse_args()
    repair()
    torch.set_num_threads(1)
    torch.manual_seed(o.seed)
    pictures = load(o.data)
    vae = AutoencoderKL.from_pretrained(o.init) if o.init else build(o.channels)
    vae.to(memory_format=torch.channels_last)
    print("parameters", sum(q.numel() for q in vae.parameters()), flush=True)
    train(vae, pictures, o)
    vae.eval()
    standardise(vae, pictures)
    vae.save_pretrained(o.out)
    z = latents(vae, pictures[:64]).float()
    print("latents", tuple(z.shape), "mean", round(z.mean().item(), 3), "std", round(z.std().item(), 3), flush=True)


if __name__ == "__main__":
    main()
