"""The page: a document, its style sheet and its modules, read once and served unchanged."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FILES = {
    file.name: file.read_bytes()
    for file in files("image_retrieval.service").joinpath("page").iterdir()
    if file.name.rpartition(".")[2] in KINDS
}
PATHS = frozenset({"/", *(f"/page/{name}" for name in FILES)})
HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"),
            *("img-src 'self' blob:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'self'"),
        )
    ),
    "Cache-Control": "no-cache",
}


def router() -> APIRouter:
    """The routes of the page's files; they are the same for every service."""
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route("/", _answer("index.html"), methods=["GET"])
    for name in FILES:
        routes.add_api_route(f"/page/{name}", _answer(name), methods=["GET"])
    return routes


def _answer(name: str) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:  # async, so that it takes no thread
        return _response(name)

    return answer


def _response(name: str) -> Response:
    return Response(FILES[name], media_type=KINDS[name.rpartition(".")[2]], headers=HEADERS)
