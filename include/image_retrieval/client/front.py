"""The client: searches collections from Python."""

import os
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast, get_args

import numpy as np

from image_retrieval.client.asking import asked_of
from image_retrieval.client.database import Database
from image_retrieval.client.errors import UnknownCollection
from image_retrieval.client.models import Models
from image_retrieval.client.pictures import Picture, is_picture
from image_retrieval.client.results import CollectionInfo, Match, Results, hit_of
from image_retrieval.client.terms import (
    Pictures,
    Terms,
    Texts,
    Vectors,
    checked_bound,
    checked_filter,
    checked_id,
    checked_k,
    terms_of,
)
from image_retrieval.client.vectors import Vectorizer
from image_retrieval.errors import UserError
from image_retrieval.models.calibration import IMAGES, Calibration, score_of
from image_retrieval.pipeline.querying import Vector, direction_of, least_similarity
from image_retrieval.pipeline.regions import CANDIDATES, ranked_by_place
from image_retrieval.pipeline.shown import Shown, describe_listed, find_shown, listed_collections, text_modes
from image_retrieval.settings import Settings, load_settings
from image_retrieval.store import search as store
from image_retrieval.store.collections import collection_names
from image_retrieval.store.connection import Connection, where
from image_retrieval.store.hybrid import search_hybrid
from image_retrieval.strict_json import is_text
from image_retrieval.values import Region

Mode = Literal["vector", "caption", "hybrid"]


