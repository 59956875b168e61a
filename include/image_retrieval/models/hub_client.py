"""The hub's client, with limits: by itself it waits without end for a hub that falls silent."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import structlog
from huggingface_hub import constants, get_session, logging, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils.tqdm import tqdm

log = structlog.get_logger()
SECONDS = 60.0  # a file of which fewer than LEAST bytes arrive in this time is given up
LEAST = 2**16
RESTARTS = 3  # how often a file that breaks off may begin anew, where the hub cannot continue it
STORAGE = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1", "HF_XET_CLIENT_READ_TIMEOUT": "10s"}  # unless its user sets them

_restarts: Counter[str] = Counter()


class TransferGivenUp(Exception):
    """A file arrives too slowly, or breaks off too often. The client retries nothing that ends with this."""


def fetch_snapshot(name: str, revision: str | None, patterns: Iterable[str]) -> Path:
    """The folder of a repository's commit in the hub's cache, with the files at its top that match.

    Raises TransferGivenUp, and whatever the client raises.
    """
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # its warnings show the signed URLs of a CDN
    _restarts.clear()
    for variable, value in STORAGE.items():
        os.environ.setdefault(variable, value)
    hooks = get_session().event_hooks
    if _watch not in hooks["response"]:
        get_session().event_hooks = {"request": [*hooks["request"], _limit], "response": [*hooks["response"], _watch]}
    wanted = list(patterns)
    try:
        return _snapshot(name, revision, wanted)
    except Exception as error:
        if constants.HF_HUB_DISABLE_XET or not _is_of_storage(error):
            raise
        log.info("the hub's storage service cannot be used: fetching from the hub itself", error=type(error).__name__)
        constants.HF_HUB_DISABLE_XET = True  # what the variable of that name sets
        return _snapshot(name, revision, wanted)


def _snapshot(name: str, revision: str | None, patterns: list[str]) -> Path:
    return Path(
        snapshot_download(
            name, revision=revision, allow_patterns=patterns, ignore_patterns=["*/*"], tqdm_class=_BarOfATerminal
        )
    )


def _is_of_storage(error: Exception) -> bool:
    """Whether an error may come from Xet, the storage service of large files, which a mirror may lack."""
    if isinstance(error, HfHubHTTPError):
        return "/xet-" in error.response.request.url.path
    return not isinstance(error, httpx2.HTTPError | OSError | HFValidationError | TransferGivenUp)


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
    """Count a restart; watch the pace of a body. Raises TransferGivenUp."""
    request = response.request
    if "Range" in request.headers and response.status_code == 200:  # the client then starts again, without end
        _restarts[str(request.url)] += 1
        if _restarts[str(request.url)] > RESTARTS:
            raise TransferGivenUp("a file breaks off again and again, and the hub does not continue it")
    if isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = _Watched(response.stream)


class _Watched(httpx2.SyncByteStream):
    """A body that has a least pace."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        began, arrived = time.monotonic(), 0
        for chunk in self._stream:
            arrived += len(chunk)
            if arrived >= LEAST:
                began, arrived = time.monotonic(), 0
            elif time.monotonic() - began > SECONDS:
                raise TransferGivenUp(f"in {SECONDS:.0f} s fewer than {LEAST // 1024} KiB of a file arrived")
            yield chunk

    def close(self) -> None:
        self._stream.close()
