# Needs python3 (3.11 or later, with venv) and make; everything else is in requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
# Test processes: a third of a test is waiting for servers.
WORKERS ?= 3

.PHONY: help install demo test check fix lock bench bench-lock
.DEFAULT_GOAL := help

help: ## show these targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "  make %-8s %s\n", $$1, $$2}'
install: .venv/installed ## make .venv from requirements.lock
demo: install ## PostgreSQL, simulated upstreams and the Dagster UI; Ctrl-C stops it
	@$(BIN)/sync-pipelines demo
test: install ## all tests, against real PostgreSQL servers and real sockets; WORKERS=0 for one process
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)
bench: install ## ours against dlt, the row-at-a-time design and the limits of this machine
	@$(BIN)/python -m benchmarks $(ARGS)
check: install ## linter, formatter and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright
fix: install ## what the linter and the formatter can mend by themselves
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
lock: install ## requirements.lock again, with the newest versions that pyproject.toml allows
	@$(BIN)/uv pip compile --quiet --upgrade --all-extras --universal --no-strip-extras --generate-hashes --python-version 3.11 --custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml
bench-lock: install
	@$(BIN)/uv pip compile --quiet --upgrade --universal --no-strip-extras --generate-hashes --python-version 3.11 --custom-compile-command 'make bench-lock' --output-file benchmarks/requirements.lock benchmarks/requirements.in

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python3 is older than 3.11: make PYTHON=python3.12 …")'
	@echo "Making .venv from requirements.lock: a minute or two, once" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
