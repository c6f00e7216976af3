"""The Doctor tab: what works on this machine and what to change. Knows nothing about how it is found out."""

from workbench.web.component import component
from workbench.web.site import Site


def build(site: Site) -> None:
    """The tab's part."""
    component("page/doctor.js", name="doctor")
