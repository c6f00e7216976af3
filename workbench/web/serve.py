"""The page as one app behind its guard, and the server that runs it. Knows nothing about what the tabs show."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from pipelines.errors import BusyError, InputError
from workbench.queue import state_folder
from workbench.web import (
    advice_routes,
    doctor_routes,
    face_routes,
    findings_routes,
    lights_routes,
    live_routes,
    measures_routes,
    models_routes,
    notes_routes,
    places_routes,
    queue_routes,
    repair_routes,
    shelf_routes,
    ticks_routes,
    votes_routes,
)
from workbench.web.guard import Door, Guard
from workbench.web.routes import api
from workbench.web.site import Site
from workbench.web.starter import Starter

PORT = 7860
PORTS_TRIED = 20
UPLOAD_MB = 80
LOOK_SECONDS = 5.0
"""How often the page sees to it that a worker lives while jobs wait, whether or not a browser is open."""
_HERE = Path(__file__).parent
_PARTS: tuple[Callable[[Site], list[BaseRoute]], ...] = (
    queue_routes.routes,
    live_routes.routes,
    lights_routes.routes,
    places_routes.routes,
    ticks_routes.routes,
    shelf_routes.routes,
    models_routes.routes,
    doctor_routes.routes,
    face_routes.routes,
    repair_routes.routes,
    advice_routes.routes,
    notes_routes.routes,
    measures_routes.routes,
    findings_routes.routes,
    votes_routes.routes,
)


def app(site: Site, who: Door) -> ASGIApp:
    """Routes and page, behind the guard. Gradio keeps what is uploaded in our state folder, for a day."""
    uploads = state_folder() / "uploads"
    uploads.mkdir(mode=0o700, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    import gradio as gr  # 2.6 s

    from workbench.web.look import theme
    from workbench.web.page import head, page

    parts = [route for part in _PARTS for route in part(site)]
    assets = [
        Mount(f"/assets/{name}", StaticFiles(directory=_HERE / name), name=name) for name in ("components", "page")
    ]
    routed = api(site.runs, lookup=site.lookup, more=[*parts, *assets])
    blocks = page(site).queue(default_concurrency_limit=4, max_size=64)
    gr.mount_gradio_app(
        routed,
        blocks,
        path="/",
        ssr_mode=False,
        run_history=False,
        footer_links=[],
        max_file_size=f"{UPLOAD_MB}mb",
        show_error=False,
        mcp_server=False,
        allowed_paths=[],
        root_path="",
        pwa=False,
        theme=theme(),
        head=head(),
    )
    return Guard(routed, who)


def bound(address: str, port: int | None) -> socket.socket:
    """A listening socket; without a port the first free one from PORT on. Raises BusyError, InputError."""
    ports = [port] if port is not None else range(PORT, PORT + PORTS_TRIED)
    for each in ports:
        try:
            return socket.create_server((address, each), family=_family(address), backlog=128)
        except PermissionError:
            raise InputError(f"port {each} needs rights that you do not have; give one from 1024 to 65535") from None
        except socket.gaierror as error:
            raise InputError(f"{address} is no address here ({error.strerror}); leave out --listen") from None
        except OSError as error:
            reason = error.strerror
    asked = f"port {port} is" if port is not None else f"ports {PORT} to {PORT + PORTS_TRIED - 1} are"
    raise BusyError(f"{asked} not free on {address} ({reason}); end what is there, or give another with --port")


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(site: Site, who: Door, listening: socket.socket, *, ready: Callable[[], object]) -> None:
    """Serve until Ctrl-C or SIGTERM; `ready` is called once the page answers. What the worker makes goes on."""
    settings = uvicorn.Config(
        app(site, who), log_level="warning", server_header=False, timeout_graceful_shutdown=2, lifespan="on"
    )
    server = _Server(settings, ready)
    over = threading.Event()
    threading.Thread(target=_keep_worker, args=(site, over), name="worker-watch", daemon=True).start()
    try:
        server.run(sockets=[listening])
    finally:
        over.set()


class _Server(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, settings: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(settings)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _keep_worker(site: Site, over: threading.Event) -> None:
    starter = Starter(site)
    while not over.wait(LOOK_SECONDS):
        starter.start()
