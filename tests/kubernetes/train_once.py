"""Runs the operator of trainings once, on two machines, outside of Airflow: `train_once.py TRAINING ARGUMENTS…`.

Prints the log, then what came of it as JSON.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from orchestration.training_pods import TrainingPodOperator

operator = TrainingPodOperator(
    task_id="train",
    training=sys.argv[1],
    gpus=1,
    machines=2,
    arguments=sys.argv[2:],
    deferrable=False,
    execution_timeout=timedelta(minutes=10),
)
ti = SimpleNamespace(
    dag_id="d", task_id="train", run_id="manual__1", map_index=-1, try_number=1, start_date=datetime.now(UTC)
)
try:
    operator.execute({"ti": ti, "run_id": ti.run_id, "dag": SimpleNamespace(parent_dag=None)})
    outcome = "done"
except (Exception, SystemExit) as error:
    outcome = str(error)
print(json.dumps({"outcome": outcome}))
