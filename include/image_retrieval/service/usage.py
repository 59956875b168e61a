"""How much the service is used: its history over the last hour or day, in steps, by route and as a whole."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import reduce
from typing import Any, Literal, NamedTuple

from image_retrieval.service.history import MINUTE, Counts, Minute

Window = Literal["hour", "day"]
SPANS: dict[Window, tuple[int, int]] = {"hour": (60, 1), "day": (24 * 60, 10)}  # minutes in all, and of a step
QUANTILES = (50, 95, 99)


class Step(NamedTuple):
    """Minutes that are told as one."""

    at: float
    minutes: list[Minute]


def usage(minutes: list[Minute], window: Window) -> dict[str, Any]:
    """The last minutes of a window, the latest last: as a whole, by route, and in steps of one or ten minutes."""
    whole, of_step = SPANS[window]
    end = minutes[-1].start + minutes[-1].seconds
    kept = [minute for minute in minutes if minute.start >= end - whole * MINUTE]
    by_route: dict[str, Counts] = {}
    for minute in kept:
        for route, counts in minute.routes.items():
            by_route[route] = by_route.get(route, Counts()).plus(counts)
    busiest = sorted(by_route.items(), key=lambda item: (-item[1].requests, item[0]))
    return {
        "window": window,
        "since": _time(kept[0].start),
        **_requests(kept),
        "routes": [{"route": route, **_told(counts)} for route, counts in busiest],
        "steps": [
            {"at": _time(step.at), **_requests(step.minutes), **_machine(step.minutes)}
            for step in _steps(kept, of_step)
        ],
    }


def _steps(minutes: Iterable[Minute], of_step: int) -> list[Step]:
    found: dict[float, list[Minute]] = defaultdict(list)
    for minute in minutes:
        found[minute.start // (of_step * MINUTE)].append(minute)
    return [Step(members[0].start, members) for members in found.values()]


def _requests(minutes: list[Minute]) -> dict[str, Any]:
    counts = reduce(Counts.plus, (each for minute in minutes for each in minute.routes.values()), Counts())
    seconds = sum(minute.seconds for minute in minutes)
    return {"seconds": round(seconds, 1), "per_second": round(counts.requests / seconds, 3), **_told(counts)}


def _told(counts: Counts) -> dict[str, Any]:
    quantiles = {f"p{share}": counts.quantile(share / 100) for share in QUANTILES}
    rounded = {name: None if value is None else round(value, 4) for name, value in quantiles.items()}
    return {"requests": counts.requests, "refused": counts.refused, "failed": counts.failed, **rounded}


def _machine(minutes: list[Minute]) -> dict[str, Any]:
    """Processors on average; the most memory of a minute; GPUs as at the end."""
    seconds = sum(minute.seconds for minute in minutes)
    return {
        "cores": round(sum(minute.cores * minute.seconds for minute in minutes) / seconds, 3),
        "memory": max(minute.memory for minute in minutes),
        "models_memory": max(minute.models_memory for minute in minutes),
        "gpus": [
            {"name": gpu.name, "used": gpu.used, "memory": gpu.memory, "memory_total": gpu.memory_total}
            for gpu in minutes[-1].gpus
        ],
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
