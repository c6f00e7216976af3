"""Where the images of a draft come from, in tests that read no file. Knows nothing about what a draft means."""

from collections.abc import Callable
from pathlib import Path

from pipelines.draft import Taken


class Told:
    """Images that are only told about: `take` says what a path is, and a mask expression is a path like any other."""

    def __init__(self, take: Callable[[Path], Taken]) -> None:
        self.take = take

    def paint(self, start: Path, expression: str) -> Taken:
        """What the path of that name is."""
        return self.take(Path(expression))


def _asked_for(path: Path) -> Taken:
    raise AssertionError(f"{path} was asked for")


NO_IMAGE = Told(_asked_for)
