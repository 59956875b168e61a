"""The older wire protocol of hosted retrieval and matching services: POST /api/predict/<service>."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from image_retrieval.service import predicting
from image_retrieval.service.state import Service


def router(service: Service) -> APIRouter:
    """The routes of one service."""
    routes = APIRouter(prefix="/api/predict", tags=["older protocol"])

    @routes.post("/{name}")
    def predict(name: Annotated[str, Path(max_length=100)], form: dict[str, Any]) -> dict[str, Any]:
        """One call of that protocol: `function_name` and `function_params`, or `imagea` and `imageb`."""
        return predicting.predict(service, name, form)

    return routes
