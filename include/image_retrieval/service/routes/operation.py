"""For operators of the service: health, use and metrics."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import psutil
from fastapi import APIRouter, Query
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from image_retrieval.scenes import draw_scenes
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.catalog import shown_collection
from image_retrieval.service.errors import Refused
from image_retrieval.service.history import resident
from image_retrieval.service.state import Service
from image_retrieval.service.usage import Window, usage
from image_retrieval.store.collections import collection_names


def router(service: Service, writing: list[Any]) -> APIRouter:
    """The routes of one service; those that change something have the dependencies `writing`."""
    routes = strict_router(tags=["operation"])

    @routes.get("/api/health")
    def health(collection: Annotated[str | None, Query(max_length=100)] = None) -> dict[str, Any]:
        """Decode and embed a drawn picture with a collection's model (default: the first's), and query the database."""
        started = time.monotonic()
        with service.transaction() as connection:
            names = collection_names(connection)
            if not names:
                message = "no collection can be searched yet"
                raise Refused(503, "no_collection", message, "run a DAG or `image-retrieval run`", wait=60)
            shown = shown_collection(connection, service.settings, collection or names[0])
        (scene,) = draw_scenes(1)
        found, _ = service.resampled(scene.data, shown, keep=False)
        vector = service.pixels_vector(found, shown)
        return {
            "collection": shown.name,
            "model": shown.model.name,
            "dimensions": len(vector),
            "seconds": round(time.monotonic() - started, 4),
        }

    @routes.get("/api/rights/write", status_code=204, dependencies=writing)
    def may_write() -> None:
        """Answer 204 if the client may change something; otherwise refuse as a change would be refused."""

    @routes.get("/api/service")
    def service_usage(window: Window = "hour") -> dict[str, Any]:
        """Requests, their times, processors, memory and GPUs over the last hour or day, and the models in memory.

        Of the process that answers, since it started.
        """
        return {
            "started": datetime.fromtimestamp(service.history.started, UTC).isoformat(timespec="seconds"),
            "machine": {"cores": service.settings.cores, "memory": psutil.virtual_memory().total},
            "models": [
                {
                    "name": loaded.model.name,
                    "source": loaded.model.source,
                    "device": service.settings.device,
                    "memory": resident([loaded.pid]),
                    "waiting": loaded.waiting,
                    "idle_seconds": round(loaded.idle_seconds, 1),
                }
                for loaded in service.encoder.loaded()
            ],
            **usage(service.history.minutes(), window),
        }

    @routes.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """Counts and times in Prometheus' text format."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return routes
