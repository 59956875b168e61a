"""Trainings: what they learn from, how they get on, and what the gate said."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from image_retrieval.pipeline.trainings import examples, progress_of
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.errors import Refused
from image_retrieval.service.routes.images import INERT
from image_retrieval.service.state import Service
from image_retrieval.store.trainings import Training, find_training, list_trainings

Name = Annotated[str, Path(max_length=100)]


def router(service: Service) -> APIRouter:
    """The routes of one service."""
    routes = strict_router(prefix="/api/trainings", tags=["reports"])

    @routes.get("")
    def trainings() -> dict[str, Any]:
        """The trainings, the latest first."""
        with service.transaction(heavy=True) as connection:
            return {"trainings": [asdict(training) for training in list_trainings(connection)]}

    @routes.get("/{name}")
    def training(name: Name) -> dict[str, Any]:
        """One training, with the curve of its loss and the gate's report; while it runs, as its folder tells."""
        found = _found(service, name)
        with service.reading() as store:
            folder = progress_of(found, store)
        gate = {key: value for key, value in found.gate.items() if key != "examples"} if found.gate else None
        return {**asdict(found), "gate": gate, "folder": folder}

    @routes.get("/{name}/examples", response_class=Response)
    def pictures(name: Name) -> Response:
        """Queries, each with the nearest pictures of the trained model and of the one before, as a PNG."""
        found = _found(service, name)
        with service.reading() as store:
            data = examples(found, store)
        if data is None:
            raise Refused(404, "no_examples", f"training {name!r} was not judged yet", "ask again after its gate")
        return Response(data, media_type="image/png", headers=INERT)

    return routes


def _found(service: Service, name: str) -> Training:
    with service.transaction(heavy=True) as connection:
        found = find_training(connection, name)
    if found is None:
        raise Refused(404, "unknown_training", f"unknown training {name[:80]!r}", "GET /api/trainings lists them")
    return found
