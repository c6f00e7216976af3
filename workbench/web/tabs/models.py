"""The Models tab: which models there are, and getting them. Knows nothing about how a model is drawn or fetched."""

from typing import Any

from workbench.web.component import component
from workbench.web.site import Site


def build(site: Site) -> Any:
    """The tab's part; it sends `use` with {"name": ...} when a checkpoint is to be used in Create."""
    return component("page/models.js", events=("use",), name="models")
