"""The application, to be served or mounted."""

import gc
import json
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import Response

from image_retrieval import __version__
from image_retrieval.service import errors
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.gate import Check, Gate, declared
from image_retrieval.service.limits import Guard
from image_retrieval.service.routes import (
    collections,
    exports,
    hints,
    images,
    maps,
    operation,
    page,
    predict,
    reports,
    search,
    trainings,
    verdicts,
)
from image_retrieval.service.state import Service
from image_retrieval.service.tokens import may_hint
from image_retrieval.settings import Settings


def make_app(
    settings: Settings,
    *,
    may_read: Check,
    may_write: Check,
    open_page: bool = False,
    documented_by: Callable[..., Any] | None = None,
) -> FastAPI:
    """The API over the collections of these settings, and its page.

    `may_read` is checked for every route, and `may_write` also for those that change something. Both get the request
    before its body is read, and raise if the client lacks the right. Where events come in, the settings' token for
    hints takes the place of `may_write`. `open_page` lets anybody read the page's own files, which hold no data, so
    that the page can ask for a token. `documented_by` is a security scheme; with it, /openapi.json is served, to
    clients that may read, and names the scheme. The first request starts processes and connections;
    `app.state.service.close()` ends them. Mount the application, or serve it with uvicorn.
    """
    service = Service(settings)
    app = FastAPI(
        title="Image search",
        version=__version__,
        description="Search for images by words and pictures, and keep collections of them. See docs/api.md.",
        responses=errors.RESPONSES,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.service = service
    errors.tell_errors(app)
    reading, writing = [declared(may_read)], [declared(may_write)]
    if documented_by:
        reading.append(Depends(documented_by))
    app.include_router(search.router(service), dependencies=reading)
    app.include_router(exports.router(service), dependencies=reading)
    app.include_router(collections.router(service, writing), dependencies=reading)
    app.include_router(images.router(service, writing), dependencies=reading)
    app.include_router(maps.router(service), dependencies=reading)
    app.include_router(reports.router(service, writing), dependencies=reading)
    app.include_router(verdicts.router(service, writing), dependencies=reading)
    app.include_router(trainings.router(service), dependencies=reading)
    app.include_router(operation.router(service, writing), dependencies=reading)
    app.include_router(predict.router(service), dependencies=[*reading, *writing])
    app.include_router(hints.router(service), dependencies=[declared(may_hint(settings, may_write))])
    app.include_router(page.router(), dependencies=[] if open_page else reading)
    if documented_by:
        app.include_router(_documentation(app), dependencies=reading)
    app.add_middleware(Guard, settings=settings, metrics=service.metrics, history=service.history)
    app.add_middleware(Gate, router=app.router, otherwise=may_read)
    return app


def keep_what_exists() -> None:
    """Let the garbage collector pass over all objects that exist now, when a server has started.

    It would look through them again and again, and stop all requests meanwhile: in Airflow's API server for 0.4 s.
    """
    gc.collect()
    gc.freeze()


def _documentation(app: FastAPI) -> APIRouter:
    routes = strict_router(include_in_schema=False)

    @routes.get("/openapi.json")
    def document() -> Response:
        return Response(json.dumps(app.openapi()), media_type="application/json")

    return routes
