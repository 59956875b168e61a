"""What the tables hold, in forms that tests compare."""

from typing import Any

import psycopg

VECTORS = "retrieval.vector_things_random"
OTHER = "retrieval.vector_things_other"
INDEX = "vector_things_random_hnsw"
INDEXES = (
    "SELECT c.relname, o.opcname, i.indisvalid FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
    "JOIN pg_opclass AS o ON o.oid = i.indclass[0] "
    "WHERE i.indrelid = 'retrieval.vector_things_random'::regclass AND NOT i.indisprimary ORDER BY 1"
)


def rows(url: str, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a run is for, without times and without ids that a sequence gave."""
    return {
        "images": rows(
            url,
            "SELECT uri, image_id, i.etag, sha256, width, height, format, mode, phash, captured_at, resampled_uri, "
            "group_id, intra_id, deleted IS NULL, v.etag, v.embedding::text "
            f"FROM retrieval.image i LEFT JOIN {VECTORS} v USING (id) ORDER BY uri",
        ),
        "rejected": rows(url, "SELECT uri, etag, stage, reason, attempts, final FROM retrieval.rejected ORDER BY uri"),
        "view": rows(url, "SELECT image_id, image_path, embedding::text FROM images.things ORDER BY image_id"),
    }


def versions(url: str) -> dict[tuple[str, str], str]:
    """The transaction that wrote each row last, by table and URI."""
    query = (
        "SELECT 'image', uri, xmin::text FROM retrieval.image "
        f"UNION ALL SELECT 'vector', i.uri, v.xmin::text FROM {VECTORS} v JOIN retrieval.image i USING (id) "
        "UNION ALL SELECT 'rejected', uri, xmin::text FROM retrieval.rejected"
    )
    return {(table, uri): version for table, uri, version in rows(url, query)}


def shown_is_one_models(url):
    [(count, other)] = rows(
        url,
        f"SELECT count(*), count(*) FILTER (WHERE s.embedding = o.embedding) FROM images.things AS s "
        f"JOIN retrieval.image AS i USING (image_id) LEFT JOIN {OTHER} AS o ON o.id = i.id",
    )
    return (count, other)
