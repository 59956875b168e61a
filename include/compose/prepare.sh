#!/usr/bin/env bash
# Both databases, the pools, and the user `admin`, where they are missing. Runs before each start of the stack.
set -euo pipefail
cd "$(dirname "$0")"

python create_databases.py
../kubernetes/prepare.sh
# Airflow asks for the password twice; in an argument, everybody on the machine could read it
printf '%s\n%s\n' "$AIRFLOW_PASSWORD" "$AIRFLOW_PASSWORD" | airflow users create --role Admin --username admin \
  --email admin@localhost.local --firstname Admin --lastname Admin
