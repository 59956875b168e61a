"""Runs `airflow` with the further arguments; where it asks a person, the first argument is what that person chooses."""

import sys
from datetime import UTC, datetime
from typing import Any

from airflow.__main__ import main
from airflow.providers.standard.operators.hitl import HITLOperator

CHOICE = sys.argv.pop(1)


def answer(operator: HITLOperator, context: Any) -> Any:
    event = {"chosen_options": [CHOICE], "params_input": {}, "responded_at": datetime.now(UTC)}
    return operator.execute_complete(context, event | {"responded_by_user": None})


HITLOperator.execute = answer  # type: ignore[method-assign]
main()
