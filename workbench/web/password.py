"""The password of a page that listens on the network: read from a file, compared, never shown.

Knows nothing about HTTP but the one header it is sent in.
"""

import base64
import binascii
import hashlib
import hmac
import os
import stat
from pathlib import Path
from typing import Self

from pipelines.errors import InputError

SHORTEST = 12
LONGEST = 1024


class Password:
    """A password as its SHA-256, so that no log, traceback or page can tell it."""

    def __init__(self, text: str) -> None:
        self._digest = hashlib.sha256(text.encode()).digest()

    @classmethod
    def read(cls, path: Path) -> Self:
        """The first line of a file that only its owner can read; raises InputError."""
        try:
            number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without writer would wait for ever
        except OSError as error:
            raise InputError(
                f"password file {path} cannot be read ({error.strerror}); write a password into it"
            ) from None
        try:
            _check(path, os.fstat(number))
            lines = os.read(number, 4 * LONGEST).decode("utf-8", "replace").splitlines()
        finally:
            os.close(number)
        text = lines[0].strip() if lines else ""
        if not SHORTEST <= len(text) <= LONGEST:
            raise InputError(
                f"the password in {path} has {len(text)} characters; allowed: {SHORTEST} to {LONGEST}, in one line"
            )
        return cls(text)

    def opens(self, authorization: bytes) -> bool:
        """Whether an HTTP Basic `Authorization` header holds it, under any user name; takes equal time either way."""
        scheme, _, encoded = authorization.partition(b" ")
        try:
            said = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            said = b""
        given = hashlib.sha256(said.partition(b":")[2]).digest()
        return hmac.compare_digest(given, self._digest) and scheme.lower() == b"basic"

    def __repr__(self) -> str:
        return "Password(••••)"


def _check(path: Path, seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise InputError(f"password file {path} is no file; give a text file with the password in its first line")
    if seen.st_mode & 0o077 or seen.st_uid != os.getuid():
        mode = stat.S_IMODE(seen.st_mode)
        raise InputError(
            f"password file {path} is open to others (mode {mode:04o}, owner {seen.st_uid}); allowed: yours alone, "
            f"0600: chmod 600 {path}"
        )
