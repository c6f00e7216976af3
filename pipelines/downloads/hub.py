"""Asking a Hugging Face hub what a repository holds and for its bytes. Knows nothing about disks or which files matter.

Not through huggingface_hub's own calls, which neither resume nor verify over plain HTTP and refuse to work under
HF_HUB_OFFLINE, which Sidelight sets for everything else; its HTTP client and its place of the token are used.
"""

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote

import httpx2

from pipelines.downloads.lockfile import LockedFile
from pipelines.errors import CheckpointError, HubError

PUBLIC = "https://huggingface.co"
STALL_SECONDS = 30.0
MOST_LISTED_BYTES = 64_000_000  # of a repository's list of files; the largest known are below 10 MB
SAFE_PATH = re.compile(r"(?!/)(?!.*//)[^\\\x00-\x1f]+(?<!/)")


class Unsteady(Exception):
    """A fault that may pass: a dropped connection, a stall, a busy server. `seconds`: how long it asks to wait."""

    def __init__(self, reason: str, seconds: float = 0) -> None:
        super().__init__(reason)
        self.seconds = seconds


class NothingThere(Unsteady):
    """The server says that the file ends before the byte asked for (416)."""


@dataclass(frozen=True)
class Repository:
    """A repository at one commit."""

    repo: str
    commit: str
    files: tuple[LockedFile, ...]


@dataclass(frozen=True)
class Answer:
    """Bytes on their way. `start` is where in the file they begin, `size` the whole file's length if it was said."""

    start: int
    size: int | None
    blocks: Iterator[bytes]


