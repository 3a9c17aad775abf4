# The commands of the project. `make demo` and `make test` are the two that a newcomer needs.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 18

# The stamp changes with the dependencies, so that an old environment is brought up to date.
$(VENV)/run-installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once; half a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev-installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) with the tools of development (once; a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/run-installed

.PHONY: demo
demo: $(VENV)/run-installed ## install, then run the message-status application on an embedded SQS
	@$(BIN)/worker demo

.PHONY: test
test: lint types unit system ## everything that CI runs: lint, types, layer rules, all tests

.PHONY: lint
lint: $(VENV)/dev-installed ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV)/dev-installed ## mypy --strict
	$(BIN)/mypy

.PHONY: unit
unit: $(VENV)/dev-installed ## the fast tests, on both cores
	$(BIN)/python -m pytest -q -m 'not system' -n 2 --dist worksteal

.PHONY: system
system: $(VENV)/dev-installed ## real processes against the embedded SQS
	$(BIN)/python -m pytest -q -m 'system and not long' -n 4 --dist worksteal  # they wait more than they compute

.PHONY: system-long
system-long: $(VENV)/dev-installed ## further storms over real processes, minutes each
	$(BIN)/python -m pytest -q -m long

.PHONY: chaos
chaos: $(VENV)/dev-installed ## a storm of kills and faults over real processes, and an oracle: make chaos OPTIONS="--seconds 600 --queue fifo"
	@$(BIN)/python -m chaos $(OPTIONS)

.PHONY: chaos-mutants
chaos-mutants: $(VENV)/dev-installed ## the same with bugs put into the pool: each has to be found (a quarter of an hour)
	@$(BIN)/python -m chaos.mutants

.PHONY: model
model: $(VENV)/dev-installed ## every world of the policies' model and its seeded mistakes; by hand: make model OPTIONS=--large
	$(BIN)/python -m tests.model.run $(OPTIONS)

SEEDS ?= 0:5000
JOBS ?= 2
.PHONY: simulate
simulate: $(VENV)/dev-installed ## worlds of SEEDS=first:behind under virtual time and faults, by JOBS=2 processes
	$(BIN)/python -m tests.simulation.run --seeds $(SEEDS) --jobs $(JOBS)

.PHONY: test-all
test-all: ## the suite on every interpreter from 3.11 to 3.14 that is present
	@$(PYTHON) tests/every_python.py

# Half an hour on two cores; BENCH="throughput idle" chooses, BENCH_OPTIONS=--quick takes a look.
.PHONY: bench
bench: $(VENV)/dev-installed ## measure the pool: tables, JSON and charts in .bench/results
	@mkdir -p .bench/results
	$(BIN)/python -m benchmarks $(BENCH) --json .bench/results/bench.json --charts .bench/results $(BENCH_OPTIONS)

.PHONY: bench-rivals
bench-rivals: $(VENV)/dev-installed ## the same beside other libraries, installed from PyPI and npm into .bench
	@mkdir -p .bench/results
	$(BIN)/python -m benchmarks $(BENCH) --rivals all --json .bench/results/rivals.json \
		--charts .bench/results/rivals $(BENCH_OPTIONS)

.PHONY: bench-localstack
bench-localstack: $(VENV)/dev-installed ## CPU per message against LocalStack, installed from PyPI into .bench
	@mkdir -p .bench/results
	$(BIN)/python -m benchmarks elsewhere --endpoint localstack --json .bench/results/localstack.json $(BENCH_OPTIONS)

.PHONY: format
format: $(VENV)/dev-installed ## write the code as `make lint` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: clean
clean: ## remove environments, caches and builds
	rm -rf $(VENV) .venv-* .bench build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
