"""What doctor finds: sections of findings, a verdict, what to change. Knows nothing about how it is found.

What is found is meant to be pasted in public: the home folder is written as ~, and what looks like a secret in the
environment is taken out of every text.
"""

import contextlib
import io
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["fine", "remark", "broken"]
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL", re.IGNORECASE)
LEAST_SECRET = 6  # shorter values ("1", "true") are settings, and would be cut out of everything


@dataclass(frozen=True)
class Finding:
    """One line of the report. `values` is the same for programs; `advice` what to change, one line."""

    name: str
    text: str
    state: State = "fine"
    advice: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """Findings under one title."""

    title: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Report:
    """All sections, in the order in which they are read."""

    sections: tuple[Section, ...]

    @property
    def _findings(self) -> tuple[Finding, ...]:
        return tuple(one for section in self.sections for one in section.findings)

    @property
    def broken(self) -> tuple[Finding, ...]:
        """What does not work and should."""
        return tuple(one for one in self._findings if one.state == "broken")

    @property
    def advice(self) -> tuple[str, ...]:
        """What to change, each once, what is broken first."""
        every = [one for one in self._findings if one.advice]
        return tuple(dict.fromkeys(one.advice for one in sorted(every, key=lambda one: one.state != "broken")))

    @property
    def verdict(self) -> str:
        """One sentence for a person in a hurry."""
        if self.broken:
            return f"Something is broken: {'; '.join(f'{one.name} ({one.text})' for one in self.broken)}"
        fitting = [one.values["numerics"]["device"] for one in self._findings if one.values.get("fits")]
        many = f"{len(fitting)} checkpoint{'' if len(fitting) == 1 else 's'}"
        place = f": {many} can be used on {fitting[0]}" if fitting else ", but no checkpoint can be used yet"
        changes = f"; what could be better stands at the end ({len(self.advice)})" if self.advice else ""
        return f"Sidelight works here{place}{changes}."

    def as_dict(self) -> dict[str, Any]:
        """Everything, for programs and for a bug report."""
        told = {
            "verdict": self.verdict,
            "broken": [one.name for one in self.broken],
            "advice": list(self.advice),
            "sections": {
                section.title: [
                    {"name": one.name, "text": one.text, "state": one.state, "advice": one.advice, **one.values}
                    for one in section.findings
                ]
                for section in self.sections
            },
        }
        cleaned: dict[str, Any] = private(told)
        return cleaned


Probe = Callable[[], Iterable[Finding]]


def examined(title: str, probes: Mapping[str, Probe]) -> Section:
    """A section of what the probes find; one that fails is a finding of its own, never a traceback."""
    found: list[Finding] = []
    for name, probe in probes.items():
        try:
            with quiet():
                found += probe()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with this machine is what doctor is asked for
            found.append(Finding(name, f"cannot be told ({reason(error)})", "remark"))
    return Section(title, tuple(found))


def reason(error: BaseException) -> str:
    """An error as a few words on one line."""
    lines = str(error).strip().splitlines()
    return (lines[0][:160] if lines else "") or type(error).__name__


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Libraries that talk while they are imported or called are not heard."""
    before = logging.root.manager.disable
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


def private(told: Any) -> Any:
    """The same without the home folder's name and without secrets of the environment, however deep in it."""
    if isinstance(told, str):
        return _private_text(told)
    if isinstance(told, Mapping):
        return {_private_text(str(key)): private(value) for key, value in told.items()}
    return [private(item) for item in told] if isinstance(told, list | tuple) else told


def _private_text(text: str) -> str:
    for name, value in os.environ.items():
        if SECRET.search(name) and len(value) >= LEAST_SECRET:
            text = text.replace(value, "...")
    for home in {str(Path.home()), str(Path.home().resolve())} - {"/"}:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    return text
