"""A collection with random vectors that a test describes, an index over them, and what brute force finds."""

import json
from datetime import UTC, datetime

import numpy as np

from image_retrieval.store.connection import connect
from image_retrieval.store.vector_tables import ensure_vector_table

DIMENSIONS = 16
CLASSES = {"cosine": "halfvec_cosine_ops", "inner_product": "halfvec_ip_ops", "l2": "halfvec_l2_ops"}
START = datetime(2026, 1, 1, tzinfo=UTC)


def fill(project, collection, rows, facts=None):
    """A collection with random vectors of any length; returns them, (rows, DIMENSIONS) as they are stored."""
    vectors = np.random.default_rng(0).standard_normal((rows, DIMENSIONS)).astype(np.float16)
    with connect(project) as connection:
        ensure_vector_table(connection, collection, DIMENSIONS)
        connection.execute(
            "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token) "
            "VALUES ('random', 'none', 'vision_transformer', %s, true)",
            (DIMENSIONS,),
        )
        connection.execute(
            "INSERT INTO retrieval.collection (name, source, model, dimensions) "
            "VALUES ('things', 's3://x/', 'random', %s)",
            (DIMENSIONS,),
        )
        columns = "image_id, uri, width, height, format, group_id, intra_id, caption, attributes, first_seen"
        with connection.cursor().copy(f"COPY retrieval.image (collection, {columns}) FROM STDIN".encode()) as copy:
            for number in range(rows):
                row = facts(number) if facts else {"width": number}
                row = {"image_id": str(number), "uri": str(number), "attributes": {}, "first_seen": START, **row}
                row["attributes"] = json.dumps(row["attributes"])
                copy.write_row(["things", *(row.get(name) for name in columns.split(", "))])
        ids = connection.execute("SELECT id FROM retrieval.image ORDER BY image_id::integer").fetchall()
        with connection.cursor().copy("COPY retrieval.vector_things_random (id, etag, embedding) FROM STDIN") as copy:
            for row, vector in zip(ids, vectors, strict=True):
                copy.write_row([row["id"], "e", str(vector.tolist())])
        connection.execute("SELECT retrieval.show_vectors('things', 'vector_things_random')")
    return vectors.astype(np.float32)


def index(project, distance="cosine"):
    with connect(project) as connection:
        connection.execute("UPDATE retrieval.collection SET distance = %s", (distance,))
        connection.execute("DROP INDEX IF EXISTS retrieval.by_distance")
        build = f"CREATE INDEX by_distance ON retrieval.vector_things_random USING hnsw (embedding {CLASSES[distance]})"
        connection.execute(build.encode())
        connection.execute("ANALYZE retrieval.vector_things_random; ANALYZE retrieval.image")


def similarities(vectors, query, distance="cosine"):
    products = vectors @ query
    if distance == "inner_product":
        return products
    if distance == "l2":
        return 1 / (1 + np.linalg.norm(vectors - query, axis=1))
    return products / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
