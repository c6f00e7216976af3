"""A run folder of plain grey pictures and what was found in it, for tests of notes. Knows nothing about measuring."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from pipelines.checkpoint import find
from pipelines.device import Numerics
from pipelines.files import put
from pipelines.metadata import Embedded
from pipelines.prompts import Light
from pipelines.recipe import Recipe, SchedulerChoice
from pipelines.store import Circumstances, Facts, Saved, Store
from sweeps import findings
from sweeps.findings import Finding, Findings, Shown

VALIDATED = "validated on degraded photographs, not on diffusion output"
CPU = Numerics(
    torch="2.1.0",
    diffusers="0.42.1",
    transformers="5.0.0",
    device="cpu",
    threads=1,
    dtype="float32",
    lanes=1,
    lane_width=2,
)


def picture(
    run: Path,
    *,
    guidance: float,
    steps: int = 20,
    scheduler: str = "euler",
    checkpoint: str = "demo-sdxl",
    numerics: Numerics = CPU,
    light: Light | None = None,
) -> str:
    """Save a picture of these settings; gives its key."""
    recipe = Recipe(
        checkpoint=find(checkpoint).weights,
        prompt="a face",
        seed=1,
        width=256,
        height=256,
        steps=steps,
        guidance=guidance,
        scheduler=SchedulerChoice(name=scheduler),
    )
    stream = BytesIO()
    Image.new("RGB", (320, 240), (int(guidance * 10), steps, 0)).save(stream, "PNG")
    facts = Facts(first_timestep=1, first_sigma=1, evaluations=steps, light=light)
    circumstances = Circumstances(seconds={"made": 1}, device=numerics.device, date="2026-11-20T10:00:00+00:00")
    embedded = Embedded(recipe=recipe, numerics=numerics, lane=0)
    return Store(run).save(Saved(stream.getvalue(), embedded, facts, circumstances, "")).key


def window(shown: Mapping[str, str], *, low: float | None = 3, high: float | None = 6, **changes: object) -> Finding:
    """A guidance window; `shown` are its pictures' keys by role."""
    made = Finding(
        kind="guidance-window",
        state="found" if low is not None and high is not None else "open",
        checkpoint="demo-sdxl",
        held=(("steps", "20"),),
        sentence=f"Between guidance {low} and {high} skin keeps its texture.",
        low=low,
        high=high,
        n=6,
        pictures=tuple(Shown.read({"role": role, "key": key, "words": role}) for role, key in shown.items()),
    )
    return made.but(**changes)


def plateau(shown: Mapping[str, str], *, stop: float = 24, **changes: object) -> Finding:
    """A step plateau; `shown` are its pictures' keys by role."""
    return window(shown, low=stop, high=None).but(
        kind="step-plateau", state="found", held=(("guidance", "4"),), sentence=f"Stop at {stop:g}.", **changes
    )


def found_in(run: Path, said: Sequence[Finding], *, votes: int = 0) -> Findings:
    """Findings of a run, written into its folder as the command does."""
    told = Findings(title="a run", pictures=3, measured=3, votes=votes, validated=VALIDATED, findings=tuple(said))
    put({run / findings.NAME: told.model_dump_json().encode()})
    return told


def window_run(run: Path, **changes: object) -> Findings:
    """Three pictures and the window that they show."""
    keys = {role: picture(run, guidance=at) for role, at in (("best", 4), ("mud", 1), ("plastic", 13))}
    return found_in(run, [window(keys, **changes)])  # type: ignore[arg-type]  # fields of a Finding
