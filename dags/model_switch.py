"""Moves a collection to another model while people search."""

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
        """Process one shard, independently of the others."""
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
