"""The routes of the service, and where they stand in Airflow."""

from fastapi.routing import APIRoute

from image_retrieval.service.app import make_app
from image_retrieval.settings import Settings


def _nobody() -> None: ...


ROUTES = sorted(
    (method, route.path)
    for route in make_app(Settings(), may_read=_nobody, may_write=_nobody).routes
    if isinstance(route, APIRoute)
    for method in route.methods
)


def at(path: str) -> str:
    return "/image-search" + path.replace("{image_id:id}", "red-circle/0000").replace("{name}", "demo")
