#!/bin/sh
# Prints the variables of docker-compose.yaml that are secret, each made at random: `make .env` keeps them.
set -eu

random() { head -c "$1" /dev/urandom; }

for name in POSTGRES_PASSWORD S3_ACCESS_KEY_ID S3_SECRET_ACCESS_KEY AIRFLOW_PASSWORD AIRFLOW_JWT_SECRET AIRFLOW_API_SECRET_KEY; do
  echo "$name=$(random 16 | od -An -v -tx1 | tr -d ' \n')"
done
echo "AIRFLOW_FERNET_KEY=$(random 32 | base64 | tr '+/' '-_')"
