"""The Notes tab: what is kept of each checkpoint. Knows nothing about how a note is drawn or found."""

from typing import Any

from workbench.web.component import component
from workbench.web.site import Site


def build(_: Site) -> Any:
    """The tab's part; it sends `use` with {"name": ...} when Create is to start from a note."""
    return component("page/notes.js", events=("use",), name="notes")
