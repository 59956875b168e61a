#!/usr/bin/env bash
set -euo pipefail
umask 0002
case ${1:-} in
  bash | python | airflow) exec "$@" ;;
  *) exec airflow "$@" ;;
esac
