"""The pages that Airflow's UI shows beside a DAG: the docstring of its file, in Markdown."""

from image_retrieval.caption_options import in_runs
from image_retrieval.collection import Collection
from orchestration.caption_vectors import embeds_captions_in_pods

CAPTIONS = """After **recall**, **plan_captions** divides the images that lack a caption into shards, and the tasks of
**captions** describe them by `{captioner}`. If that fails, the vectors are not affected, and the next run tries again.
"""
CAPTION_VECTORS = """Captions get vectors by `{model}`, in pods: **plan_caption_vectors** divides those without one into
the shards of **caption_vectors**, and **index_captions** indexes them.
"""
CAPTION_VECTORS_HERE = "Captions get vectors by `{model}` in **report**.\n"


def collection_page(page: str | None, collection: Collection) -> str:
    """A page whose names in braces are those of a collection."""
    options = collection.captions
    return str(page).format(
        name=collection.name,
        source=collection.source,
        glob=", ".join(collection.glob),
        model=collection.model.name,
        captions=(CAPTIONS.format(captioner=options.captioner.name) if options and in_runs(options) else "")
        + _on_vectors(collection),
    )


def _on_vectors(collection: Collection) -> str:
    if collection.text_model is None:
        return ""
    text = CAPTION_VECTORS if embeds_captions_in_pods(collection) else CAPTION_VECTORS_HERE
    return text.format(model=collection.text_model.name)
