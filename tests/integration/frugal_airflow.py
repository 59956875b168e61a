"""Runs `airflow` with the further arguments; the first one is how many mapped tasks the shards of a run may have."""

import sys

from airflow.__main__ import main

from orchestration import arguments

arguments.MAX_MAPPED = int(sys.argv.pop(1))
main()
