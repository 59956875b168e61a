"""Commands that ask the tables: searches, the ledger of rejected images, counts."""

import argparse
from typing import Any

from image_retrieval.collection import find_collection
from image_retrieval.commands.printing import console, print_json, print_table
from image_retrieval.errors import UserError
from image_retrieval.settings import Settings


def search(options: argparse.Namespace, settings: Settings) -> None:
    """Find the images of a collection that are most similar to a picture."""
    from image_retrieval.store.connection import connect
    from image_retrieval.store.search import search, similar_to

    collection = find_collection(settings.collections_path, options.collection)
    more = {"filter": options.filter, "min_similarity": options.min_similarity, "grouped": options.grouped}
    if options.id is not None:
        with connect(settings) as connection:
            results = similar_to(connection, collection.name, options.id, options.k, **more)
    else:
        from image_retrieval.inputs import named_image
        from image_retrieval.pipeline.querying import embed_image
        from image_retrieval.store.schema import known_digest

        picture = named_image(options.image, settings)
        with connect(settings) as connection:
            digest = known_digest(connection, collection.model.name)
            vector = embed_image(picture, collection, settings, digest=digest)
            results = search(connection, collection.name, vector, options.k, **more)
    if options.json:
        print_json({"results": results})
        return
    rows = [(f"{row['similarity']:.4f}", row["image_id"], row["image_path"]) for row in results]
    print_table(("similarity", "image_id", "image_path"), rows)


def rejected(options: argparse.Namespace, settings: Settings) -> None:
    """List or count the images of a collection that could not be used, or queue them again."""
    from image_retrieval.store import ledger
    from image_retrieval.store.connection import connect

    collection = find_collection(settings.collections_path, options.collection)
    which = ledger.Rejected(collection.name, options.reason, options.uri, options.final)
    with connect(settings) as connection:
        if options.requeue:
            found: dict[str, Any] = {"requeued": ledger.requeue(connection, which)}
        elif options.by_reason:
            found = {"by_reason": ledger.count_by_reason(connection, which)}
        else:
            found = {"rejected": ledger.list_rejected(connection, which, options.limit)}
    if options.requeue and options.uri and not found["requeued"]:
        raise UserError(
            f"no rejected image of collection {collection.name!r} is {options.uri!r} and as asked for: "
            f"`image-retrieval rejected {collection.name}` lists them"
        )
    if options.json:
        print_json(found)
    elif options.requeue:
        console.print(f"rejected images that the next run will try again: {found['requeued']}")
    elif options.by_reason:
        counts = [(row["reason"], str(row["final"]), str(row["not_final"])) for row in found["by_reason"]]
        print_table(("reason", "final", "not final"), counts)
    else:
        table = [(row["reason"], _state(row), row["uri"], row["detail"]) for row in found["rejected"]]
        print_table(("reason", "state", "uri", "detail"), table)


def _state(rejected: dict[str, Any]) -> str:
    if rejected["final"]:
        return "final"
    return f"try {rejected['attempts']}" if rejected["attempts"] else "queued"


def stats(options: argparse.Namespace, settings: Settings) -> None:
    """Count the images, vectors and rejections of each collection."""
    from image_retrieval.store.connection import connect
    from image_retrieval.store.reports import collection_stats

    with connect(settings) as connection:
        stats = collection_stats(connection)
    if options.json:
        print_json(stats)
        return
    columns = ("images", "deleted", "rejected", "vectors", "dimensions", "model")
    rows = [
        (name, *(str(row[column]) for column in columns), row["last_run"]["state"] if row["last_run"] else "none")
        for name, row in stats.items()
    ]
    print_table(("collection", *columns, "last run"), rows)
