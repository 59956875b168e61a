"""The pages that Airflow's UI shows beside a DAG: the docstring of its file, in Markdown."""

from image_retrieval.caption_options import in_runs
from image_retrieval.collection import Collection

CAPTIONS = """After **recall**, **plan_captions** divides the images that lack a caption into shards, and the tasks of
**captions** describe them by `{writer}`. If that fails, the vectors are there all the same; the next run tries again.
"""


def collection_page(page: str | None, collection: Collection) -> str:
    """A page whose names in braces are those of a collection."""
    options = collection.captions
    return str(page).format(
        name=collection.name,
        source=collection.source,
        glob=", ".join(collection.glob),
        model=collection.model.name,
        captions=CAPTIONS.format(writer=options.writer.name) if options and in_runs(options) else "",
    )
