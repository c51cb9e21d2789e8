# What a developer does with watchd, each in one command. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

run: .venv/watchd ## run watchd on the engine that answers, else on an embedded one with a demonstration
	@$(BIN)/python -m tests.harness run

check: lint unit ## lint, and run the tests that need no engine: 2 minutes

test: check engine ## check, and run the tests on this machine's Docker and the newest one (as root, on Linux): 12 minutes

test-all: test matrix ## test, and run the tests on every engine, cgroup v2, systemd and in a browser: 30 minutes

unit: .venv/installed
	$(PYTEST) --dist worksteal tests/unit

engine: WORKERS = 3 # they wait more than they work
engine: .venv/installed
	$(PYTEST) --dist loadfile --no-loadscope-reorder tests/engine

matrix: .venv/installed
	$(PYTEST) --dist loadfile --no-loadscope-reorder tests/matrix

lint: .venv/installed ## check style, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

dist: .venv/watchd ## build the wheel and the source distribution in dist/, with their checksums
	@rm -rf dist
	$(BIN)/hatchling build --directory dist
	@cd dist && sha256sum watchd-* > SHA256SUMS && cat SHA256SUMS

coverage: .venv/installed ## run the tests of `make test`, and list the lines that none of them runs
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests/unit tests/engine
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: .venv/installed ## measure starts, scrapes and removals beside other programs, on an engine of its own
	@$(BIN)/python -m tests.bench.starting
	@$(BIN)/python -m tests.bench.cleaning
	@$(BIN)/python -m tests.bench.room
	@$(BIN)/python -m tests.bench.churn
	@$(BIN)/python -m tests.bench.timeline
	@$(BIN)/python -m tests.bench.orders
	@$(BIN)/python -m tests.bench.backtest
	@$(BIN)/python -m tests.bench.walking
	@$(BIN)/python -m tests.bench.tail
	@$(BIN)/python -m tests.bench.scale
	@$(BIN)/python -m tests.bench.groups_off
	@$(BIN)/python -m tests.bench $(if $(CONTAINERS),--containers $(CONTAINERS))

soak: .venv/installed ## run everything at once for 10 minutes (MINUTES=), and count what watchd lost
	@$(BIN)/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES))

pictures: .venv/installed ## take the pictures of the documents anew, from the demonstration: 3 minutes
	@$(BIN)/python -m tests.harness.pictures

engine-up: .venv/watchd ## start the embedded engine, and print its DOCKER_HOST
	@$(BIN)/python -m tests.harness up

engine-down: .venv/watchd ## stop the embedded engine, and remove everything on it
	@$(BIN)/python -m tests.harness down

# Both are made again when their lock or pyproject.toml changes. `make run` installs only what watchd needs; the tools
# come with the tests. Debian and Ubuntu have `ensurepip` in a package of its own.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile

.venv/watchd: tests/harness/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("watchd needs Python 3.11 or newer: make PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(PYTHON) -m tests.harness.install python3-venv
	@echo "making a virtual environment in .venv"
	@$(PYTHON) -m venv .venv
	@echo "installing watchd and the packages that it needs there"
	@$(PIP_INSTALL) --require-hashes -r tests/harness/requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed: .venv/watchd tests/requirements.lock
	@echo "installing the tools of the tests in .venv"
	@$(PIP_INSTALL) --require-hashes -r tests/requirements.lock
	@touch $@

.PHONY: help run check test test-all unit engine matrix lint dist coverage bench soak engine-up engine-down
