#!/usr/bin/env bash
# Migrates Airflow's database and ours to the newest version, and creates missing pools. May run at any time.
set -euo pipefail

airflow db migrate
python -m image_retrieval.cli migrate
# only missing ones: the cluster's operator sets the slots
airflow pools get resample >/dev/null 2>&1 ||
  airflow pools set resample 1 "Each of these tasks uses all cores of its worker."
airflow pools get gpu >/dev/null 2>&1 ||
  airflow pools set gpu 1 "GPUs (or local processes) that embed at once." --include-deferred
