"""`sidelight serve`: the page in the browser. Knows nothing about what is on it."""

import contextlib
import os
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from pipelines.errors import InputError

RUNS = Path("~/Sidelight/runs")


def serve(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; the first free one from 7860 on if left out.")
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to bind; others can reach all but 127.0.0.1.")
    ] = ("127.0.0.1"),
    password_file: Annotated[
        Path | None, typer.Option(help="File (mode 0600) with the password that another address needs.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where run folders lie.")] = RUNS,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Open the page: tune by eye, sweep, compare. Ctrl-C ends it; what the worker makes goes on."""
    from workbench.queue import Queue
    from workbench.web.guard import door
    from workbench.web.password import Password
    from workbench.web.serve import bound
    from workbench.web.serve import serve as run
    from workbench.web.site import Site

    password = Password.read(password_file) if password_file else None
    who = door(listen, password)
    folder = runs.expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"runs folder {folder} cannot be made ({error.strerror}); give another with --runs") from None
    listening = bound(listen, port)
    address = _address(listen, listening.getsockname()[1])
    if who.any_address:
        typer.echo(
            f"Warning: the page on {listen} can be reached by every machine of this network, over plain HTTP; whoever "
            "has the password can queue runs and read all pictures. An SSH port forward needs neither.",
            err=True,
        )

    def ready() -> None:
        typer.echo(f"Sidelight is open at {address}  (runs in {folder}; Ctrl-C ends the page)")
        if open_page and _has_browser():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    queue = Queue()
    for warning in queue.warnings:
        typer.echo(warning, err=True)
    with contextlib.suppress(KeyboardInterrupt):
        run(Site(folder, queue), who, listening, ready=ready)
    waiting = len(queue.jobs("waiting", "running"))
    goes_on = f"; {waiting} jobs go on without it (`sidelight queue ls`, `sidelight worker --stop`)" if waiting else ""
    typer.echo(f"the page is closed{goes_on}", err=True)


def _address(listen: str, port: int) -> str:
    name = f"[{listen}]" if ":" in listen else listen
    return f"http://{'127.0.0.1' if listen == '0.0.0.0' else '[::1]' if listen == '::' else name}:{port}/"


def _has_browser() -> bool:
    """Whether a window would open; in a terminal alone a text browser would take the terminal over."""
    is_shown = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return is_shown and sys.stdout.isatty()
