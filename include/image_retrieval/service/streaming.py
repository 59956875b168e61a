"""Answers of any length: one part is in memory at a time."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping

from anyio import to_thread
from starlette.responses import StreamingResponse

from image_retrieval.service.asking import Asker, asked_by, current
from image_retrieval.service.state import Service


def streamed(
    service: Service, parts: Iterator[bytes], media_type: str, headers: Mapping[str, str] | None = None
) -> StreamingResponse:
    """An answer of these parts. The first is made before, so that errors are answered as usual.

    Each part has the time of one request, and is made in one of the service's own threads.
    """
    client, first = current().client, next(parts, b"")

    def following() -> bytes | None:
        with asked_by(Asker(client, time.monotonic() + service.settings.service_seconds)):
            return next(parts, None)

    async def all_parts() -> AsyncIterator[bytes]:
        part: bytes | None = first
        while part is not None:
            yield part
            part = await to_thread.run_sync(following, limiter=service.threads)

    return StreamingResponse(all_parts(), media_type=media_type, headers=dict(headers or {}))
