"""The jobs that advice prepares: as commands and flags, and as the Sweep that a command or the page runs.

Knows nothing about why a job is advised.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

from pipelines.draft import LIGHT
from pipelines.errors import InputError
from pipelines.light import Light
from pipelines.prompts import FIELDS, templates
from sweeps import axes
from sweeps.sweep import Sweep, from_flags
from workbench import face_passes
from workbench.advice import NAME, REF, Job, Tab
from workbench.advice_facts import Facts

Flags = Mapping[str, Sequence[str]]
NO_CHECKPOINT = f"a checkpoint: write its name for {NAME} (`sidelight models list`)"
NO_REFERENCE = f"a photograph of skin with pores: write its file for {REF} (`sidelight reference check` judges it)"


def again(facts: Facts, given: Flags, *, tab: Tab = "sweep") -> Job:
    """The picture made again with some fields said otherwise; tab create for a single one."""
    command = ("sidelight", "sweep", "run", "--like", str(facts.file), *_words(given))
    return Job(command, tab, given=_frozen(given))


def repair(facts: Facts, masks: Sequence[str], given: Flags, *, with_reference: bool = False) -> Job:
    """Passes under masks; strength and words by the task where `given` does not say otherwise."""
    known = facts.draft.checkpoint if facts.draft else ""
    said = dict(given) | ({} if known else {"checkpoint": [NAME]}) | ({"reference": [REF]} if with_reference else {})
    mask_words = chain.from_iterable(("--mask", mask) for mask in masks)
    return Job(
        ("sidelight", "face", "repair", str(facts.file), *mask_words, *_words(said)),
        "face",
        given=_frozen(given),
        masks=tuple(masks),
        needs=" and ".join(filter(None, ["" if known else NO_CHECKPOINT, NO_REFERENCE if with_reference else ""])),
    )


def look(facts: Facts, keys: Sequence[str]) -> Job:
    """Other pictures of the run beside this one."""
    files = [str(facts.file.with_name(f"{key}.png")) for key in keys]
    return Job(("sidelight", "measure", str(facts.file), *files), "compare", keys=(facts.file.stem, *keys))


def search(facts: Facts) -> Job:
    """Faces looked for in every corner and turned."""
    return Job(("sidelight", "face", "find", str(facts.file), "--everywhere"), "face")


def find(facts: Facts) -> Job:
    """The run measured as a whole, and what it says."""
    run = facts.file.resolve().parent.parent
    return Job(("sidelight", "findings", str(run), "--measure"), "runs")


def cleaned(facts: Facts, amount: str) -> Job:
    """Noise and JPEG blocks taken away, in a file beside it."""
    out = str(facts.file.with_name(f"{facts.file.stem}-restored.png"))
    command = ("sidelight", "reference", "restore", str(facts.file), "--out", out, "--amount", amount)
    return Job(command, "face")


def lit(light: Light | None, *, template: str, subject: str) -> dict[str, list[str]]:
    """Flags of a light: the picture's own with all that was said otherwise in it, or a template with this subject."""
    if light is None or light.name not in templates():
        who = {"subject": axes.write_values("subject", [subject])} if subject else {}
        return {"light": [template], **who}
    shipped = templates()[light.name]
    changed = {name: getattr(light, name) for name in FIELDS if getattr(light, name) != getattr(shipped, name)}
    said = {LIGHT + name: _flag(LIGHT + name, value) for name, value in changed.items()}
    return {"light": [light.name], "subject": axes.write_values("subject", [light.subject]), **said}


def sweep_of(job: Job, facts: Facts) -> Sweep:
    """The job as a Sweep, ready to be laid down and run; raises InputError for one that needs something first."""
    if not job.makes:
        raise InputError(f"this step makes no picture as it is; {job.needs or 'it is something to look at'}")
    given = {field: list(texts) for field, texts in job.given}
    if job.masks:
        source = face_passes.source(facts.file)
        title = face_passes.titled(facts.file, job.masks)
        return face_passes.repair_sweep(source, job.masks, start=facts.file, given=given, name=title)
    if facts.draft is None:
        raise InputError(f"{facts.file} does not say what made it, so it cannot be made again")
    like = facts.draft.but(prompt="", negative=None) if "light" in given else facts.draft
    return from_flags(title_of(facts, job), given, like=like)


def title_of(facts: Facts, job: Job) -> str:
    """Name of the sweep: what is tried, and on which picture."""
    tried = [field.removeprefix(LIGHT) for field, texts in job.given if field not in ("subject", "seed")]
    return f"{', '.join(tried[:3])} for {facts.file.stem}"[:60]


def _flag(field: str, value: object) -> list[str]:
    if value is None or value == ():
        return ["none"]
    if isinstance(value, tuple):
        return axes.write_values(field, ["; ".join(map(str, value))])
    return axes.write_values(field, [value if isinstance(value, int | float) else str(value)])


def _frozen(given: Flags) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((field, tuple(texts)) for field, texts in given.items())


def _words(given: Flags) -> list[str]:
    """As a command line has them, without blanks where none are needed."""
    words: list[str] = []
    for field, texts in given.items():
        flag = field if field.startswith(LIGHT) else field.replace("_", "-")
        is_list = axes.KINDS[field] in ("whole", "number", "name", "loras")
        words += [word for text in texts for word in (f"--{flag}", text.replace(", ", ",") if is_list else text)]
    return words
