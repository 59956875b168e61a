"""Makes vectors of texts, pictures, ids, and combinations of them."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from image_retrieval.batches import in_batches
from image_retrieval.client.database import Database
from image_retrieval.client.errors import unusable
from image_retrieval.client.models import Models
from image_retrieval.client.pictures import name_of, picture_bytes
from image_retrieval.client.terms import Terms, checked_text
from image_retrieval.collection import SUFFIXES
from image_retrieval.errors import ImageRejected, UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.querying import Vector, weighted_sum
from image_retrieval.pipeline.regions import picture_of
from image_retrieval.pipeline.shown import Shown
from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection
from image_retrieval.store.images import find_listed
from image_retrieval.store.queries import find_query, find_vector, keep_query
from image_retrieval.values import Region

BATCH = 32  # pictures or texts that a model embeds at once


class Vectorizer:
    """Makes vectors with the models of a client, or finds them in its database. Thread-safe."""

    def __init__(self, settings: Settings, database: Database, models: Models) -> None:
        self._settings, self._database, self._models = settings, database, models

    def of_items(self, items: Iterable[Any], kind: str | None, shown: Shown) -> Vector:
        """The vectors (items, dimensions) of texts and pictures, in their order. Raises UserError."""
        parts = [self._of_batch(batch, kind, shown) for batch in in_batches(enumerate(items), BATCH)]
        return np.concatenate([np.empty((0, shown.dimensions), np.float32), *parts])

    def of_terms(self, terms: Terms, shown: Shown) -> Vector:
        """The query vector, of length 1; a single term is used unchanged, without its weight."""
        found: list[tuple[Vector, float]] = list(terms.vectors)
        for vector, _ in found:
            if len(vector) != shown.dimensions:
                raise UserError(
                    f"a vector for collection {shown.name!r} has {shown.dimensions} dimensions, not {len(vector)}"
                )
        if terms.image_ids and terms.region:
            [(name, weight)] = terms.image_ids
            found.append((self._stored_region(name, terms.region, shown), weight))
        elif terms.image_ids:
            with self._database.statements() as connection:
                found += [(_stored(connection, shown, name), weight) for name, weight in terms.image_ids]
        found += [(self._text(text, shown), weight) for text, weight in terms.texts]
        pictures = self.of_pictures([picture for picture, _ in terms.pictures], shown, region=terms.region)
        found += [(vector, weight) for vector, (_, weight) in zip(pictures, terms.pictures, strict=True)]
        return found[0][0] if len(found) == 1 else weighted_sum(found)

    def _text(self, text: str, shown: Shown) -> Vector:
        """A text's vector, read from the table of texts, or computed and stored there for SQL."""
        _require_texts(shown)
        with self._database.statements() as connection:
            known = find_query(connection, shown.model.name, text)
        if known is not None:
            return known
        vector: Vector = self._models.texts([text], shown)[0]
        with self._database.statements() as connection:
            keep_query(connection, shown.model.name, text, vector)
        return vector

    def _stored_region(self, image_id: str, region: Region, shown: Shown) -> Vector:
        try:
            vector = self.of_region(image_id, region, shown)
        except ImageRejected as rejection:
            raise unusable(image_id, rejection) from None
        if vector is None:
            raise _unknown(shown, image_id)
        return vector

    def of_region(self, image_id: str, region: Region, shown: Shown) -> Vector | None:
        """The vector of a region of an image of the collection, or None if there is no such image.

        Raises ImageRejected and UserError.
        """
        from image_retrieval.pipeline.table_images import stored_original  # which loads pyarrow

        with self._database.statements() as connection:
            listed = find_listed(connection, shown.name, image_id)
        if listed is None:
            return None
        read = partial(stored_original, ObjectStore(self._settings), settings=self._settings)
        data = picture_of(listed, shown.collection.resample, lambda uri, version: read(uri, version=version))
        vector: Vector = self._models.images([data], shown, region)[0]
        return vector

    def of_pictures(
        self, pictures: list[Any], shown: Shown, names: list[str] | None = None, region: Region | None = None
    ) -> list[Vector]:
        """The vectors of pictures in any accepted form, or of a region of each. Raises UserError with its name."""
        names = names or [name_of(picture) for picture in pictures]
        read = [picture_bytes(picture, self._settings, name) for picture, name in zip(pictures, names, strict=True)]
        try:
            return list(self._models.images(read, shown, region)) if read else []
        except ImageRejected as rejection:
            if len(read) == 1:
                raise unusable(names[0], rejection) from None
        return [
            vector
            for data, name in zip(read, names, strict=True)  # only one of them is to blame
            for vector in self.of_pictures([data], shown, [name], region)
        ]

    def _of_batch(self, batch: list[tuple[int, Any]], kind: str | None, shown: Shown) -> Vector:
        """The vectors of one batch of numbered items, texts and pictures in any order."""
        are_texts = np.array([_is_text(item, kind) for _, item in batch])
        vectors = np.empty((len(batch), shown.dimensions), np.float32)
        texts = [checked_text(item) for (_, item), is_text in zip(batch, are_texts, strict=True) if is_text]
        pictures = [numbered for numbered, is_text in zip(batch, are_texts, strict=True) if not is_text]
        if texts:
            _require_texts(shown)
            vectors[are_texts] = self._models.texts(texts, shown)
        if pictures:
            names = [f"item {number}, {name_of(item)}," for number, item in pictures]
            vectors[~are_texts] = self.of_pictures([item for _, item in pictures], shown, names)
        return vectors


def _require_texts(shown: Shown) -> None:
    if not shown.reads_texts:
        raise UserError(
            f"model {shown.model.name!r} of collection {shown.name!r} does not read texts: give pictures, or use a "
            "collection whose model is a dual encoder"
        )


def _is_text(item: object, kind: str | None) -> bool:
    """Whether an item is a text. Raises UserError for a str that looks like the name of a picture."""
    if not isinstance(item, str) or kind is not None:
        return kind == "text"
    if "://" in item or item.startswith("data:") or (item.lower().rpartition(".")[2] in SUFFIXES and "." in item):
        raise UserError(
            f"{name_of(item)} looks like the name of a picture: use pathlib.Path(…) or kind='image' for the picture, "
            "kind='text' for the words"
        )
    return True


def _stored(connection: Connection, shown: Shown, image_id: str) -> Vector:
    vector = find_vector(connection, shown.collection, image_id)
    if vector is None:
        raise _unknown(shown, image_id)
    return vector


def _unknown(shown: Shown, image_id: str) -> UserError:
    return UserError(f"collection {shown.name!r} has no image {image_id[:200]!r}")
