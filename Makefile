# Every target works in a fresh clone: it first installs what it needs into .venv.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
# installs exactly the lock files; sources are built with requirements-build.lock
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --no-build-isolation
LOCKED = $(INSTALL) --require-hashes
COMPILE = env -u UV_FIND_LINKS $(UV) pip compile --quiet --generate-hashes $(if $(UPGRADE),--upgrade) --custom-compile-command "make lock" --python-version 3.11
# those of the container images: Python 3.11 and glibc 2.28 or newer
FOR_IMAGES = -c requirements.lock -c requirements-torch.lock --python-platform x86_64-manylinux_2_28 pyproject.toml
# the last release whose schemas reach back to Kubernetes 1.20, beside the one of requirements-dev.txt
KUBERNETES_1_20 := kubernetes-validate==1.28.3 \
	--hash=sha256:916b8539c570958ca4742a09d42c9a29b7b89bfb3a04972a40abfa63f797b850
# uv also uses pip's setting of further places for packages
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_COMPILE_BYTECODE = 1
export IMAGE_RETRIEVAL_HOME := $(CURDIR)

# one worker more than there are cores on a small machine, since the tests of pods mostly wait
WORKERS ?= 3
PARALLEL = --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder

COMPOSE = docker compose --file docker-compose.yaml $(if $(GPU),--file docker-compose.gpu.yaml)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all azurite lint lint-page licences format docs dist up down status psql env lock pin-images clean compose-up compose-down

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed  ## fill a bucket, run the daily DAG, search in SQL (IMAGES=some/folder: your own images; MODEL=owner/name: another model)
	@$(BIN)/image-retrieval demo $(if $(IMAGES),--images "$(IMAGES)") $(if $(MODEL),--model "$(MODEL)")

test: .venv/installed-dev azurite  ## the test suite, on a PostgreSQL and an S3 store that it starts itself
	$(BIN)/pytest -m "not slow" $(PARALLEL) --durations=25

test-all: .venv/installed-dev azurite  ## the test suite with the long tests
	$(BIN)/pytest $(PARALLEL)

lint: .venv/installed-dev  ## style, types and import rules; types of the page if npm is installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/hadolint include/kubernetes/Dockerfile include/kubernetes/Dockerfile.airflow
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@if ! command -v npm >/dev/null; then echo "make lint: npm is not installed, so the page's types are not checked"; \
	elif ! $(MAKE) --silent node_modules/installed; then echo "make lint: npm found no TypeScript, so the page's types are not checked"; \
	else $(MAKE) --no-print-directory lint-page; fi

azurite:  ## what stands in for Azure in the tests; without npm, they skip az://
	@if ! command -v npm >/dev/null; then echo "make azurite: npm is not installed, so az:// is not tested"; \
	else $(MAKE) --silent tests/azurite/node_modules/installed || echo "make azurite: npm found no Azurite, so az:// is not tested"; fi

lint-page: node_modules/installed  ## types of the page's JavaScript (needs npm)
	node_modules/.bin/tsc --project jsconfig.json

licences: .venv/installed-dev  ## list the licence of each installed package; a test checks them
	@$(BIN)/python tests/licences.py

format: .venv/installed-dev  ## format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/installed-docs  ## build the documentation as a site, in site/
	$(BIN)/mkdocs build --strict

dist: .venv/uv  ## build the source distribution and the wheel, in dist/
	$(UV) build --quiet --clear --no-build-isolation --python $(BIN)/python --out-dir dist

up: .venv/installed  ## start the services and Airflow's UI, until `make down`
	@$(BIN)/image-retrieval services up --airflow

down: .venv/installed  ## stop the services
	@$(BIN)/image-retrieval services down

status: .venv/installed  ## show where the services run
	@$(BIN)/image-retrieval services status

psql: .venv/installed  ## open a psql prompt on the database
	@$(BIN)/image-retrieval psql

compose-up: .env  ## start everything in containers (GPU=1: with a GPU); builds missing images first
	@chmod go+rx include && chmod go+r include/collections.yaml  # containers read the file as another user
	$(COMPOSE) up --detach --wait
	@echo "Airflow's UI: http://localhost:8080, user admin, password AIRFLOW_PASSWORD in .env"

compose-down:  ## stop the containers; their volumes stay
	$(COMPOSE) down

lock: .venv/uv  ## write the lock files again (UPGRADE=1: with the newest versions of unpinned packages)
	grep -v '^torch==' requirements.txt | $(COMPILE) --universal - -o requirements.lock
	grep '^torch==' requirements.txt | $(COMPILE) --universal -c requirements.lock - -o requirements-torch.lock
	$(COMPILE) --universal -c requirements.lock requirements-build.txt -o requirements-build.lock
	$(COMPILE) --universal -c requirements.lock -c requirements-torch.lock requirements-dev.txt -o requirements-dev.lock
	$(COMPILE) --universal -c requirements.lock -c requirements-dev.lock requirements-docs.txt -o requirements-docs.lock
	$(COMPILE) $(FOR_IMAGES) --extra clouds --extra imaging --extra store --extra service --extra orchestration -o requirements-airflow.lock
	$(COMPILE) $(FOR_IMAGES) --extra clouds --extra embedding -o requirements-embedding.lock

pin-images:  ## pin the base images by the present digests of their tags
	@include/kubernetes/pin_images.sh

clean: down  ## remove the environment, the embedded services and their data
	rm -rf .venv .local

# generated once: the volumes keep the first passwords
.env:
	@umask 077 && sh include/compose/make_secrets.sh > .env.partial && mv .env.partial $@

node_modules/installed: package-lock.json
	npm ci --loglevel=error --ignore-scripts --no-audit --no-fund --fetch-retries=1 --fetch-timeout=20000
	@touch $@

tests/azurite/node_modules/installed: tests/azurite/package-lock.json
	cd tests/azurite && npm ci --loglevel=error --ignore-scripts --no-audit --no-fund --fetch-retries=1 --fetch-timeout=20000
	@touch $@

.venv/uv: requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
		"make: Python 3.11, 3.12 or 3.13 is needed: set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	@touch $@

# torch: PyPI's build by its hashes, or the one of UV_FIND_LINKS, whose hashes are not in the lock file
.venv/installed: .venv/uv requirements.lock requirements-torch.lock pyproject.toml
	$(LOCKED) -r requirements.lock
	$(if $(UV_FIND_LINKS),$(INSTALL) --no-verify-hashes -c requirements.lock -c requirements-torch.lock torch,\
		$(LOCKED) -r requirements-torch.lock)
	$(INSTALL) --no-deps -e .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	$(LOCKED) -r requirements-dev.lock
	echo '$(KUBERNETES_1_20)' | $(UV) pip install --quiet --require-hashes --no-deps --target .venv/kubernetes-1.20 -r -
	@touch $@

.venv/installed-docs: .venv/uv requirements-docs.lock
	$(LOCKED) -r requirements-docs.lock
	@touch $@
