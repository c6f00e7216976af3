"""Starts a run again and again in forked children and kills each after a random moment, until it is done.

Usage: python -m tests.killer FOLDER KILLS SEED. Prints how many kills hit a living run.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from sweeps.run import run
from tests.small import opener, prepared

GUIDANCE, SEEDS = (2, 3, 4, 5), (1, 2, 3)


def child(folder: Path) -> None:
    """One try at the run, as a process of its own."""
    for _ in run(prepared(folder, guidance=GUIDANCE, seeds=SEEDS), open_engine=opener([], seconds=0.004)):
        pass


def _wait_for(folder: Path, pid: int) -> None:
    """Until the folder is there, or the child has ended: on a busy machine it may take longer than its life would."""
    while not folder.exists() and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.001)


def main() -> None:
    folder, kills, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    hits, number = 0, 0
    while hits < kills:
        run_folder, number = folder / f"run-{hits // 4}", number + 1
        pid = os.fork()
        if pid == 0:
            child(run_folder)
            os._exit(0)
        _wait_for(run_folder, pid)
        time.sleep(rng.uniform(0.005, 0.12))
        os.kill(pid, signal.SIGKILL)
        hits += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        if number > 20 * kills:
            sys.exit("the runs end before they can be killed")
    for run_folder in sorted(folder.iterdir()):
        child(run_folder)
    print(hits)


if __name__ == "__main__":
    main()
