# Every target works in a fresh clone: what it needs is installed first, into .venv.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.8
# what pip is told about further places for packages holds for uv, too
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_COMPILE_BYTECODE = 1
export IMAGE_RETRIEVAL_HOME := $(CURDIR)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format up down status psql env lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed  ## fill a bucket, run the daily DAG, search in SQL (IMAGES=some/folder: your own images)
	@$(BIN)/image-retrieval demo $(if $(IMAGES),--images "$(IMAGES)")

test: .venv/installed-dev  ## the test suite, on a PostgreSQL and an S3 store that it starts itself
	$(BIN)/pytest -m "not slow"

test-all: .venv/installed-dev  ## the test suite with the long tests
	$(BIN)/pytest

lint: .venv/installed-dev  ## style, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-dev  ## bring the code into the house's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

up: .venv/installed  ## start the services and Airflow's UI, until `make down`
	@$(BIN)/image-retrieval services up --airflow

down: .venv/installed  ## stop them
	@$(BIN)/image-retrieval services down

status: .venv/installed  ## where they run
	@$(BIN)/image-retrieval services status

psql: .venv/installed  ## a psql prompt on the database
	@$(BIN)/image-retrieval psql

lock: .venv/uv  ## write the lock files anew
	$(UV) pip compile -q --custom-compile-command "make lock" requirements.txt -o requirements.lock
	$(UV) pip compile -q --custom-compile-command "make lock" -c requirements.lock requirements-dev.txt -o requirements-dev.lock
	sed -i 's/^\(torch==[0-9.]*\)+cpu/\1/' requirements.lock requirements-dev.lock

clean: down  ## remove the environment, the embedded services and their data
	rm -rf .venv .local

.venv/uv:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "make: Python 3.11 or newer is needed: set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/installed: .venv/uv requirements.lock pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	$(UV) pip install --quiet --python $(BIN)/python -r requirements-dev.lock
	@touch $@
