"""What people decide about pairs of images."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from image_retrieval.service.bodies import strict_router
from image_retrieval.service.catalog import shown_collection
from image_retrieval.service.choosing_schemas import VerdictsForm
from image_retrieval.service.clients import name_of_user
from image_retrieval.service.schemas import VerdictForm
from image_retrieval.service.state import Service
from image_retrieval.store.duplicates import set_verdict

Name = Annotated[str, Path(max_length=100)]


def router(service: Service, writing: list[Any]) -> APIRouter:
    """The routes of one service; those that change something have the dependencies `writing`."""
    routes = strict_router(prefix="/api", tags=["reports"])

    @routes.post("/collections/{name}/duplicates/verdict", status_code=204, dependencies=writing)
    def decide(name: Name, form: VerdictForm, request: Request) -> None:
        """Mark two images as duplicates or as different; null removes the mark."""
        with service.changing(), service.writing() as connection:
            shown_collection(connection, service.settings, name)
            user = name_of_user(request.scope) or "api"
            set_verdict(connection, name, form.a, form.b, form.verdict, user)

    @routes.post("/collections/{name}/duplicates/verdicts", status_code=204, dependencies=writing)
    def decide_several(name: Name, form: VerdictsForm, request: Request) -> None:
        """Mark several pairs as duplicates or as different, all or none; null removes the marks."""
        with service.changing(), service.writing() as connection:
            shown_collection(connection, service.settings, name)
            user = name_of_user(request.scope) or "api"
            for pair in form.pairs:
                set_verdict(connection, name, pair.a, pair.b, form.verdict, user)

    return routes
