"""Runs the operator once, outside of Airflow, with a command that only speaks. Prints what came of it as JSON."""

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from orchestration.pods import EmbeddingPodOperator

lines: list[str] = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]

operator = EmbeddingPodOperator(
    collection="rights",
    shard="0",
    arguments=["embed", "in", "out", "--batch-size=1"],
    cmds=["/bin/sh", "-c", "echo spoken; sleep 4"],
    deferrable=False,
    execution_timeout=timedelta(minutes=2),
)
for name in ("", "airflow"):
    logging.getLogger(name).addHandler(handler)
    logging.getLogger(name).setLevel(logging.INFO)
ti = SimpleNamespace(
    dag_id="d", task_id="embed", run_id=sys.argv[1], map_index=-1, try_number=1, start_date=datetime.now(UTC)
)
try:
    operator.execute({"ti": ti, "run_id": ti.run_id, "dag": SimpleNamespace(parent_dag=None)})
    outcome = "done"
except (Exception, SystemExit) as error:
    outcome = str(error)
print(json.dumps({"outcome": outcome, "spoken": any("spoken" in line for line in lines)}))
