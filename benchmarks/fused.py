"""Scenes with captions of both languages in a database, and what hybrid searches of image-retrieval find there."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from benchmarks.own_services import own_services
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.models.calibration import read_calibration, text_direction
from image_retrieval.models.shipped import DUAL
from image_retrieval.pipeline.wording import asked_text
from image_retrieval.store.captions import count_words
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.hybrid import Asked, search_hybrid
from image_retrieval.store.vector_tables import ensure_vector_table


@contextmanager
def filled(vectors: NDArray[np.float32], captions: list[str]) -> Iterator[Connection]:
    """A connection to a collection `scenes` of these images: vectors (images, dimensions), and a caption of each."""
    collection = Collection(name="scenes", source="s3://scenes/", model=ModelOptions(name="dual", source="none"))
    dimensions = vectors.shape[1]
    with own_services() as settings, connect(settings) as connection:
        ensure_vector_table(connection, collection, dimensions)
        connection.execute(
            "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token, calibration) "
            "VALUES ('dual', 'none', 'dual_encoder', %s, true, %s)",
            (dimensions, Jsonb(read_calibration(DUAL))),
        )
        connection.execute(
            "INSERT INTO retrieval.collection (name, source, model, dimensions) "
            "VALUES ('scenes', 's3://x/', 'dual', %s)",
            (dimensions,),
        )
        for number, caption in enumerate(captions):
            connection.execute(
                "WITH i AS (INSERT INTO retrieval.image (collection, image_id, uri, caption) "
                "VALUES ('scenes', %(n)s, %(n)s, %(caption)s) RETURNING id) "
                "INSERT INTO retrieval.vector_scenes_dual (id, etag, embedding) "
                "SELECT id, 'e', %(vector)s::halfvec FROM i",
                {"n": str(number), "caption": caption, "vector": str(vectors[number].tolist())},
            )
        connection.execute("SELECT retrieval.show_vectors('scenes', 'vector_scenes_dual'); ANALYZE retrieval.image")
        count_words(connection, collection.name)
        yield connection


def first_found(
    connection: Connection, text: str, vector: NDArray[np.float32], k: int, weight: float | None = None
) -> list[int]:
    """The numbers of the k images that fit a text best, whose `asked_text` has this vector."""
    asked = Asked(vector, text, text_direction(asked_text(text)), "dual")
    return [int(row["image_id"]) for row in search_hybrid(connection, "scenes", asked, k, weight=weight)]
