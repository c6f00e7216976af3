"""Doctor's look at kernels: each is really called, once, on this device. Knows nothing about what uses them.

An import says nothing: kernels built for another torch import and fail at their first call.
"""

from collections.abc import Callable, Iterator
from typing import Any

from pipelines.device import Dtype, probe_xformers
from pipelines.errors import InputError
from pipelines.room import Kind
from workbench.doctor import Finding, reason

SDPA = {"flash": "FLASH_ATTENTION", "mem-efficient": "EFFICIENT_ATTENTION", "cudnn": "CUDNN_ATTENTION", "math": "MATH"}


def device() -> tuple[Kind, Dtype]:
    """The device that a run would take here, and its dtype."""
    from pipelines.device import decide, torch_device

    numerics = decide(family="sdxl", pixels=1, lane_width=1, cells=1, forwards=1, asked={})
    return torch_device(numerics), numerics.dtype


def attention() -> Iterator[Finding]:
    """torch's own kernels, the one that it picks, and xformers."""
    kind, dtype = device()
    runs = {name: _sdpa(kind, dtype, backend) for name, backend in SDPA.items()}
    there = [name for name, fault in runs.items() if not fault]
    fault = _sdpa(kind, dtype, None)
    yield Finding(
        "attention",
        f"torch's own does not run on {kind} ({fault})" if fault else f"{', '.join(there)} run on {kind} in {dtype}",
        "broken" if fault else "fine",
        "install torch again: pip install --force-reinstall torch" if fault else "",
        {"device": kind, "dtype": dtype, "runs": there},
    )
    try:
        probe_xformers(kind, dtype)
        yield Finding("xformers", f"runs on {kind}", values={"runs": True})
    except InputError as error:
        what = "not installed" if "No module named" in str(error) else "installed, does not run here"
        yield Finding("xformers", f"{what}, which is fine: torch's own attention is as fast", values={"runs": False})


def _sdpa(kind: Kind, dtype: Dtype, backend: str | None) -> str:
    """Empty if that kernel runs, else why not; None: the one that torch picks by itself."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    rows = torch.zeros(1, 2, 64, 64, device=kind, dtype=getattr(torch, dtype))
    try:
        if backend is None:
            scaled_dot_product_attention(rows, rows, rows)
        else:
            with sdpa_kernel(getattr(SDPBackend, backend)):
                scaled_dot_product_attention(rows, rows, rows)
    except (RuntimeError, NotImplementedError) as error:
        return reason(error)
    return ""


def quantisation() -> Iterator[Finding]:
    """The libraries for quantised weights, each called once."""
    kind, dtype = device()
    probes: dict[str, Callable[[Kind, Dtype], Any]] = {"gguf": _gguf, "bitsandbytes": _nf4, "torchao": _int8}
    uses = {"gguf": ".gguf files", "bitsandbytes": "NF4", "torchao": "int8"}
    for name, probe in probes.items():
        try:
            probe(kind, dtype)
            yield Finding(name, f"runs on {kind} ({uses[name]})", values={"runs": True})
        except ImportError as error:
            missing = getattr(error, "name", None) == name
            text = f"not installed ({uses[name]}): pip install 'sidelight[quant]'" if missing else reason(error)
            yield Finding(name, text, values={"runs": False})
        except (RuntimeError, NotImplementedError, AttributeError, OSError, ValueError) as error:
            yield Finding(name, f"does not run on {kind} ({reason(error)})", "remark", values={"runs": False})


def _gguf(kind: Kind, dtype: Dtype) -> None:
    import gguf
    import numpy as np

    kept = gguf.quants.quantize(np.ones((1, 32), dtype=np.float32), gguf.GGMLQuantizationType.Q8_0)
    gguf.quants.dequantize(kept, gguf.GGMLQuantizationType.Q8_0)


def _nf4(kind: Kind, dtype: Dtype) -> None:
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    kept, state = quantize_4bit(torch.ones(64, 64, device=kind, dtype=getattr(torch, dtype)), quant_type="nf4")
    dequantize_4bit(kept, state)


def _int8(kind: Kind, dtype: Dtype) -> None:
    import torch
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    layer = torch.nn.Linear(32, 32, device=kind, dtype=getattr(torch, dtype))
    quantize_(layer, Int8WeightOnlyConfig())
    with torch.no_grad():
        layer(torch.ones(1, 32, device=kind, dtype=getattr(torch, dtype)))


def compiling() -> Iterator[Finding]:
    """A tiny function, really compiled: needs a compiler, and takes seconds."""
    import torch

    kind, _ = device()
    try:
        made = torch.compile(lambda x: x.sin() + 1)(torch.zeros(8, device=kind))
        assert made.sum() == 8
        yield Finding("compile", f"runs on {kind}", values={"runs": True})
    except Exception as error:  # noqa: BLE001  # torch.compile fails in ways of its own, of the compiler and of the disk
        yield Finding(
            "compile", f"does not run on {kind} ({reason(error)}); runs go on without", "remark", values={"runs": False}
        )
