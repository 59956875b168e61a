"""How this service reads bodies and paths: strict JSON, and ids with any characters."""

from collections.abc import Awaitable, Callable
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor

from image_retrieval.service.answering import for_request, in_a_thread
from image_retrieval.service.errors import Refused
from image_retrieval.service.state import SMALL, Service
from image_retrieval.strict_json import read_json


class IdConvertor(Convertor[str]):
    """`{image_id:id}`: the rest of a path, including slashes and line ends."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        """Return the rest of the path, percent-decoded, as the id."""
        return value

    def to_string(self, value: str) -> str:
        """Return the id unchanged."""
        return value


register_url_convertor("id", IdConvertor())


class StrictRequest(Request):
    """A request whose JSON is read by strict_json.py, whatever character set its header names."""

    async def json(self) -> Any:
        """The parsed body. Raises json.JSONDecodeError, which FastAPI turns into a RequestValidationError."""
        if not hasattr(self, "_strict"):
            body = await self.body()
            if len(body) <= SMALL:
                self._strict = read_json(body)
            else:  # parsing it here would block the event loop
                service: Service = self.app.state.service
                try:
                    self._strict = await to_thread.run_sync(service.large_json, body, limiter=service.threads)
                except Refused as refused:  # of anything else FastAPI would make a 400
                    raise HTTPException(refused.status) from refused
        return self._strict


class StrictRoute(APIRoute):
    """A route whose body is strict JSON, and whose function runs in one of the service's own threads."""

    reads = False  # True: it changes nothing, whatever its method

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        changes = not (self.reads or set(options.get("methods") or ()) <= {"GET", "HEAD"})
        status = options.get("status_code")
        threaded = in_a_thread(endpoint, status if isinstance(status, int) else 200, changes=changes)
        super().__init__(path, threaded, **options)

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler, which gets the request as a StrictRequest."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await for_request(StrictRequest(request.scope, request.receive), handle)

        return strictly


class ReadingRoute(StrictRoute):
    """A StrictRoute that changes nothing."""

    reads = True


def strict_router(*, reads: bool = False, **options: Any) -> APIRouter:
    """A router of StrictRoutes; with `reads`, none of them changes anything."""
    return APIRouter(route_class=ReadingRoute if reads else StrictRoute, **options)
