"""Prints what Airflow reads from dags/, as JSON; any connection that is tried while it reads is an error."""

import json
import socket
import sys

from airflow.dag_processing.dagbag import DagBag


def refuse(*arguments: object) -> None:
    raise AssertionError(f"a DAG file opened a connection to {arguments[-1]}")


socket.socket.connect = refuse  # type: ignore[method-assign,assignment]
bag = DagBag(sys.argv[1])

print(
    json.dumps(
        {
            "errors": bag.import_errors,
            "loads_kubernetes": "kubernetes" in sys.modules,
            "dags": {
                dag_id: {
                    "schedule": str(dag.schedule),
                    "watched": [asset.uri for asset in getattr(dag.timetable.asset_condition, "objects", ())],
                    "max_active_runs": dag.max_active_runs,
                    "documented": bool(dag.doc_md),
                    "page": dag.doc_md,
                    "params": {name: dag.params.get_param(name).schema for name in dag.params},
                    "tasks": {
                        task.task_id: {
                            "type": task.task_type,
                            "pool": task.pool,
                            "arguments": list(getattr(task, "op_args", ())),
                            "body": getattr(task, "body", ""),
                            "downstream": sorted(task.downstream_task_ids),
                            "retries": task.retries,
                            "has_retry_policy": task.retry_policy is not None,
                            "time_limit": (getattr(task, "response_timeout", None) or task.execution_timeout)
                            is not None,
                            "map_index": task.map_index_template,
                            "upstream": sorted(task.upstream_task_ids),
                        }
                        for task in dag.tasks
                    },
                }
                for dag_id, dag in bag.dags.items()
            },
        },
        default=str,
    )
)
