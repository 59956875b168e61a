# Every target works in a fresh clone: what it needs is installed first, into .venv.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.8
# the last release whose schemas reach back to Kubernetes 1.20, beside the one of requirements-dev.txt
KUBERNETES_1_20 := kubernetes-validate==1.28.3
# what pip is told about further places for packages holds for uv, too
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_COMPILE_BYTECODE = 1
export IMAGE_RETRIEVAL_HOME := $(CURDIR)

# one worker more than two cores keep busy, as the tests of pods mostly wait
WORKERS ?= 3
PARALLEL = --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder

COMPOSE = docker compose --file docker-compose.yaml $(if $(GPU),--file docker-compose.gpu.yaml)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format up down status psql env lock clean compose-up compose-down

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed  ## fill a bucket, run the daily DAG, search in SQL (IMAGES=some/folder: your own images)
	@$(BIN)/image-retrieval demo $(if $(IMAGES),--images "$(IMAGES)")

test: .venv/installed-dev  ## the test suite, on a PostgreSQL and an S3 store that it starts itself
	$(BIN)/pytest -m "not slow" $(PARALLEL) --durations=25

test-all: .venv/installed-dev  ## the test suite with the long tests
	$(BIN)/pytest $(PARALLEL)

lint: .venv/installed-dev  ## style, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/hadolint include/kubernetes/Dockerfile include/kubernetes/Dockerfile.airflow
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

compose-up: .env  ## start all of it in containers (GPU=1: with a GPU), built first where they are missing
	$(COMPOSE) up --detach --wait
	@echo "Airflow's UI: http://localhost:8080, user admin, password AIRFLOW_PASSWORD in .env"

compose-down:  ## stop the containers; their volumes stay
	$(COMPOSE) down

lock: .venv/uv  ## write the lock files anew
	$(UV) pip compile -q --custom-compile-command "make lock" --upgrade-package torch \
		requirements.txt -o requirements.lock  # upgrade: not the build of torch that is locked, but that of UV_FIND_LINKS
	sed -i 's/^\(torch==[0-9.]*\)+cpu/\1/' requirements.lock
	$(UV) pip compile -q --custom-compile-command "make lock" -c requirements.lock requirements-dev.txt -o requirements-dev.lock
	$(UV) pip compile -q --custom-compile-command "make lock" -c requirements.lock --extra imaging --extra store --extra service --extra orchestration \
		pyproject.toml -o requirements-airflow.lock
	env -u UV_FIND_LINKS $(UV) pip compile -q --custom-compile-command "make lock" -c requirements.lock --extra embedding \
		--python-platform x86_64-manylinux_2_28 pyproject.toml -o requirements-embedding.lock  # with CUDA's libraries

clean: down  ## remove the environment, the embedded services and their data
	rm -rf .venv .local

# secrets, made once: another password would not open what is in the volumes
.env:
	@umask 077 && $(PYTHON) include/compose/make_secrets.py > .env.partial && mv .env.partial $@

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
	$(UV) pip install --quiet --no-deps --target .venv/kubernetes-1.20 $(KUBERNETES_1_20)
	@touch $@