class Hub:
    """A hub. The token goes to the endpoint's own host only, never along a redirect to another."""

    def __init__(self, endpoint: str = "", *, token: str | None = None, stall_seconds: float = STALL_SECONDS) -> None:
        self._endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or PUBLIC).rstrip("/")
        # identity: lengths and ranges are of the file's own bytes
        headers = {"User-Agent": "sidelight", "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx2.Client(headers=headers, timeout=stall_seconds, follow_redirects=True)
        self._coming: httpx2.Response | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._client.close()

    def break_off(self) -> None:
        """End the answer that is being read, from any thread: its reader gets Unsteady now, not after the stall."""
        stream = self._coming.extensions.get("network_stream") if self._coming else None
        if stream:
            with contextlib.suppress(OSError):  # it ended by itself just now
                # not the TLS socket's own shutdown, which takes away what another thread is reading with
                socket.socket.shutdown(stream.get_extra_info("socket"), socket.SHUT_RDWR)

    def repository(self, repo: str, revision: str) -> Repository:
        """The commit that a revision stands for and all its files; raises CheckpointError, HubError or Unsteady."""
        url = f"{self._endpoint}/api/models/{repo}/revision/{quote(revision, safe='')}"
        with self._asked(repo, revision, "", url, params={"blobs": "true"}) as response:
            text = b""
            for block in response.iter_raw():
                text += block
                if len(text) > MOST_LISTED_BYTES:
                    raise HubError(f"{repo}: its list of files is larger than {MOST_LISTED_BYTES} bytes; not read")
        return _repository(repo, response, text)

    def small(self, repo: str, commit: str, file: LockedFile) -> bytes:
        """A small file at once; raises as `answer` does. Its hash is not checked here."""
        with self.answer(repo, commit, file.path) as answer:
            text = b""
            for block in answer.blocks:
                text += block
                if len(text) > file.size:
                    break
        return text

    @contextlib.contextmanager
    def answer(self, repo: str, commit: str, path: str, *, start: int = 0) -> Iterator[Answer]:
        """A file's bytes from `start` on, or from 0 if the server does as it likes.

        Raises Unsteady for what may pass (also while reading), CheckpointError and HubError for what will not.
        """
        url = f"{self._endpoint}/{repo}/resolve/{commit}/{quote(path)}"
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._asked(repo, commit, path, url, headers=headers) as response:
            yield _answer(response, path)

    @contextlib.contextmanager
    def _asked(self, repo: str, revision: str, path: str, url: str, **more: Any) -> Iterator[httpx2.Response]:
        try:
            with self._client.stream("GET", url, **more) as response:
                if response.url.scheme == "http" and self._endpoint.startswith("https:"):
                    raise HubError(f"{repo}: the server redirects from https to http; not followed")
                if response.status_code not in (200, 206):
                    self._refuse(response, repo, revision, path)
                self._coming = response
                yield response
        except httpx2.TimeoutException:
            raise Unsteady(f"no bytes for {self._client.timeout.read:g} s") from None
        except httpx2.TransportError as error:
            raise Unsteady(str(error) or type(error).__name__) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise HubError(f"{repo}: {error}; is HF_ENDPOINT right ({self._endpoint})?") from None
        finally:
            self._coming = None

    def _refuse(self, response: httpx2.Response, repo: str, revision: str, path: str) -> NoReturn:
        """Say what an answer without the bytes means; a 403 of a host behind a redirect is no gate of the hub."""
        status, code = response.status_code, response.headers.get("X-Error-Code", "")
        is_hub = str(response.url).startswith(self._endpoint + "/")
        if status in (408, 425, 429) or status >= 500:
            asked = response.headers.get("Retry-After", "")
            raise Unsteady(f"the server answered {status}", min(int(asked), 60) if asked.isdigit() else 0)
        if status == 416:
            raise NothingThere("the server has no bytes there (416)")
        if code == "RevisionNotFound":
            raise CheckpointError(
                f"{repo} has no revision {revision}; look at {PUBLIC}/{repo}/commits/main and mend models.txt, or if "
                "it was pinned here and is gone there, forget it with `sidelight models remove NAME --files`"
            )
        if code == "GatedRepo" or (status == 403 and is_hub):
            raise CheckpointError(
                f"{repo} is gated: accept its licence at {PUBLIC}/{repo}, log in with `hf auth login` "
                "(or set HF_TOKEN) as the account that accepted it, then run the same command again"
            )
        if code == "RepoNotFound" or (status == 401 and is_hub):
            raise CheckpointError(
                f"{repo} is not there, private or gated, or your token is no longer valid: look at {PUBLIC}/{repo}, "
                "accept its licence there if it has one, log in with `hf auth login` (or set HF_TOKEN), then try again"
            )
        if status == 404:
            raise CheckpointError(f"{repo} has no {path or f'revision {revision}'} (404); look at {PUBLIC}/{repo}")
        raise HubError(f"{repo}: the server answered {status} for {path or 'the list of files'}; try again later")


def login_token() -> str | None:
    """The token of HF_TOKEN or of `hf auth login`; None if there is none."""
    from huggingface_hub import get_token

    return get_token()


def _answer(response: httpx2.Response, path: str) -> Answer:
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return Answer(0, int(length) if length.isdigit() else None, response.iter_raw())
    span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if not span:
        raise HubError(f"{path}: the server sends a part of the file and does not say which; try again later")
    return Answer(int(span[1]), int(span[3]) if span[3].isdigit() else None, response.iter_raw())


def _repository(repo: str, response: httpx2.Response, text: bytes) -> Repository:
    try:
        said: Mapping[str, Any] = json.loads(text)
        commit = said["sha"]
        files = tuple(_file(one) for one in said["siblings"])
        if not re.fullmatch("[0-9a-f]{40}", commit):
            raise ValueError("no commit")
    except (ValueError, KeyError, TypeError):
        raise HubError(
            f"{repo}: {response.url.host} does not answer like a Hugging Face hub; is HF_ENDPOINT right?"
        ) from None
    return Repository(repo, commit, files)


def _file(said: Mapping[str, Any]) -> LockedFile:
    """A file as the hub lists it: large ones by SHA-256, small ones by git's hash of them."""
    path = said["rfilename"]
    if not SAFE_PATH.fullmatch(path) or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("a path that leaves its folder")
    large = said.get("lfs")
    if large:
        return LockedFile(path=path, size=large["size"], sha256=large.get("sha256") or large["oid"])
    return LockedFile(path=path, size=said["size"], git_sha1=said["blobId"])
