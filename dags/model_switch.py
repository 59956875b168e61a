"""### model_switch

Shows a collection under another model, while people search.

1. **plan** opens the switch and cuts the images that have no vector under the other model into shards. Runs of
   `image_embedding_<collection>` feed both models from now on.
2. Each **shard** is *resampled* from the picture that is kept of each image, *embedded* and *upserted* beside the
   vectors that are shown.
3. **check** indexes them, and measures both models side by side (`retrieval.switch.checks`).
4. **approve** waits for a person where `require_approval` is set. *Reject* gives the switch up.
5. **plan_late** and **late_shard** take what came meanwhile in other ways than by a run.
6. **switch** lets `images.<collection>` show the other model's vectors, in one transaction.

Any task may be cleared, and the DAG triggered again with the same model: what is done is not done again. The former
vectors are kept for `IMAGE_RETRIEVAL_KEEP_VECTORS_DAYS`; until then `image-retrieval models rollback COLLECTION` goes
back.
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
    def shard(shard, part, arguments):
        """One shard, beside the others."""
        (resample(COLLECTION, shard, part) >> embed(COLLECTION, shard, arguments) >> upsert(COLLECTION, shard, part))

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
