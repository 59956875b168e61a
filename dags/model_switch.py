"""### model_switch

Moves a collection to another model while people search.

1. **plan** opens the switch and divides the images without a vector under the other model into shards. From now on,
   runs of `image_embedding_<collection>` embed under both models.
2. Each **shard** is *resampled* from the kept pictures, *embedded* and *upserted* beside the present vectors.
3. **check** indexes the new vectors, measures both models side by side (`retrieval.switch.checks`), and
   fits scores if needed.
4. **approve** waits for a person if `require_approval` is set. *Reject* cancels the switch.
5. **plan_late** and **late_shard** embed images that came meanwhile, but not by a run.
6. **switch** lets `images.<collection>` show the other model's vectors, in one transaction.

You may clear any task, and trigger the DAG again with the same model: finished work is not repeated. The former vectors
are kept for `IMAGE_RETRIEVAL_KEEP_VECTORS_DAYS`. Until then, `image-retrieval models rollback COLLECTION` undoes the
switch.
"""

from airflow.sdk import DAG, task_group

from orchestration.embedding import embed, embeds_in_pods
from orchestration.orphans import remove_orphans
from orchestration.switching import (
    COLLECTION,
    SWITCH_DEFAULTS,
    approve,
    check,
    plan,
    plan_late,
    switch,
    switch_params,
)
from orchestration.tasks import resample, upsert

with DAG(
    dag_id="model_switch",
    schedule=None,
    params=switch_params(),
    tags=["image-retrieval"],
    doc_md=__doc__,
    **SWITCH_DEFAULTS,
):

    @task_group
    def shard(shards, part, arguments):
        """Process the shards of one task, independently of the others."""
        (resample(COLLECTION, shards, part) >> embed(COLLECTION, shards, arguments) >> upsert(COLLECTION, shards, part))

    shards = shard.expand_kwargs(plan(COLLECTION))
    late = plan_late(COLLECTION)
    late_shards = shard.override(group_id="late_shard").expand_kwargs(late)
    checked = check(COLLECTION)
    asked = approve(checked)
    shards >> checked >> asked >> late
    last = switch(COLLECTION)
    late_shards >> last
    if embeds_in_pods():
        [shards, late_shards] >> remove_orphans(COLLECTION, last, asked)
