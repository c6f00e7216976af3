"""Keeps the machine from idle sleep while something long goes on. Knows nothing about what goes on.

The desktop's own command holds it awake and ends with us, however we end. Where there is none, nothing is done.
"""

import contextlib
import logging
import os
import shutil
import subprocess
from typing import Self


class Awake:
    """Within `with` the machine does not go to sleep for idleness. It may be entered again; what fails is said once."""

    def __init__(self, log: logging.Logger, *, path: str | None = None) -> None:
        self._log, self._path, self._is_told = log, path, False
        self._holder: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = self._command()
        if command:
            self._holder = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # `cat` ends with it, so a killed worker keeps no machine awake
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        else:
            self._tell("this machine has neither systemd-inhibit nor caffeinate")
        return self

    def __exit__(self, *_: object) -> None:
        holder, self._holder = self._holder, None
        if holder is None:
            return
        if code := holder.poll():
            self._tell(f"the desktop's command for it ended with code {code}")
        with contextlib.suppress(ProcessLookupError):
            holder.terminate()
        holder.communicate()

    def _command(self) -> list[str]:
        if inhibit := shutil.which("systemd-inhibit", path=self._path):
            why = ["--what=idle", "--who=Sidelight", "--why=pictures are being made", "--mode=block"]
            return [inhibit, *why, "cat"]
        if caffeinate := shutil.which("caffeinate", path=self._path):
            return [caffeinate, "-i", "-w", str(os.getpid())]
        return []

    def _tell(self, reason: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._log.info("the machine is not kept from idle sleep: %s", reason)
