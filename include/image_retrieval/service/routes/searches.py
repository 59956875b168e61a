"""Searches and comparisons."""

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from image_retrieval.service import searching
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.forms import Match, MatchForm, Results, SearchForm, SimilarForm
from image_retrieval.service.state import Service


def router(service: Service) -> APIRouter:
    """The routes of one service."""
    routes = strict_router(prefix="/api", tags=["search"])

    @routes.post("/search", response_model=Results)
    def search(form: SearchForm) -> Response:
        """Search by pictures, by texts, or by both; a negative weight means less of it."""
        return _written(searching.search(service, form))

    @routes.post("/similar", response_model=Results)
    def similar(form: SimilarForm) -> Response:
        """The images most like one that the collection holds."""
        return _written(searching.similar(service, form))

    @routes.post("/match", response_model=Match)
    def match(form: MatchForm) -> Response:
        """How alike two pictures are."""
        return _written(searching.match(service, form))

    return routes


def _written(answer: BaseModel) -> Response:
    """An answer as it is: FastAPI would check it once more, and in a thread of its own."""
    return Response(answer.model_dump_json(), media_type="application/json")
