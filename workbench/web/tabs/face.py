"""The Face tab: one component over the page's own routes. Knows nothing about faces or pictures."""

from workbench.web.component import component
from workbench.web.site import Site


def build(_: Site) -> None:
    """The tab's one part, as high as the tab."""
    component("page/face.js", name="face")
