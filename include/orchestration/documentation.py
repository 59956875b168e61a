"""The pages that Airflow's UI shows beside a DAG: the docstring of its file, in Markdown."""

from image_retrieval.collection import Collection


Keeps the view `images.{name}` up to date with `{source}` ({glob}). Images are embedded by model `{model}`.

1. **list_images** compares the bucket with the table and divides new and changed images into shards. 2. Each **shard**
is processed on its own: *resample* (CPU), *embed* ({runner}), *upsert* (one transaction). 3. **index** updates the view
and its HNSW index; **recall** measures the recall of searches through it, and raises `ef_search` if that is too low
(`retrieval.recall`); **report** closes the run in `retrieval.run` and updates the asset `images.{name}`.

Images that cannot be used are in `images.rejected('{name}')`, with the reason. One image never fails a shard, and one
shard never fails another. You may clear and run again any task at any time. *Trigger* offers a full re-scan, another
try of rejected images, another shard size, and a dry run.

```sql
SELECT image_id, similarity FROM images.similar_to('{name}', '<image_id>', k => 10);
```
"""


def dag_page(collection: Collection) -> str:
    """The page of a collection's DAG, in Markdown."""
    return PAGE.format(
        name=collection.name,
        source=collection.source,
        glob=", ".join(collection.glob),
        model=collection.model.name,
    )
