# Two commands for everybody: `make demo` and `make test`. Both set up what they need, in .venv and the user's cache folder.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test lint agreement weather alarms fuzz bench clean

help:
	@echo "make demo   run experiment 01 on the embedded lab (first time: about 10 minutes, it compiles Kubernetes)"
	@echo "make test   lint, types, import contracts, Go checks and all tests"
	@echo "            (on a busy machine a lab test may be skipped as too busy to tell; the last lines name it)"
	@echo "make lint   the first part of it; make setup: only .venv, with everything pinned"
	@echo "make bench  figures: traffic, observation, judging; make agreement: the plan against the real kube-scheduler (long)"
	@echo "make weather, make alarms, make fuzz: bad weather in full, false alarms, hostile files (each 10 to 30 minutes)"
	@echo "make clean  remove .venv and caches of this folder (not the lab's programs in your cache folder)"

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

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/pure tests/contract tests/golden
	$(BIN)/python -m pytest -m 'not slow' tests/lab tests/plugin --ignore tests/lab/test_scheduler_agreement.py

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Long, and for a machine that does nothing else: the plan's scheduler filter against the real kube-scheduler.
agreement: setup
	TAINTLAB_AGREEMENT_WORLDS=300 $(BIN)/python -m pytest -s tests/lab/test_scheduler_agreement.py

# What misbehaving API servers do to runs: the whole table, and the tests that wait for minutes.
weather: setup
	$(BIN)/python -m tests.contract.test_bad_weather
	$(BIN)/python -m pytest -m slow tests/lab

# How often an ordinary run is spoilt by a check of ours on a busy machine.
alarms: setup
	$(BIN)/python -m tests.benchmarks.bench_false_alarms

# Thousands of damaged and hostile files for every reader.
fuzz: setup
	$(BIN)/python -m tests.fuzz.readers --files 2000
	$(BIN)/python -m tests.fuzz.folders --files 2000

bench: setup
	$(BIN)/python -m tests.benchmarks.bench_load_figures
	$(BIN)/python -m tests.benchmarks.bench_observation
	$(BIN)/python -m tests.benchmarks.bench_judging

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis
