"""Asking a person yes or no, and sizes as a person reads them. Knows nothing about what is asked."""

import sys

import typer

from pipelines.errors import InputError


def confirmed(question: str, *, default: bool) -> bool:
    """A person's yes or no; raises InputError where nobody is there to answer."""
    if not sys.stdin.isatty():
        raise InputError(f"nobody is here to be asked ({question}); give --yes")
    return typer.confirm(question, default=default, err=True)


def size_text(size: int) -> str:
    """Bytes as a person reads them."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size} bytes"
