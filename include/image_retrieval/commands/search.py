"""Commands that query the tables: searches, rejected images, counts."""

import argparse
from typing import TYPE_CHECKING, Any

from image_retrieval.collection import Collection, load_collections
from image_retrieval.commands.collections import listed_collection, searchable_collection
from image_retrieval.commands.printing import console, print_json, print_table
from image_retrieval.errors import UserError
from image_retrieval.settings import Settings

if TYPE_CHECKING:
    from image_retrieval.pipeline.querying import Vector

FILTER_HELP = 'filter, such as \'{"width": {"gte": 500}}\''
REGION_HELP = "search by a part of the picture of --image or --id: left,top,width,height as shares, such as 0.5,0,0.5,1"
AT_PLACE_HELP = "rank the 50 nearest images by the same --region of each"
MODES = ("vector", "words", "caption", "hybrid")
MODE_HELP = (
    "vector: by what pictures show (default); words, caption: by the words or the meaning of captions, from --text; "
    "hybrid: by pictures, words and meaning together"
)


def search(options: argparse.Namespace, settings: Settings) -> None:
    """Find the images of a collection that are most similar to a picture, or that fit a text best."""
    from image_retrieval.store.connection import connect
    from image_retrieval.store.models import shown
    from image_retrieval.store.search import search, search_words, similar_to

    if options.mode != "vector" and options.text is None:
        raise UserError(f"--mode {options.mode} searches by a text: give --text TEXT")
    if options.region is not None and options.text is not None:
        raise UserError("--region is a part of a picture: give --image or --id, not --text")
    if options.at_place and options.region is None:
        raise UserError("--at-place compares a part of pictures: give --region L,T,W,H")

    collection = searchable_collection(settings, options.collection)
    more = {"filter": options.filter, "min_similarity": options.min_similarity, "grouped": options.grouped}
    if options.id is not None and options.region is None:
        with connect(settings, keep_limits=True) as connection:
            results = similar_to(connection, collection.name, options.id, options.k, **more)
    elif options.mode == "words":
        with connect(settings, keep_limits=True) as connection:
            results = search_words(connection, collection.name, options.text, options.k, **more)
    elif options.mode == "hybrid":
        results = _hybrid(collection, options, settings, more)
    elif options.text is not None:
        collection, vector = _text_vector(collection, options.text, settings, captions=options.mode == "caption")
    else:
        from image_retrieval.pipeline.querying import embed_image
        from image_retrieval.store.models import known_digest

        picture = _picture(options, collection, settings)
        with connect(settings, keep_limits=True) as connection:
            collection = shown(connection, collection)
            digest = known_digest(connection, collection.model.name)
        vector = embed_image(picture, collection, settings, digest=digest, region=options.region)
    if options.at_place:
        results = _at_place(collection, options, settings, vector)
    elif (options.id is None or options.region) and options.mode not in ("words", "hybrid"):
        with connect(settings, keep_limits=True) as connection:
            results = search(connection, collection.name, vector, options.k, **more, model=collection.model.name)
    if options.json:
        print_json({"results": results})
        return
    names = ("similarity", "image_id", "image_path", *(("found_by",) if options.mode == "hybrid" else ()))
    rows = [(f"{row['similarity']:.4f}", *(_cell(dict(row)[name]) for name in names[1:])) for row in results]
    print_table(names, rows)


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _hybrid(collection: Collection, options: argparse.Namespace, settings: Settings, more: dict[str, Any]) -> Any:
    from image_retrieval.models.calibration import text_direction
    from image_retrieval.pipeline.shown import find_shown
    from image_retrieval.pipeline.wording import asked_text
    from image_retrieval.store.connection import connect
    from image_retrieval.store.hybrid import Asked, search_hybrid

    text = asked_text(options.text)
    with connect(settings, keep_limits=True) as connection:
        found = find_shown(connection, settings, collection.name, missing_ok=True)
    if found is None:
        raise UserError(
            f"collection {collection.name!r} has no vectors yet: run `image-retrieval run {collection.name}`"
        )
    vector = _text_vector(collection, text, settings)[1] if text and found.reads_texts else None
    told = found.text_model and text
    captions, caption = _text_vector(collection, text, settings, captions=True) if told else (None, None)
    text_model = captions.model.name if captions else None
    asked = Asked(vector, options.text, text_direction(text), found.model.name, caption, text_model)
    with connect(settings, keep_limits=True) as connection:
        return search_hybrid(connection, collection.name, asked, options.k, **more)


def _picture(options: argparse.Namespace, collection: Collection, settings: Settings) -> bytes:
    """The bytes of the picture to search by: that of --image, or the original of the image of --id."""
    if options.id is None:
        from image_retrieval.image_inputs import named_image

        return named_image(options.image, settings)
    picture = _original(collection, options.id, settings)
    if picture is None:
        raise UserError(f"collection {collection.name!r} has no image {options.id!r}")
    return picture


def _at_place(collection: Collection, options: argparse.Namespace, settings: Settings, vector: "Vector") -> Any:
    """The nearest images to a region, ranked by the same region of each; at most CANDIDATES."""
    from image_retrieval.pipeline.querying import embed_image
    from image_retrieval.pipeline.regions import CANDIDATES, ranked_by_place
    from image_retrieval.store.connection import connect
    from image_retrieval.store.search import search

    def vector_at(image_id: str) -> "Vector | None":
        picture = _original(collection, image_id, settings)
        return None if picture is None else embed_image(picture, collection, settings, region=options.region)

    more = {"filter": options.filter, "grouped": options.grouped, "model": collection.model.name}
    with connect(settings, keep_limits=True) as connection:
        near = search(connection, collection.name, vector, CANDIDATES, **more)
    # one thread: decoders have options that apply to the whole process
    rows = ranked_by_place(near, vector, collection.distance, vector_at, at_once=1)
    least = options.min_similarity
    return [row for row in rows if least is None or row["similarity"] >= least][: options.k]


