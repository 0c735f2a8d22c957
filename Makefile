# Each target makes .venv by itself on a bare clone; all it needs is make and Python 3.11 or newer.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test trouble soak dev lint docs bench clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed (set PYTHON=...)" if sys.version_info < (3, 11) else 0)'
	@echo "Installing into $(VENV) (once; about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . 2>/dev/null \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

demo: $(READY) ## A simulated merchant, a first load, a day of business, a second sync, and a tour of what happened
	@$(BIN)/cin7-emarsys demo

test: $(READY) ## Run the tests
	@$(BIN)/python -m pytest

trouble: $(READY) ## Run whole syncs that meet faults, kills and days of business (about ten minutes)
	@$(BIN)/python -m pytest -m trouble --dist=load

soak: $(READY) ## Run the long tests: every fault and kill by itself, many more examples of every law
	@$(BIN)/python -m pytest -m "soak or trouble or hypothesis" --hypothesis-profile=soak --dist=load

dev: $(READY) ## Open the Dagster UI (http://127.0.0.1:3000) on the data in var/
	@mkdir -p var/dagster
	@DAGSTER_HOME="$(CURDIR)" $(BIN)/dagster dev --host 127.0.0.1 --port 3000

lint: $(READY) ## Format check, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

docs: $(READY) ## Write the documents that are made from the program: data dictionary, field ownership
	@$(BIN)/python -m cin7_emarsys.views.documents docs

bench: $(READY) ## Run the benchmarks and write benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks

clean: ## Remove .venv and var/
	rm -rf $(VENV) var
