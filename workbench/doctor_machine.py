"""Doctor's look at the machine: versions, GPU, processor, memory, disk. Knows nothing about checkpoints."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from platformdirs import user_cache_path

from pipelines import listing
from pipelines.memory import gigabytes
from pipelines.room import container_limit, room
from sweeps.lock import share_warning
from workbench.doctor import Finding, reason

PACKAGES = ("sidelight", "torch", "diffusers", "transformers", "accelerate", "peft", "safetensors", "pillow")
EXTRAS = ("xformers", "bitsandbytes", "torchao", "gguf")
FULL_BYTES, NEARLY_FULL_BYTES = 1_000_000_000, 20_000_000_000
"""Below the first a run pauses soon; below the second no checkpoint of FLUX's size can be pulled."""
SECONDS = 10  # an answer of nvidia-smi takes one or two; a hanging driver must not hang doctor


def system() -> Iterator[Finding]:
    """Operating system, Python, packages."""
    where = platform.freedesktop_os_release().get("PRETTY_NAME", "") if platform.system() == "Linux" else ""
    wsl = " (WSL)" if "microsoft" in platform.release().lower() else ""
    yield Finding("system", f"{where or platform.system()} {platform.machine()}, {platform.release()}{wsl}")
    yield Finding("Python", platform.python_version())
    found = {name: _version(name) for name in (*PACKAGES, *EXTRAS)}
    there = {name: number for name, number in found.items() if number}
    missing = [name for name in PACKAGES if name not in there]
    yield Finding(
        "packages",
        ", ".join(f"{name} {number}" for name, number in there.items())
        + (f"; missing: {', '.join(missing)}" if missing else ""),
        "broken" if missing else "fine",
        f"install what is missing: pip install {' '.join(missing)}" if missing else "",
        {"versions": found},
    )


def torch_build() -> Iterator[Finding]:
    """What torch was built for, beside the driver that is there."""
    again = "install torch again: pip install --force-reinstall torch"
    try:
        import torch
    except Exception as error:  # noqa: BLE001  # a half-installed torch fails in many ways: the one thing to know
        yield Finding("torch build", f"torch cannot be imported ({reason(error)})", "broken", again)
        return
    built = torch.version.cuda or torch.version.hip
    kind = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {built}" if built else "CPU"
    values = {"cuda": torch.version.cuda, "available": torch.cuda.is_available()}
    driver = next(iter(cards()), None)
    if driver is None or torch.cuda.is_available():
        yield Finding("torch build", kind, values=values)
    elif torch.version.cuda:
        advice = f"driver {driver['driver']} does not run torch's CUDA {torch.version.cuda}: update the driver"
        yield Finding("torch build", f"{kind}, which finds no device", "remark", advice, values)
    else:
        number = torch.__version__.partition("+")[0]
        advice = (
            f"{driver['name']} is here but torch is a {kind} build; the one with CUDA: "
            f"pip install --force-reinstall torch=={number} --index-url https://pypi.org/simple"
        )
        yield Finding("torch build", f"{kind}, although an NVIDIA driver is here", "remark", advice, values)


def gpus() -> Iterator[Finding]:
    """Every GPU that torch sees; else those that only the driver sees, or none."""
    import torch

    drivers = {card["name"]: card["driver"] for card in cards()}
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            yield _gpu(number, drivers)
    elif torch.backends.mps.is_available():
        yield Finding("GPU", f"Apple {platform.processor()} (mps), not measured with Sidelight yet")
    elif drivers:
        yield Finding("GPU", f"{', '.join(drivers)}: seen by the driver, not by torch", "remark")
    else:
        yield Finding(
            "GPU", "none: pictures are made on the processor, which the demo checkpoints are small enough for"
        )


def _gpu(number: int, drivers: Mapping[str, str]) -> Finding:
    import torch

    told = torch.cuda.get_device_properties(number)
    free, total = torch.cuda.mem_get_info(number)
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    compute, driver = f"{told.major}.{told.minor}", drivers.get(told.name, "unknown")
    taken = f"{gigabytes(total - free)} of GPU {number} are taken by other programs: close them"
    return Finding(
        f"GPU {number}",
        f"{told.name}, {gigabytes(free)} of {gigabytes(total)} free, compute {compute}, "
        f"{'bfloat16' if has_bf16 else 'no bfloat16: float16 is used'}, driver {driver}",
        advice=taken if free < total / 2 else "",
        values={
            "device": told.name,
            "bytes": total,
            "free_bytes": free,
            "compute": compute,
            "bfloat16": has_bf16,
            "driver": driver,
        },
    )


def cards() -> list[dict[str, str]]:
    """Name and driver of every card that NVIDIA's own tool sees; empty without it."""
    if not (tool := shutil.which("nvidia-smi")):
        return []
    asked = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=SECONDS, check=False)
    lines = [line.rpartition(", ") for line in told.stdout.splitlines()] if told.returncode == 0 else []
    return [{"name": name, "driver": driver} for name, _, driver in lines if name]


def processor() -> Iterator[Finding]:
    """Name, cores, threads, and the widest instructions for matrices."""
    import psutil

    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = (re.findall(r"^model name\s*: (.*)$", told, re.MULTILINE) or [platform.processor() or platform.machine()])[0]
    flags = set(" ".join(re.findall(r"^(?:flags|Features)\s*: (.*)$", told, re.MULTILINE)[:1]).split())
    wide = [word for flag, word in (("amx_tile", "AMX"), ("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags]
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = psutil.cpu_count(logical=False)
    text = f"{name}, {cores or '?'} cores, {usable} threads usable" + (f", {', '.join(wide)}" if wide else "")
    yield Finding("processor", text, values={"cores": cores, "threads": usable, "instructions": wide})


def memory() -> Iterator[Finding]:
    """Main memory, and a container's limit where there is one."""
    free = room("cpu")
    limit, _ = container_limit()
    inside = f" (limited to {gigabytes(limit)} for this container)" if limit < 2**62 else ""
    yield Finding(
        "memory",
        f"{gigabytes(free.ram)} free of {gigabytes(free.ram_in_all)} with swap{inside}",
        values={"free_bytes": free.ram, "bytes": free.ram_in_all},
    )


def places(runs: Path) -> dict[str, Path]:
    """Where runs, models and the cache lie."""
    return {
        "runs": runs.expanduser(),
        "models": listing.models_folder(),
        "cache": user_cache_path("sidelight"),
    }


def disk(places: Mapping[str, Path]) -> Iterator[Finding]:
    """Room in these places, whether they can be written, and what kind of disk that is."""
    for name, place in places.items():
        yield _place(name, place)


def _place(name: str, place: Path) -> Finding:
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    values = {"path": str(place), "free_bytes": free}
    if not os.access(there, os.W_OK):
        advice = f"make {place} writable, or use another folder for {name}"
        return Finding(f"disk: {name}", f"{place} cannot be written", "broken", advice, values)
    share = share_warning(there)
    text = f"{gigabytes(free)} free in {place}" + (f"; {share}" if share else "")
    if free < FULL_BYTES:
        return Finding(
            f"disk: {name}", text, "broken", f"free space in {there}: a run pauses when the disk is full", values
        )
    advice = (
        f"only {gigabytes(free)} are free in {there}: a checkpoint takes 7 to 35 GB" if free < NEARLY_FULL_BYTES else ""
    )
    return Finding(f"disk: {name}", text, "remark" if share or advice else "fine", advice or share, values)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
