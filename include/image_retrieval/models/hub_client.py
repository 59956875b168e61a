"""The hub's client, with limits: by itself it waits without end for a hub that falls silent."""

import json
import logging
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import structlog
from huggingface_hub import constants, set_client_factory, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils._http import default_client_factory, parse_ratelimit_headers
from huggingface_hub.utils.tqdm import tqdm

log = structlog.get_logger()
SECONDS = 60.0  # a file of which fewer than LEAST bytes arrive in this time is given up
LEAST = 2**16
RESTARTS = 3  # how often a file that breaks off may begin anew, where the hub cannot continue it
STORAGE = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1", "HF_XET_CLIENT_READ_TIMEOUT": "10s"}  # unless its user sets them

_restarts: Counter[str] = Counter()


class TransferGivenUp(Exception):
    """A request is answered too slowly, or breaks off too often. The client retries nothing that ends with this."""

    def __init__(self, message: str, request: httpx2.Request) -> None:
        super().__init__(message)
        self.request = request


def fetch_snapshot(name: str, revision: str | None, patterns: Iterable[str]) -> Path:
    """The folder of a repository's commit in the hub's cache, with the files that match.

    If the hub does not say which files there are, the commit that it named last counts. Raises TransferGivenUp, and
    whatever the client raises.
    """
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # its warnings show the signed URLs of a CDN
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # and so does what it tells of each request
    _restarts.clear()
    for variable, value in STORAGE.items():
        os.environ.setdefault(variable, value)
    wanted = list(patterns)
    try:
        return _snapshot(name, revision, wanted)
    except Exception as error:
        if _is_of_storage(error) and not constants.HF_HUB_DISABLE_XET:
            log.info("the hub's storage service cannot be used: fetching from the hub", error=type(error).__name__)
            constants.HF_HUB_DISABLE_XET = True  # what the variable of that name sets
            return _snapshot(name, revision, wanted)
        if not _is_of_listing(error):
            raise
        with suppress(Exception):
            return _snapshot(name, revision, wanted, local_files_only=True)
        raise


def _snapshot(name: str, revision: str | None, patterns: list[str], *, local_files_only: bool = False) -> Path:
    return Path(
        snapshot_download(
            name,
            revision=revision,
            allow_patterns=patterns,
            tqdm_class=_BarOfATerminal,
            local_files_only=local_files_only,
        )
    )


def _is_of_storage(error: Exception) -> bool:
    """Whether an error comes from Xet, the storage service of large files, which a mirror may lack."""
    if isinstance(error, HfHubHTTPError):
        return "/xet-" in error.response.request.url.path
    called = {frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)}
    return "xet_get" in called and not isinstance(error, httpx2.HTTPError | TransferGivenUp)


def _is_of_listing(error: Exception) -> bool:
    """Whether the hub broke off, or answered as no hub does, before any file was asked for."""
    if isinstance(error, httpx2.TransportError | TransferGivenUp):
        return error.request.url.path.startswith("/api/models/")
    return isinstance(error, json.JSONDecodeError)


class _BarOfATerminal(tqdm):
    """Progress that no log file gets."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **(more if sys.stderr.isatty() else {**more, "disable": True}))  # type: ignore[no-untyped-call]


def _limit(request: httpx2.Request) -> None:
    """Let no single wait take longer than the hub's own settings say."""
    most = float(max(constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT))
    given = request.extensions.get("timeout", {})
    waits = {name: min(most, given.get(name) or most) for name in ("connect", "read", "write", "pool")}
    request.extensions = {**request.extensions, "timeout": waits}


def _watch(response: httpx2.Response) -> None:
    """Count a restart, and watch the pace of a body. Raises TransferGivenUp, also for a wait that is too long."""
    request = response.request
    if "Range" in request.headers and response.status_code == 200:  # the client then starts again, without end
        _restarts[str(request.url)] += 1
        if _restarts[str(request.url)] > RESTARTS:
            raise TransferGivenUp("a file breaks off again and again, and the hub does not continue it", request)
    if response.is_error and (wait := _asked_wait(response)) > SECONDS:  # the client would wait as long as that
        asked = f"it answers with status {response.status_code}, and asks for a wait of {wait} s"
        raise TransferGivenUp(asked, request)
    if isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = _Watched(response.stream, request)


def _asked_wait(response: httpx2.Response) -> int:
    """The seconds for which an answer asks the client to wait."""
    stated = response.headers.get("Retry-After", "").strip()
    limits = parse_ratelimit_headers(response.headers)
    return max(int(stated) if stated.isdecimal() else 0, limits.reset_in_seconds if limits else 0)


class _Watched(httpx2.SyncByteStream):
    """A body that has a least pace."""

    def __init__(self, stream: httpx2.SyncByteStream, request: httpx2.Request) -> None:
        self._stream, self._request = stream, request

    def __iter__(self) -> Iterator[bytes]:
        began, arrived = time.monotonic(), 0
        for chunk in self._stream:
            arrived += len(chunk)
            if arrived >= LEAST:
                began, arrived = time.monotonic(), 0
            elif time.monotonic() - began > SECONDS:
                slow = f"in {SECONDS:.0f} s fewer than {LEAST // 1024} KiB of a file arrived"
                raise TransferGivenUp(slow, self._request)
            yield chunk

    def close(self) -> None:
        self._stream.close()


def _client() -> httpx2.Client:
    """The client that the hub's library makes, again after each failed connection, with limits."""
    client = default_client_factory()
    hooks = client.event_hooks
    client.event_hooks = {"request": [*hooks["request"], _limit], "response": [*hooks["response"], _watch]}
    return client


set_client_factory(_client)
