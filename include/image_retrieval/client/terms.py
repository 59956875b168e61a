"""Checks the terms of a search: texts, pictures, ids and vectors, each with a weight."""

import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from numbers import Real
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from image_retrieval.client.pictures import Picture
from image_retrieval.errors import UserError
from image_retrieval.pipeline.querying import Vector
from image_retrieval.strict_json import NotStrict, read_json
from image_retrieval.values import (
    KNOWN_ID_LETTERS,
    MOST_RESULTS,
    Region,
    part_of_picture,
    plain_text,
    printable,
    query_text,
)

T = TypeVar("T")
Term: TypeAlias = tuple[T, float]
# one value, a pair of a value and its weight, or a list of these
Texts: TypeAlias = str | tuple[str, float] | Sequence[str | tuple[str, float]]
Pictures: TypeAlias = "Picture | tuple[Picture, float] | Sequence[Picture | tuple[Picture, float]]"
Vectors: TypeAlias = ArrayLike | tuple[ArrayLike, float] | Sequence[ArrayLike | tuple[ArrayLike, float]]
MOST_WEIGHT = 10.0  # as in the API


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that results should be like or, with a negative weight, unlike."""

    texts: list[Term[str]]
    pictures: list[Term[Any]]
    image_ids: list[Term[str]]
    vectors: list[Term[Vector]]
    region: Region | None = None
    at_place: bool = False


def terms_of(
    text: Texts | None,
    image: "Pictures | None",
    image_id: Texts | None,
    vector: Vectors | None,
    region: Region | None = None,
    at_place: bool = False,
) -> Terms:
    """The terms of a search. Raises UserError if none has a weight above 0, or one cannot be used."""
    found = Terms(
        [(checked_text(given), weight) for given, weight in _weighed("text", text)],
        _weighed("image", image),
        [(checked_id(given), weight) for given, weight in _weighed("image_id", image_id)],
        [(_vector(given), weight) for given, weight in _weighed("vector", vector, _is_vector)],
        None if region is None else _region(region),
        bool(at_place),
    )
    if found.region and len(found.pictures) + len(found.image_ids) != 1:
        raise UserError("region is a part of one picture: give one image or one image_id")
    if found.at_place and (found.region is None or found.texts or found.vectors):
        raise UserError("at_place takes one image or image_id with a region, and no text or vector")
    weights = [weight for _, weight in (*found.texts, *found.pictures, *found.image_ids, *found.vectors)]
    if not any(weight > 0 for weight in weights):
        more = " with a weight above 0" if weights else ""
        raise UserError(f"there is nothing to search for: give text, image, image_id or vector{more}")
    return found


def _weighed(name: str, given: Any, is_one: Callable[[Any], bool] = lambda given: False) -> list[Term[Any]]:
    """An argument as pairs of value and weight; it may be one value, a pair, or a list of values and pairs."""
    if given is None:
        return []
    if is_one(given) or not isinstance(given, list | tuple) or _is_pair(given):
        given = [given]
    pairs = [each if _is_pair(each) and not is_one(each) else (each, 1.0) for each in given]
    for _, weight in pairs:
        if not (math.isfinite(weight) and abs(weight) <= MOST_WEIGHT):
            raise UserError(f"a weight of {name} must be from -{MOST_WEIGHT:g} to {MOST_WEIGHT:g}, not {weight}")
    return [(each, float(weight)) for each, weight in pairs]


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and _is_number(given[1]) and not _is_number(given[0])


def _is_number(given: Any) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)


def _is_vector(given: Any) -> bool:
    return isinstance(given, np.ndarray) or (isinstance(given, list | tuple) and all(map(_is_number, given)))


def _vector(given: Any) -> Vector:
    """A vector (dimensions,) of finite numbers that are not all 0."""
    try:
        vector: Vector = np.asarray(given.to_numpy() if hasattr(given, "to_numpy") else given, np.float32)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError from a tensor that has a gradient
        raise UserError(f"vector must consist of numbers, not be {type(given).__name__}") from None
    if vector.ndim != 1 or not len(vector):
        raise UserError(f"vector must have the shape (dimensions,), not {vector.shape}")
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not math.isfinite(length) or length == 0:
        raise UserError("vector contains NaN or infinity, or only zeros")
    return vector if abs(length - 1) < 1e-3 else (vector / length).astype(np.float32)


def checked_text(given: Any) -> str:
    """A text to search for. Raises UserError."""
    if not isinstance(given, str):
        raise UserError(f"a text must be a str, not {type(given).__name__}")
    return _checked("text", query_text, given)


def checked_id(given: Any) -> str:
    """The id of an image. Raises UserError."""
    if not isinstance(given, str):
        raise UserError(f"an image_id must be a str, not {type(given).__name__}")
    if len(given) > KNOWN_ID_LETTERS:
        raise UserError(f"image_id has {len(given)} characters: no id has more than {KNOWN_ID_LETTERS}")
    return _checked("image_id", plain_text, given)


def _checked(name: str, check: Callable[[str], str], given: str) -> str:
    try:
        return check(given)
    except ValueError as error:
        raise UserError(f"{name} {given[:80]!a} {error}") from None


def _region(given: Any) -> Region:
    try:
        left, top, width, height = map(float, given)
        return part_of_picture((left, top, width, height))
    except (TypeError, ValueError):
        told = "left, top, width and height of a part of the picture, as shares from 0 to 1"
        raise UserError(f"region must be {told}, not {printable(str(given)[:80])}") from None


def checked_k(given: Any) -> int:
    """How many results are wanted. Raises UserError."""
    try:
        k = operator.index(given)
    except TypeError:
        k = 0
    if isinstance(given, bool) or not 1 <= k <= MOST_RESULTS:
        raise UserError(f"k must be a number from 1 to {MOST_RESULTS}, not {printable(str(given)[:40])}")
    return k


def checked_bound(name: str, given: Any) -> float | None:
    """The least similarity or score. Raises UserError."""
    if given is not None and not (_is_number(given) and math.isfinite(given)):
        raise UserError(f"{name} must be a finite number, not {printable(str(given)[:40])}")
    return None if given is None else float(given)


def checked_filter(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A filter as JSON values; times and NumPy numbers are converted. Raises UserError."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UserError(f"filter must be a dict such as {{'group_id': 'shoes'}}, not {type(given).__name__}")
    try:
        found: dict[str, Any] = read_json(json.dumps(dict(given), default=_plain))
    except NotStrict as error:
        raise UserError(f"filter cannot be used: {error}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"filter cannot be used: {' '.join(str(error).split())[:200]}") from None
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, date):  # a datetime, too
        return value.isoformat()
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
