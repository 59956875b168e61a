"""Hints of changed objects, from the events of object stores."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel

from image_retrieval.events import uris_of
from image_retrieval.pipeline.hints import receive
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.state import Service


class HintsAnswer(BaseModel):
    """What became of the events' objects."""

    accepted: int
    ignored: int


def router(service: Service) -> APIRouter:
    """The route of one service."""
    routes = strict_router(prefix="/api/hints", tags=["hints"])

    @routes.post("", status_code=202)
    def hint(event: Annotated[Any, Body()]) -> HintsAnswer:
        """Take an event of an object store, or `{"uris": [...]}`: the next run looks at these objects.

        `accepted` are objects that a collection with `watch` has in its source; the others are ignored.
        """
        with service.changing():
            found = receive(uris_of(event), service.settings)
        return HintsAnswer(accepted=found.accepted, ignored=found.ignored)

    return routes
