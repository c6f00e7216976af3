"""Starts a worker for the page, with a brake. Knows nothing about who asks for one."""

import time
from threading import Lock

from pipelines.errors import SidelightError
from workbench.web.site import Site

AGAIN_SECONDS = 20.0  # between two starts of a worker that nobody asked for: one that dies at once must not spin


class Starter:
    """Starts a worker, one thread at a time; `faults` says why it could not be, if so."""

    def __init__(self, site: Site) -> None:
        self._site, self._lock = site, Lock()
        self._last = float("-inf")
        self.faults: tuple[str, ...] = ()

    def start(self, *, at_once: bool = False) -> None:
        """Start one unless one lives, or another thread is about it, or it was tried just now."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if at_once or time.monotonic() - self._last >= AGAIN_SECONDS:
                self._last = time.monotonic()
                self._try()
        finally:
            self._lock.release()

    def _try(self) -> None:
        self.faults = ()
        try:
            self._site.start_worker(self._site.queue)
        except (OSError, SidelightError) as error:
            self.faults = (f"no worker could be started ({error}); it is tried again, or use `sidelight worker`",)
