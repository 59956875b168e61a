"""Chosen images as a file."""

from fastapi import APIRouter
from starlette.responses import Response

from image_retrieval.service.bodies import strict_router
from image_retrieval.service.choosing_schemas import ExportForm
from image_retrieval.service.exports import export
from image_retrieval.service.state import Service


def router(service: Service) -> APIRouter:
    """The routes of one service."""
    routes = strict_router(prefix="/api", tags=["search"], reads=True)

    @routes.post("/export", response_class=Response)
    def export_images(form: ExportForm) -> Response:
        """The images of these ids as CSV or Parquet, with the columns of the collection's view."""
        return export(service, form)

    return routes
