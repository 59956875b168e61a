"""### images.{name}

Keeps the view `images.{name}` up to date with `{source}` ({glob}). Images are embedded by model `{model}`.

1. **list_images** compares the bucket with the table and divides new and changed images into shards.
2. Each **shard** is processed on its own: *resample* (CPU), *embed* (pod or local process), *upsert* (one transaction).
   Of more than 200 shards, several share a task. If one of them fails there in every try, none of that task's shards
   reaches the next stage; the next run takes their images.
3. **index** updates the view and its HNSW index; **recall** measures the recall of searches, raises `ef_search` if it
   is too low (`retrieval.recall`), and fits scores if needed (`retrieval.calibration`); **run_again** triggers the next
   run if images are left over.
4. **report** closes the run in `retrieval.run` and updates the asset `images.{name}`.

{captions}
Images that cannot be used are in `images.rejected('{name}')`, with the reason. One image never fails a shard, and one
shard never fails those of other tasks. You may clear any task and run it again at any time. With `watch`, hints of
changed objects start further runs between the scheduled ones. These look at the hinted objects alone. *Trigger* offers
a full re-scan, another try of rejected images, another shard size, and a dry run.

```sql
SELECT image_id, similarity FROM images.similar_to('{name}', '<image_id>', k => 10);
```
"""

from airflow.sdk import DAG, task_group

from orchestration.backfilling import run_again
from orchestration.caption_vectors import caption_vectors, embeds_captions_in_pods
from orchestration.captioning import caption, captions_in_runs, plan_captions, resample_for_captions, write_captions
from orchestration.configuration import DAG_DEFAULTS, declared_collections
from orchestration.documentation import collection_page
from orchestration.embedding import embed, embeds_in_pods
from orchestration.orphans import remove_orphans
from orchestration.run_form import RUN_PARAMS
from orchestration.tasks import index, list_images, recall, report_task, resample, upsert
from orchestration.watching import schedule_of


def image_embedding(collection):
    """List new images, pass each shard through its stages on its own, index, measure recall, caption, report."""
    with DAG(
        dag_id=collection.dag_id,
        schedule=schedule_of(collection),
        params=RUN_PARAMS,
        tags=["image-retrieval", collection.name],
        doc_md=collection_page(__doc__, collection),
        **DAG_DEFAULTS,
    ):

        @task_group
        def shard(shards, arguments):
            (
                resample(collection.name, shards)
                >> embed(collection.name, shards, arguments)
                >> upsert(collection.name, shards)
            )

        @task_group
        def captions(shards, arguments):
            (
                resample_for_captions(collection.name, shards)
                >> caption(collection, shards, arguments)
                >> write_captions(collection.name, shards)
            )

        shards = shard.expand_kwargs(list_images(collection.name))
        measured, last = recall(collection.name), report_task(collection.name)
        shards >> index(collection.name) >> measured >> run_again(collection) >> last
        if captions_in_runs(collection):
            planned = plan_captions(collection.name)
            shards = captions.expand_kwargs(planned)
            measured >> planned >> shards >> last
        if embeds_captions_in_pods(collection):
            shards = caption_vectors(collection.name, [measured, shards], last)
        if embeds_in_pods():
            shards >> remove_orphans(collection.name, last)


for declared in declared_collections():  # a DAG for each entry of include/collections.yaml
    image_embedding(declared)