def _original(collection: Collection, image_id: str, settings: Settings) -> bytes | None:
    """The bytes of the original of an image of the collection; None if there is no such image. Raises ImageRejected."""
    from image_retrieval.objects import ObjectStore
    from image_retrieval.pipeline.regions import picture_of
    from image_retrieval.pipeline.table_images import stored_original
    from image_retrieval.store.connection import connect
    from image_retrieval.store.images import find_listed

    with connect(settings, keep_limits=True) as connection:
        listed = find_listed(connection, collection.name, image_id)
    if listed is None:
        return None
    store = ObjectStore(settings)
    return picture_of(
        listed,
        collection.resample,
        lambda uri, version: stored_original(store, uri, settings, version=version),
    )


def embed_text(options: argparse.Namespace, settings: Settings) -> None:
    """Embed a text with a collection's model and that of its captions, so that searches can find it in SQL."""
    from image_retrieval.pipeline.shown import find_shown
    from image_retrieval.store.connection import connect, is_read_only, where

    collection = searchable_collection(settings, options.collection)
    with connect(settings, keep_limits=True) as connection:
        if is_read_only(connection):
            raise UserError(f"{where(settings)} is read-only and cannot store texts: embed the text on the primary")
        found = find_shown(connection, settings, collection.name, missing_ok=True)
    captions = found is not None and found.text_model is not None
    if captions:
        _text_vector(collection, options.text, settings, captions=True)
    if found is None or found.reads_texts or not captions:
        _text_vector(collection, options.text, settings)


def _text_vector(
    collection: Collection, text: str, settings: Settings, *, captions: bool = False
) -> "tuple[Collection, Vector]":
    """The collection under the model that its view shows, and a text's vector: stored, or computed and stored.

    `captions`: under the model of its captions.
    """
    from image_retrieval.pipeline.querying import embed_text
    from image_retrieval.store.connection import connect
    from image_retrieval.store.models import known_digest, searched_by_captions, shown
    from image_retrieval.store.queries import find_query, keep_query

    with connect(settings, keep_limits=True) as connection:
        collection = (searched_by_captions if captions else shown)(connection, collection)
        vector = find_query(connection, collection.model.name, text)
        digest = known_digest(connection, collection.model.name)
    if vector is not None:
        return collection, vector
    if digest is None:
        raise UserError(
            f"collection {collection.name!r} has no vectors yet: run `image-retrieval run {collection.name}`"
        )
    vector = embed_text(text, collection, settings, digest=digest)
    with connect(settings, keep_limits=True) as connection:
        keep_query(connection, collection.model.name, text, vector)
    return collection, vector


def match(options: argparse.Namespace, settings: Settings) -> None:
    """Compare two pictures with the model of a collection, by default the first one's."""
    from image_retrieval.image_inputs import named_image
    from image_retrieval.models.calibration import IMAGES, calibration_of, read_calibration, score_of
    from image_retrieval.models.source import model_folder
    from image_retrieval.pipeline.querying import embed_image

    name = options.collection or next(iter(load_collections(settings.collections_path)))
    collection = searchable_collection(settings, name)
    a, b = (embed_image(named_image(given, settings), collection, settings) for given in (options.a, options.b))
    similarity = float(a @ b)
    folder = model_folder(collection.model.source, collection.model.revision, settings)
    calibration = calibration_of(read_calibration(folder), IMAGES)
    score = score_of(similarity, calibration)
    if options.json:
        print_json({"similarity": similarity, "score": score, "calibrated": calibration is not None})
        return
    print_table(("similarity", "score"), [(f"{similarity:.4f}", f"{score:.4f}" if calibration else "not calibrated")])


def rejected(options: argparse.Namespace, settings: Settings) -> None:
    """List or count the images of a collection that could not be used, or queue them again."""
    from image_retrieval.store import rejections
    from image_retrieval.store.connection import connect

    chosen = listed_collection if options.requeue else searchable_collection
    collection = chosen(settings, options.collection)
    which = rejections.Rejected(collection.name, options.reason, options.uri, options.final)
    with connect(settings, keep_limits=True) as connection:
        if options.requeue:
            found: dict[str, Any] = {"requeued": rejections.requeue(connection, which)}
        elif options.by_reason:
            found = {"by_reason": rejections.count_by_reason(connection, which)}
        else:
            found = {"rejected": rejections.list_rejected(connection, which, options.limit)}
    if options.requeue and options.uri and not found["requeued"]:
        raise UserError(
            f"no rejected image of collection {collection.name!r} has URI {options.uri!r} and matches the options: "
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
    from image_retrieval.store.collections import collection_stats
    from image_retrieval.store.connection import connect

    with connect(settings, keep_limits=True) as connection:
        stats = collection_stats(connection)
    if options.json:
        print_json(stats)
        return
    columns = ("images", "deleted", "rejected", "vectors", "dimensions", "model")
    rows = [
        (name, *(str(dict(row)[column]) for column in columns), row["last_run"]["state"] if row["last_run"] else "none")
        for name, row in stats.items()
    ]
    print_table(("collection", *columns, "last run"), rows)
