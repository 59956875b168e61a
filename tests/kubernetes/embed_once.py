"""Runs the operator once, outside of Airflow, with a command that only speaks.

Prints the log, then what came of it as JSON.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from orchestration.pods import EmbeddingPodOperator

operator = EmbeddingPodOperator(
    collection="rights",
    shards=[0],
    arguments=["embed", "in", "out", "--batch-size=1"],
    cmds=["/bin/sh", "-c", "echo $((40 + 2)) words; sleep 4"],
    deferrable=False,
    execution_timeout=timedelta(minutes=2),
)
ti = SimpleNamespace(
    dag_id="d", task_id="embed", run_id=sys.argv[1], map_index=-1, try_number=1, start_date=datetime.now(UTC)
)
try:
    operator.execute({"ti": ti, "run_id": ti.run_id, "dag": SimpleNamespace(parent_dag=None)})
    outcome = "done"
except (Exception, SystemExit) as error:
    outcome = str(error)
print(json.dumps({"outcome": outcome}))
