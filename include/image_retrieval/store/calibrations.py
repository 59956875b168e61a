"""The calibrations that were fitted on collections."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pgvector import HalfVector

from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all, fetch_one, fetch_value
from image_retrieval.store.sql import statement

ROWS_READ = 16  # rows that are read for each row of a sample
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sampled:
    """A vector of a collection, and where the resampled picture that it shows lies, if one is kept."""

    embedding: HalfVector
    resampled_uri: str | None


@dataclass(frozen=True, slots=True)
class KnownFit:
    """When a direction was last fitted, and on how many vectors and probes; of texts, the version of the phrases."""

    direction: str
    vectors: int
    probes: int
    phrases: int | None
    fitted_at: datetime


@dataclass(frozen=True, slots=True)
class Count:
    """The images of a space that can be searched, and how many of them have changed since some time."""

    vectors: int
    changed: int


@dataclass(frozen=True, slots=True)
class Fit:
    """What one direction was fitted on: columns of `retrieval.calibration`. `reason`: why no function was found."""

    direction: str
    slope: float | None
    middle: float | None
    reason: str | None
    rate: float
    vectors: int
    sampled: int
    probes: int
    phrases: int | None


def find_fits(connection: Connection, space: VectorSpace) -> dict[str, KnownFit]:
    """What is fitted of a space, by direction."""
    found = fetch_all(connection, KnownFit, statement("calibrations", "find"), _names(space))
    return {fit.direction: fit for fit in found}


def keep_fit(connection: Connection, space: VectorSpace, fit: Fit) -> None:
    """Record a fit, in place of the direction's former one; does nothing if the space was dropped meanwhile."""
    connection.execute(statement("calibrations", "keep"), {**_names(space), **asdict(fit)})


def remove_fits(connection: Connection, space: VectorSpace) -> None:
    """Forget what was fitted of a space."""
    connection.execute(statement("calibrations", "remove"), _names(space))


def own_calibration(connection: Connection, model: str) -> Any:
    """The content of the calibration.json that a model brings, or None."""
    return fetch_value(connection, statement("calibrations", "find_own"), {"model": model})


def count_vectors(connection: Connection, space: VectorSpace, since: datetime | None) -> Count:
    """Count the images of a space that can be searched, and those that were changed or embedded anew since."""
    connection.execute(statement("calibrations", "prepare_session"))
    given = {**_names(space), "since": since or NEVER}
    found = fetch_one(connection, Count, statement("calibrations", "count_vectors", vectors=space.vector_table), given)
    embedded = int(fetch_value(connection, statement("calibrations", "count_embedded"), given))
    return Count(found.vectors, max(found.changed, embedded))


def count_told(connection: Connection, collection: str, since: datetime | None) -> int:
    """How many captions of a collection a model wrote since, or another captioner was shown since."""
    given = {"collection": collection, "since": since or NEVER}
    return int(fetch_value(connection, statement("calibrations", "count_told"), given))


def sample_vectors(connection: Connection, space: VectorSpace, total: int, sample: int) -> list[Sampled]:
    """So many of a space's `total` vectors, or all of them, in an order that is random and always the same."""
    connection.execute(statement("calibrations", "prepare_session"))
    query = statement("calibrations", "sample", vectors=space.vector_table)
    percent = min(100.0, 100 * ROWS_READ * sample / max(1, total))
    return fetch_all(connection, Sampled, query, {"percent": percent, "sample": sample})


def _names(space: VectorSpace) -> dict[str, str]:
    return {"collection": space.collection, "model": space.model}
