# What a developer does with watchd, each in one command. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin

help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

run: .venv/installed ## run watchd on the engine that answers, else on an embedded one with a demonstration
	@$(BIN)/python -m tests.harness run

test: .venv/installed ## run all tests; those that need an engine start one of their own, as root on Linux
	$(BIN)/python -m pytest

lint: .venv/installed ## check style, types and the layers of the architecture
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed ## measure the start, and what scrapes and removals cost beside other programs, on an engine of its own
	@$(BIN)/python -m tests.bench.starting
	@$(BIN)/python -m tests.bench.cleaning
	@$(BIN)/python -m tests.bench $(if $(CONTAINERS),--containers $(CONTAINERS))

soak: .venv/installed ## let everything happen at once for 10 minutes (MINUTES=), and tell what watchd lost of it
	@$(BIN)/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES))

engine-up: .venv/installed ## start the embedded engine, and print its DOCKER_HOST
	@$(BIN)/python -m tests.harness up

engine-down: .venv/installed ## stop the embedded engine, and remove all that is on it
	@$(BIN)/python -m tests.harness down

# Made anew when what it is made from has changed. Debian and Ubuntu have `ensurepip` in a package of its own.
.venv/installed: tests/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("watchd needs Python 3.11 or newer: make PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(PYTHON) -m tests.harness.install python3-venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: help run test lint bench soak engine-up engine-down
