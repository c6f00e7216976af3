"""Plans, runs, measures and compares many pictures. Knows nothing about who looks at them.

from sweeps import Sweep, run

sweep = Sweep.of("window", checkpoint="demo-sdxl", prompt="portrait of a woman", guidance="2..6:1", seed=[7, 8])
for event in run(sweep, "runs/window"):
    print(event)
"""

from sweeps.script import run
from sweeps.sweep import Sweep

__all__ = ["Sweep", "run"]
