"""Reports about collections: rejected images, duplicates, counts, runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from image_retrieval.pipeline.backfilling import costs
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.catalog import shown_collection
from image_retrieval.service.schemas import RequeueForm, Tier
from image_retrieval.service.state import Service
from image_retrieval.store import duplicates as pairs
from image_retrieval.store import rejections
from image_retrieval.store.collections import collection_stats
from image_retrieval.store.connection import Connection
from image_retrieval.store.images import list_same_bytes
from image_retrieval.store.runs import latest_runs, read_run

Name = Annotated[str, Path(max_length=100)]
Limit = Annotated[int, Query(ge=1, le=500)]


def router(service: Service, writing: list[Any]) -> APIRouter:
    """The routes of one service; those that change something have the dependencies `writing`."""
    routes = strict_router(prefix="/api", tags=["reports"])

    @routes.get("/collections/{name}/rejected")
    def rejected(
        name: Name,
        reason: Annotated[str | None, Query(max_length=100)] = None,
        final: bool | None = None,
        limit: Limit = 50,
    ) -> dict[str, Any]:
        """Images that could not be used, each with its reason, and counts by reason."""
        with service.transaction(heavy=True) as connection:
            which = _which(service, connection, name, reason, None, final)
            counts = rejections.count_by_reason(connection, rejections.Rejected(name))
            return {"rejected": rejections.list_rejected(connection, which, limit), "by_reason": counts}

    @routes.post("/collections/{name}/rejected/requeue", dependencies=writing)
    def requeue(name: Name, form: RequeueForm) -> dict[str, int]:
        """Let the next run try rejected images again."""
        with service.changing(), service.writing() as connection:
            which = _which(service, connection, name, form.reason, form.uri, None)
            return {"requeued": rejections.requeue(connection, which)}

    @routes.get("/collections/{name}/duplicates")
    def duplicates(
        name: Name,
        tier: Tier = "bytes",
        decided: bool | None = None,
        limit: Limit = 50,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> dict[str, Any]:
        """Groups of images with the same bytes, or pairs of the same picture or scene with their verdicts."""
        return _duplicates(service, name, tier, decided, limit, offset)

    @routes.get("/collections/{name}/runs")
    def runs(name: Name, limit: Annotated[int, Query(ge=1, le=50)] = 10) -> dict[str, Any]:
        """The last runs, with their counts, seconds and costs, and estimates of what is left."""
        with service.transaction(heavy=True) as connection:
            shown_collection(connection, service.settings, name)
            found = [read_run(connection, name, run_id) for run_id in latest_runs(connection, name, limit)]
        return {"runs": [{**report, **costs(report, service.settings)} for report in found if report]}

    @routes.get("/stats")
    def stats() -> dict[str, Any]:
        """Per collection: images, deleted, rejected, vectors, dimensions, model, and its last run."""
        with service.transaction(heavy=True) as connection:
            return collection_stats(connection)

    return routes


def _duplicates(
    service: Service, name: str, tier: Tier, decided: bool | None, limit: int, offset: int
) -> dict[str, Any]:
    with service.transaction(heavy=True) as connection:
        shown = shown_collection(connection, service.settings, name)
        if tier == "bytes":
            return {"groups": list_same_bytes(connection, name, limit=limit, offset=offset)}
        found = pairs.list_pairs(connection, name, tier, decided=decided, limit=limit, offset=offset)
        return {"pairs": found, "waiting": pairs.count_waiting(connection, name, shown.model.name)}


def _which(
    service: Service, connection: Connection, name: str, reason: str | None, uri: str | None, final: bool | None
) -> rejections.Rejected:
    shown_collection(connection, service.settings, name)
    return rejections.Rejected(name, reason, uri, final)
