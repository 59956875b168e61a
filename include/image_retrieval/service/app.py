"""The application, for whoever serves or mounts it."""

import json
from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI
from starlette.responses import Response

from image_retrieval import __version__
from image_retrieval.service import errors
from image_retrieval.service.guard import Guard
from image_retrieval.service.routes import collections, images, operation, predict, reports, searches
from image_retrieval.service.state import Service
from image_retrieval.settings import Settings

Check = Callable[..., Any]


def make_app(settings: Settings, *, may_read: Check, may_write: Check, documented: bool = False) -> FastAPI:
    """The API over the collections of these settings.

    `may_read` guards every route, `may_write` besides it those that change something: both are FastAPI dependencies,
    that raise where the client may not. `documented`: /openapi.json is served, to who may read. Nothing is started
    before the first request; `app.state.service.close()` ends what then was. Mount it, or serve it with uvicorn.
    """
    service = Service(settings)
    app = FastAPI(
        title="Image search",
        version=__version__,
        description="Search for images by words and pictures, and keep collections of them. See docs/api.md.",
        dependencies=[Depends(may_read)],
        responses=errors.RESPONSES,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.service = service
    errors.tell_errors(app)
    writing = [Depends(may_write)]
    app.include_router(searches.router(service))
    app.include_router(collections.router(service, writing))
    app.include_router(images.router(service, writing))
    app.include_router(reports.router(service, writing))
    app.include_router(operation.router(service))
    app.include_router(predict.router(service), dependencies=writing)
    if documented:
        app.add_api_route("/openapi.json", lambda: _document(app), include_in_schema=False)
    app.add_middleware(Guard, settings=settings, metrics=service.metrics)
    return app


def _document(app: FastAPI) -> Response:
    return Response(json.dumps(app.openapi()), media_type="application/json")
