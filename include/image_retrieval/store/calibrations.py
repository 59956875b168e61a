"""The calibrations that were fitted on collections."""

from dataclasses import asdict, dataclass
from typing import Any

from pgvector import HalfVector

from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all, fetch_value
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Sampled:
    """A vector of a collection, and where the resampled picture that it shows lies, if one is kept."""

    embedding: HalfVector
    resampled_image_path: str | None


@dataclass(frozen=True, slots=True)
class KnownFit:
    """The number of vectors when a direction was last fitted, and the version of the phrases, of texts."""

    direction: str
    vectors: int
    phrases: int | None


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


def count_vectors(connection: Connection, space: VectorSpace) -> int:
    """The number of images of a space that can be searched."""
    return int(fetch_value(connection, statement("calibrations", "count_vectors", view=space.view)))


def sample_vectors(connection: Connection, space: VectorSpace, sample: int) -> list[Sampled]:
    """So many of a space's vectors, or all of them, in random order."""
    return fetch_all(connection, Sampled, statement("calibrations", "sample", view=space.view), {"sample": sample})


def _names(space: VectorSpace) -> dict[str, str]:
    return {"collection": space.collection, "model": space.model}
