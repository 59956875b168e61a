"""Collections as runs leave them, without running anything."""

from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.pipeline.names import pictures_folder
from image_retrieval.shards import collection_folder
from image_retrieval.store import models, vector_tables
from image_retrieval.store.connection import connect
from integration.pictures import put

KEYS = ("a", "b/c", "b/d")
OF_A_RUN = """
INSERT INTO retrieval.rejected (collection, uri, etag, stage, reason, final, run_id)
VALUES ('NAME', 's3://bad.jpg', 'e', 'resample', 'truncated', true, 'run');
INSERT INTO retrieval.run (collection, run_id, state, model, listed, new, changed, restored, gone, shards, left_over, list_seconds)
VALUES ('NAME', 'run', 'success', 'random', 4, 4, 0, 0, 0, 1, 0, 0.5);
INSERT INTO retrieval.shard (collection, run_id, shard, images, resampled, embedded, upserted, rejected, resample_seconds, embed_seconds, upsert_seconds)
VALUES ('NAME', 'run', 0, 4, 3, 3, 3, 1, 0.1, 0.2, 0.3);
"""  # noqa: E501


def fill(entry, project, store):
    """A collection with vectors, rejected objects, a run, kept pictures and work files, without running it."""
    model = describe(model_folder(entry.model.source, None, project, weights=False))
    with connect(project) as connection:
        models.register_model(connection, entry, model)
        vector_tables.ensure_vector_table(connection, entry, model.dimensions)
        connection.execute(
            "INSERT INTO retrieval.image (collection, image_id, uri, etag, resampled_uri) "
            "SELECT %(name)s, key, %(source)s || key || '.jpg', 'e', %(folder)s || key || '_resample.png' "
            "FROM unnest(%(keys)s::text[]) AS key",
            {
                "name": entry.name,
                "source": entry.source,
                "folder": pictures_folder(entry.name, project),
                "keys": list(KEYS),
            },
        )
        connection.execute(
            f"INSERT INTO retrieval.{entry.vector_table} (id, etag, embedding) "
            f"SELECT id, etag, array_fill(0.25::real, ARRAY[{model.dimensions}])::halfvec FROM retrieval.image "
            f"WHERE collection = '{entry.name}'"
        )
        vector_tables.show_in_view(connection, entry, model.dimensions, complete=True)
        connection.execute(OF_A_RUN.replace("NAME", entry.name))
    put(store, entry.source, {f"{key}.jpg": b"an original" for key in KEYS})
    put(store, pictures_folder(entry.name, project), {f"{key}_resample.png": b"a picture" for key in KEYS})
    put(store, collection_folder(project.work_uri, entry.name), {"run/shards/00000.parquet": b"a manifest"})
