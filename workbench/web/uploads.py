"""What a browser sends: read up to a limit, looked at, not kept. Knows nothing about runs or routes."""

import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from pipelines import foreign
from pipelines.errors import InputError
from workbench.web.answers import for_javascript

PICTURE_BYTES = 80 * 2**20
"""Longest picture that is read: twice what 45 megapixels took as PNG."""
WORDS_BYTES = 64 * 2**10
"""Longest JSON that is read: a mark is a few hundred bytes."""


class TooLargeError(InputError):
    """More was sent than is read; answered with 413."""


async def body(stream: AsyncIterator[bytes], limit: int) -> bytes:
    """All that is sent; raises TooLargeError as soon as it is more than `limit` bytes."""
    data = bytearray()
    async for chunk in stream:
        if len(data) + len(chunk) > limit:
            raise TooLargeError(f"more than {limit:,} bytes were sent; allowed: up to that: send less")
        data += chunk
    return bytes(data)


def words(data: bytes) -> dict[str, Any]:
    """The JSON object that was sent; raises InputError."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise InputError("what was sent is no JSON object with names; send one, as UTF-8")
    return values


def read_picture(data: bytes) -> JsonValue:
    """What a picture says of how it was made, as JSON of `pipelines.foreign.Foreign`; raises InputError.

    It lies in a folder of its own while it is read, so that nothing beside it is taken for its start image.
    """
    with tempfile.TemporaryDirectory(prefix="sidelight-") as folder:
        path = Path(folder) / "upload" / "picture"
        path.parent.mkdir()
        path.write_bytes(data)
        try:
            found = foreign.read(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), "this picture")) from None
    return for_javascript(found.model_dump(mode="json"))
