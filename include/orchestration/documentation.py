"""The pages that Airflow's UI shows beside a DAG: the docstring of its file, in Markdown."""

from image_retrieval.collection import Collection


def collection_page(page: str | None, collection: Collection) -> str:
    """A page whose names in braces are those of a collection."""
    return str(page).format(
        name=collection.name,
        source=collection.source,
        glob=", ".join(collection.glob),
        model=collection.model.name,
    )
