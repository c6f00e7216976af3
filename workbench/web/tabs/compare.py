"""The Compare tab: one component over the page's own routes. Knows nothing about pictures."""

from workbench.web.component import component
from workbench.web.site import Site


def build(site: Site) -> None:
    """The tab's one part, as high as the tab."""
    component("page/compare.js", value={"folder": str(site.runs)}, name="compare")