class Client:
    """Searches collections, compares pictures and embeds, from Python.

    Settings are read as on the command line: from the environment and the embedded services' file, relative to `home`,
    by default IMAGE_RETRIEVAL_HOME or the current folder. Connections are opened and models loaded when they are
    needed. A client is thread-safe within one process. `close`, or the end of a `with` block, frees connections and
    models. Mistakes raise UserError, whose text is one line.
    """

    def __init__(self, settings: Settings | None = None, *, home: str | os.PathLike[str] | None = None) -> None:
        if settings is not None and (home is not None or not isinstance(settings, Settings)):
            raise UserError("give Client image_retrieval.Settings, or the project's folder as home=…, but not both")
        self.settings = settings or load_settings(None if home is None else Path(home).expanduser())
        self._database, models = Database(self.settings), Models(self.settings)
        self._vectors = Vectorizer(self.settings, self._database, models)
        self._end = weakref.finalize(self, _close, self._database, models)

    def search(
        self,
        collection: str,
        text: Texts | None = None,
        *,
        image: "Pictures | None" = None,
        image_id: Texts | None = None,
        vector: Vectors | None = None,
        mode: Mode = "vector",
        k: int = 10,
        filter: Mapping[str, Any] | None = None,
        min_similarity: float | None = None,
        min_score: float | None = None,
        grouped: bool = False,
        region: Region | None = None,
        at_place: bool = False,
    ) -> Results:
        """The k images that fit best, best first; always k if that many match.

        `text`, `image`, `image_id` (of the collection) and `vector` (dimensions,) are each one value, a pair of a value
        and its weight (-10 to 10), or a list of these. Several are combined: the search uses the weighted sum of their
        vectors of length 1. A picture is a path, a URL, bytes, a PIL.Image or an array of uint8 (height, width, 3).
        docs/sql.md describes filters. `grouped` keeps the best image of each group_id. `region` (left, top, width,
        height, as shares) is the part of a single `image` or `image_id` that counts; `at_place` ranks the 50 nearest
        images by the same region of each. The mode `caption` compares texts with captions instead of pictures; `hybrid`
        also compares their words, and mixes the scores. Raises UserError.
        """
        terms = terms_of(text, image, image_id, vector, region, at_place)
        wanted = checked_k(k), checked_filter(filter)
        bounds = checked_bound("min_similarity", min_similarity), checked_bound("min_score", min_score)
        shown = self._searched(collection, mode, terms)
        if mode == "hybrid":
            asked = asked_of(terms, shown, self._vectors)
            with self._database.statements() as connection:
                found = search_hybrid(connection, shown.name, asked, *wanted, _least(*bounds, None), bool(grouped))
            return self._results(shown, found, None)
        query = self._vectors.of_terms(terms, shown)
        direction = None if terms.vectors else direction_of(terms.texts, images=bool(terms.pictures or terms.image_ids))
        least = _least(*bounds, shown.calibration(direction))
        if terms.region and terms.at_place:
            rows = self._at_place(shown, query, terms.region, *wanted, least, bool(grouped))
            return self._results(shown, rows, direction)
        with self._database.statements() as connection:
            rows = (
                store.search(connection, shown.name, query, *wanted, least, bool(grouped), model=shown.model.name)
                if least != np.inf
                else []
            )
        return self._results(shown, rows, direction)

    def similar(
        self,
        collection: str,
        image_id: str,
        *,
        k: int = 10,
        filter: Mapping[str, Any] | None = None,
        min_similarity: float | None = None,
        min_score: float | None = None,
        grouped: bool = False,
    ) -> Results:
        """The k images most like one of the collection, without that image; else as `search`. Raises UserError."""
        wanted = checked_id(image_id), checked_k(k), checked_filter(filter)
        bounds = checked_bound("min_similarity", min_similarity), checked_bound("min_score", min_score)
        shown = self._shown(collection)
        least = _least(*bounds, shown.calibration(IMAGES))
        with self._database.statements() as connection:
            rows = store.similar_to(connection, shown.name, *wanted, least, bool(grouped)) if least != np.inf else []
        return self._results(shown, rows, IMAGES)

    def match(self, a: "Picture", b: "Picture", *, collection: str | None = None) -> Match:
        """How alike two pictures are under the model of a collection, by default the first. Raises UserError."""
        shown = self._described(collection)
        first, second = self._vectors.of_pictures([a, b], shown)
        similarity, calibration = float(first @ second), shown.calibration(IMAGES)
        return Match(similarity, score_of(similarity, calibration), calibrated=calibration is not None)

    def embed(
        self,
        items: "str | Picture | Iterable[str | Picture]",
        *,
        collection: str | None = None,
        kind: Literal["text", "image"] | None = None,
    ) -> Vector:
        """The vectors of texts and pictures, float32 (items, dimensions), each of length 1, in the order of the items.

        The model is that of a collection, by default the first. A str is a text; give a picture as a pathlib.Path, or
        as a str with `kind="image"`. Raises UserError.
        """
        if kind not in (None, "text", "image"):
            raise UserError(f"kind must be 'text' or 'image', not {str(kind)[:40]!r}")
        shown = self._described(collection)
        given = [items] if isinstance(items, str) or is_picture(items) else cast("Iterable[str | Picture]", items)
        return self._vectors.of_items(given, kind, shown)

    def collections(self) -> list[CollectionInfo]:
        """The collections that can be searched, in order of their names. Raises UserError."""
        with self._database.statements() as connection:
            shown_ones = [self._find(connection, name) for name in collection_names(connection)]
            found = [(shown, text_modes(connection, shown)) for shown in shown_ones if shown is not None]
        return [
            CollectionInfo(
                name=shown.name,
                source=shown.collection.source,
                model=shown.model.name,
                dimensions=shown.dimensions,
                reads_texts=shown.reads_texts,
                calibrated=bool(shown.calibrations),
                made=shown.made,
                listed=shown.listed,
                scores=shown.scores,
                caption_scores=shown.caption_scores,
                modes=tuple(modes),
            )
            for shown, modes in found
        ]

    def close(self) -> None:
        """Close the connections and free the models. Later calls raise ClientClosed."""
        self._end()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        try:
            return f"Client({where(self.settings) if self._has_database else 'no database'})"
        except UserError as error:
            return f"Client({error})"

    @property
    def _has_database(self) -> bool:
        return bool(self.settings.database_url.get_secret_value().strip())

    def _find(self, connection: Connection, name: str) -> Shown | None:
        return find_shown(connection, self.settings, name, missing_ok=True)

    def _shown(self, name: str) -> Shown:
        """A collection that has vectors. Raises UnknownCollection."""
        _require_name(name)
        with self._database.statements() as connection:
            shown = self._find(connection, name)
            if shown is not None:
                return shown
            names = collection_names(connection)
        if name in listed_collections(self.settings, missing_ok=True):
            raise UnknownCollection(f"collection {name!r} has no vectors yet: run `image-retrieval run {name}`")
        raise UnknownCollection(f"unknown collection {name[:80]!r}: known are {', '.join(names[:20]) or 'none'}")

    def _searched(self, name: str, mode: str, terms: Terms) -> Shown:
        """A collection as a search of a mode sees it. Raises UserError."""
        if mode not in get_args(Mode):
            raise UserError(f"mode must be {', '.join(map(repr, get_args(Mode)))}, not {str(mode)[:40]!r}")
        if mode == "caption" and (terms.pictures or terms.image_ids):
            raise UserError("mode 'caption' compares captions with texts or vectors, and takes no picture")
        shown = self._shown(name)
        found = shown.by_captions() if mode == "caption" else shown
        if found is None:
            raise UserError(f"the captions of collection {name!r} have no vectors: see docs/captions.md")
        return found

    def _described(self, name: str | None) -> Shown:
        """A collection whose model is needed. Needs no database if collections.yaml has the collection."""
        listed = listed_collections(self.settings, missing_ok=True)
        if name is None:
            name = next(iter(listed), None)
        if name is None:
            with self._database.statements() as connection:
                name = next(iter(collection_names(connection)), None)
        if name is None:
            raise UnknownCollection("there is no collection with a model to use: see docs/collections.md")
        _require_name(name)
        if self._has_database:
            with self._database.statements() as connection:
                shown = self._find(connection, name)
            if shown is not None:
                return shown
        if name in listed:
            return describe_listed(listed[name], self.settings)
        return self._shown(name)

    def _at_place(
        self,
        shown: Shown,
        query: Vector,
        region: Region,
        k: int,
        filter: store.Filter,
        least: float | None,
        grouped: bool,
    ) -> list[store.Found]:
        """The nearest images to a region, ranked by the same region of each; at most CANDIDATES."""
        with self._database.statements() as connection:
            near = store.search(
                connection, shown.name, query, CANDIDATES, filter, None, grouped, model=shown.model.name
            )
        rows = ranked_by_place(
            near, query, shown.collection.distance, lambda image_id: self._vectors.of_region(image_id, region, shown)
        )
        return [row for row in rows if least is None or row["similarity"] >= least][:k]

    def _results(self, shown: Shown, rows: Sequence[store.Found], direction: str | None) -> Results:
        calibration, choice = shown.calibration(direction), shown.collection.resample
        hits = [hit_of(row, score_of(row["similarity"], calibration), self.settings, choice) for row in rows]
        return Results(shown.name, hits, direction if calibration else None)


def _close(database: Database, models: Models) -> None:
    database.close()
    models.close()


def _require_name(name: object) -> None:
    if not isinstance(name, str):
        raise UserError(f"the name of a collection must be a str, not {type(name).__name__}")
    if not is_text(name):
        raise UnknownCollection(f"unknown collection {name[:80]!a}")


def _least(min_similarity: float | None, min_score: float | None, calibration: Calibration | None) -> float | None:
    """The least similarity that reaches both bounds; None if there are no bounds, infinity if none can reach them."""
    bounds = [bound for bound in (min_similarity, least_similarity(min_score, calibration)) if bound is not None]
    return max(bounds, default=None)
