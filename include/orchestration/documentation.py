"""The pages that Airflow's UI shows beside a DAG."""

from image_retrieval.collection import Collection

PAGE = """
### images.{name}

Keeps the view `images.{name}` in step with `{source}` ({glob}), embedded by model `{model}`.

1. **list_images** compares the bucket with the table and cuts what is new or changed into shards.
2. Each **shard** is processed on its own: *resample* (CPU), *embed* ({runner}), *upsert* (one transaction).
3. **index** updates the view and its HNSW index; **recall** measures what searches find through it, and raises
   `ef_search` if that is too little (`retrieval.recall`); **report** closes `retrieval.run` and records what was done
   in the asset `images.{name}`.

Images that cannot be used are in `images.rejected('{name}')`, with the reason; no image fails a shard, no shard
another one. Any task may be cleared and run again at any time. *Trigger* offers a full re-scan, another try of
rejected images, another shard size, and a dry run.

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
        runner="pod or local process",
    )
