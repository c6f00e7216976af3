"""A process that answers a line of text with a line, and ends with whoever started it. Knows nothing about measures.

Not multiprocessing's: that would run a person's own script once more in every process, and its workers outlive a
parent that is killed. This one hears the end of its standard input.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

from pipelines.errors import SidelightError

PACKAGES = Path(__file__).resolve().parent.parent
"""Where our packages lie: started from there, no file of the folder that a person is in can take a module's name."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Gone(SidelightError):
    """The process ended before it answered."""


class Process:
    """`python -m MODULE`, started by the first question and again by the next one after it died.

    One thread asks; any other may `kill` it, for good.
    """

    def __init__(self, module: str) -> None:
        self._words = [sys.executable, "-m", module]
        self._process: subprocess.Popen[str] | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def ask(self, line: str) -> str:
        """The answer to a line; raises Gone."""
        process = self._started()
        try:
            answer = _exchanged(process, line)
        except OSError:
            answer = ""
        if answer.endswith("\n"):
            return answer
        raise Gone(f"the process ended before it answered ({_ended(self.close())})")

    def kill(self) -> None:
        """End it at once; whoever asks hears Gone."""
        with self._lock:
            self._is_over = True
            if self._process:
                self._process.kill()

    def close(self) -> int:
        """End it and let go of its pipes; its exit code, 0 if there is none. Only for the thread that asks."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return 0
        process.kill()  # does nothing to one that has ended
        process.communicate()
        return process.returncode

    def _started(self) -> "subprocess.Popen[str]":
        with self._lock:
            if self._is_over:
                raise Gone("it was stopped")
            if self._process is None:
                try:
                    self._process = self._begun()
                except OSError as error:
                    raise Gone(f"no process can be started ({error.strerror})") from None
            return self._process

    def _begun(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self._words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=PACKAGES,
            env={**os.environ, **ONE_THREAD},
            process_group=0,  # Ctrl-C is for the parent, which ends this one
        )


def _exchanged(process: "subprocess.Popen[str]", line: str) -> str:
    assert process.stdin  # both were asked for
    assert process.stdout
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline()


def _ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
