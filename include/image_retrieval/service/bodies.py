"""Bodies and paths as this service reads them: strict JSON, and ids of any letters."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor

from image_retrieval.strict_json import read_json


class IdConvertor(Convertor[str]):
    """`{image_id:id}`: the rest of a path, slashes and line ends among it."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        """The id is what the path says, its percent signs decoded."""
        return value

    def to_string(self, value: str) -> str:
        """The id as it is."""
        return value


register_url_convertor("id", IdConvertor())


class StrictRequest(Request):
    """A request whose JSON is read as strict_json.py does, whatever character set its header names."""

    async def json(self) -> Any:
        """What the body says. Raises json.JSONDecodeError, of which FastAPI makes a RequestValidationError."""
        if not hasattr(self, "_strict"):
            self._strict = read_json(await self.body())
        return self._strict


class StrictRoute(APIRoute):
    """A route whose body is strict JSON."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler, with the request as StrictRequest."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


def strict_router(**options: Any) -> APIRouter:
    """A router of such routes."""
    return APIRouter(route_class=StrictRoute, **options)
