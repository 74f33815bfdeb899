# Two commands for everybody: `make demo` and `make test`. Both set up what they need, in .venv and the user's cache folder.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test lint go-check clean

help:
	@echo "make demo   run experiment 01 on the embedded lab (first time: about 10 minutes, it compiles Kubernetes)"
	@echo "make test   lint, types, import contracts, Go checks and all tests"
	@echo "make setup  only what both need: .venv with everything pinned"

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with PYTHON=python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
		|| { rm -rf .venv; echo "no virtual environment could be made: apt-get install python3-venv, then try again"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/taintlab run experiments/01-noexecute-evicts.yaml

test: lint go-check
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

go-check: setup
	$(BIN)/python -m harness.lab.gocheck

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis
