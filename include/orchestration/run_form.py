"""The form of the DAGs that embed collections."""

from airflow.sdk import Param

RUN_PARAMS = {
    "full": Param(False, type="boolean", title="Full re-scan", description="Embed every image again, changed or not."),
    "requeue": Param(
        False,
        type="boolean",
        title="Try rejected images again",
        description="Including final ones; their attempts are reset.",
    ),
    "shard_size": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=1_000_000,
        title="Shard size",
        description="Images per shard; empty: the collection's own value.",
    ),
    "dry_run": Param(False, type="boolean", title="Dry run", description="Only report what would be done."),
}
