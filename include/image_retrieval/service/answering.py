"""Runs blocking functions in the service's own threads, and answers in time.

Starlette would run them in the event loop's threads, which in Airflow serve Airflow, too.
"""

import asyncio
import inspect
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

from anyio import to_thread
from fastapi import Request
from pydantic_core import to_json
from starlette.responses import Response

from image_retrieval.service.asking import GONE, Asker, asked_by, current
from image_retrieval.service.clients import client_of_request
from image_retrieval.service.errors import Refused

GRACE_SECONDS = 1.0  # for late work to end by itself
REQUEST: ContextVar[Request] = ContextVar("request")


def in_a_thread(function: Callable[..., Any], status: int, *, changes: bool) -> Callable[..., Any]:
    """A coroutine function that runs this one in a thread, and returns its result as a Response of that status.

    When the request's time is over, or its client has gone, the Asker gives up. A function that only reads is then
    answered with 503, or with 499 if nobody hears it. If it `changes` something, the answer waits for it to end, and
    says what happened.
    """
    if inspect.iscoroutinefunction(function):
        return function

    def called(values: dict[str, Any]) -> Response:
        try:
            answer = function(**values)
            if not changes:
                current().left()
            return _written(answer, status)
        finally:
            current().release()

    @wraps(function)
    async def answered(**values: Any) -> Response:
        request = REQUEST.get()
        return await _in_time(partial(called, values), current(), request, changes=changes)

    return answered


async def _in_time(work: Callable[[], Response], asker: Asker, request: Request, *, changes: bool) -> Response:
    threads = request.app.state.service.threads
    working = asyncio.ensure_future(to_thread.run_sync(work, limiter=threads, abandon_on_cancel=True))
    gone = asyncio.ensure_future(_gone(request))
    seconds = max(0.0, asker.deadline - time.monotonic())
    unheard = False
    try:
        await asyncio.wait({working, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            unheard = gone.done() and not changes
            asker.give_up()
            await asyncio.wait({working}, timeout=None if changes else GRACE_SECONDS)
        if unheard and not (working.done() and working.exception() is None):
            return Response(status_code=GONE)
        if not working.done():
            raise Refused(503, "too_slow", "the request's time is over", "try again in a moment", wait=5)
        return working.result()
    finally:
        gone.cancel()
        working.cancel()


async def _gone(request: Request) -> None:
    """Return when the client has gone; for a request whose body has arrived."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _written(answer: Any, status: int) -> Response:
    """The answer as a Response: FastAPI would validate it again, in the event loop."""
    if isinstance(answer, Response):
        return answer
    if answer is None:
        return Response(status_code=status)
    return Response(to_json(answer, inf_nan_mode="null"), status, media_type="application/json")


async def for_request(request: Request, handle: Callable[[Request], Any]) -> Response:
    """Handle a request. Its time begins here."""
    deadline = time.monotonic() + request.app.state.service.settings.service_seconds
    token = REQUEST.set(request)
    try:
        with asked_by(Asker(client_of_request(request.scope), deadline, holds=True)):
            response: Response = await handle(request)
            return response
    finally:
        REQUEST.reset(token)
