"""Errors of the service: problem details of RFC 9457, `application/problem+json`."""

import re
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image_retrieval.errors import Dropped, ImageRejected, Unavailable, UserError
from image_retrieval.image_inputs import rejection_of
from image_retrieval.logs import failure
from image_retrieval.objects import ObjectFault, StoreUnavailable
from image_retrieval.store.failures import DatabaseError, DatabaseUnavailable, kind_of, message_of

log = structlog.get_logger()
UNREAD = (401, 408, 413, 429, 503)  # may be sent before the whole request has arrived
FOLDERS = re.compile(r"(?<![\w:/.…-])/(?:[^/\s'\":;,()]+/)+")
ADDRESS = re.compile(r"\b((?:on|at|reach) )(?:https?://)?[\w.\[\]:-]+:\d{1,5}\b")
MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """The form of every error."""

    type: str = "about:blank"
    title: str = Field(description="the status in words")
    status: int
    code: str = Field(description="a fixed word for programs")
    detail: str = Field(description="what is wrong, and where")
    hint: str | None = Field(None, description="what to do about it")


class Refused(Exception):
    """A request that is refused, with the status of the answer."""

    def __init__(self, status: int, code: str, detail: str, hint: str | None = None, wait: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.hint, self.wait = status, code, detail, hint, wait


def refusal_of(error: Exception) -> Refused:
    """The refusal that an exception becomes; an unexpected one becomes a 500 that reveals nothing internal."""
    match error:
        case Refused():
            return error
        case ImageRejected():
            message = _without_places(error.detail) or str(error.reason)
            return Refused(422, str(error.reason), message, "docs/rejected.md explains the code")
        case ObjectFault():
            return refusal_of(rejection_of(error))
        case Dropped():
            return Refused(404, "unknown_collection", str(error))
        case DatabaseUnavailable() | StoreUnavailable():
            log.warning("unavailable", error=str(error))
            service = "object store" if isinstance(error, StoreUnavailable) else "database"
            return Refused(503, "unavailable", f"the {service} does not answer, or answers with an error", wait=5)
        case Unavailable():
            return Refused(503, "unavailable", _without_places(str(error)), wait=5)
        case UserError():
            return Refused(422, "invalid", _without_places(str(error)))
        case RequestValidationError():
            return Refused(422, "invalid_request", _first(error))
        case HTTPException() if isinstance(error.__cause__, Refused):
            return error.__cause__
        case HTTPException():
            return Refused(error.status_code, _word(error.status_code), str(error.detail))
        case UnicodeEncodeError():
            return Refused(422, "invalid", "a text holds lone surrogates, which are not text")
        case DatabaseError() if (kind := kind_of(error)) is not None:
            return _database_refusal(kind, error)
        case _:
            log.error("failed", **failure(error))
            return Refused(500, "internal_error", "the service failed; its log has the details")


def _database_refusal(kind: str, error: DatabaseError) -> Refused:
    if kind == "value":
        return Refused(422, "invalid", f"a value cannot be used: {message_of(error)[:200]}")
    if kind == "right":
        return Refused(403, "forbidden", "the service's database role lacks the right to do this")
    if kind == "locked":
        return Refused(503, "busy", "a run is listing this collection", "try again in a moment", wait=5)
    return Refused(503, "unavailable", "the database does not answer in time", wait=5)


def require_gone(left: list[str]) -> None:
    """Raise Refused (503) if the object store refused to delete some files."""
    if left:
        message = f"the images are deleted, but the object store refuses to delete {len(left)} files, such as {left[0]}"
        raise Refused(503, "unavailable", message, "repeat the request, or let the upkeep do it", wait=5)


def problem(refused: Refused) -> JSONResponse:
    """The answer for a refusal."""
    shown = Problem(
        title=HTTPStatus(refused.status).phrase,
        status=refused.status,
        code=refused.code,
        detail=refused.detail.encode(errors="replace").decode(),
        hint=refused.hint,
    )
    headers = {"Retry-After": str(refused.wait)} if refused.wait else {}
    if refused.status in UNREAD:  # else the server would keep receiving a body that nobody reads
        headers["Connection"] = "close"
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(shown.model_dump(exclude_none=True), refused.status, headers, MEDIA_TYPE)


def tell_errors(app: FastAPI) -> None:
    """Answer every error of this app as problem details."""

    async def handle(_: Request, error: Exception) -> JSONResponse:  # no function: Starlette would run it in a thread
        answer = problem(refusal_of(error))
        if isinstance(error, HTTPException) and error.headers:
            answer.headers.update(error.headers)
        return answer

    for kind in (
        Refused,
        ImageRejected,
        ObjectFault,
        UserError,
        RequestValidationError,
        HTTPException,
        UnicodeEncodeError,
    ):
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(DatabaseError, handle)
    app.add_middleware(Unforeseen)


class Unforeseen:
    """An ASGI app around another one that lets no exception out: the server would log each again, at any length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            refused = refusal_of(error)
            if not begun:  # else the connection ends with the answer unfinished
                await problem(refused)(scope, receive, send)


def _without_places(text: str) -> str:
    """A message without this machine's folders and the addresses of services."""
    return ADDRESS.sub(lambda found: f"{found[1]}…", FOLDERS.sub("…/", text))


def _word(status: int) -> str:
    return "content_too_large" if status == 413 else HTTPStatus(status).name.lower()  # 413's name depends on Python


def _first(error: RequestValidationError) -> str:
    """The first error, without the value that was sent, which may be a picture."""
    found: Any = error.errors()[0]
    if found["type"] == "json_invalid":
        return f"body: not accepted as JSON: {found['ctx']['error']}"
    place = ".".join(str(part) for part in found["loc"])
    return f"{place}: {found['msg'].removeprefix('Value error, ')}"


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "content": {MEDIA_TYPE: {}}, "description": "an error"}
}
