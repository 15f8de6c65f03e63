# `make` alone lists the targets. Python 3.11 or newer, make and git are all that must be there before.
PYTHON ?= python3
VENV := .venv
PEERS := .peers
BIN := $(VENV)/bin
INSTALL := $(PYTHON) requirements/install.py
# Workers of pytest-xdist; tests that share a homeserver stay on one of them.
WORKERS ?= 2
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist loadgroup
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help venv dev peers run test check faults bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/run.stamp ## make .venv with what the program needs, and .venv/bin/stormo
dev: $(VENV)/dev.stamp ## the same and what developing and testing need
peers: $(PEERS)/synapse.stamp ## make .peers with the Synapse homeserver for the tests against peers

# A stamp is older than its lock after `git pull` brought a new one: only then is anything installed again.
$(VENV)/run.stamp: requirements/run.txt requirements/install.py
	@test $(VENV)/dev.stamp -nt $< || $(INSTALL) $(VENV) $< --program
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt requirements/install.py
	@$(INSTALL) $(VENV) $< --program
	@touch $@

$(PEERS)/synapse.stamp: requirements/synapse.txt requirements/install.py
	@$(INSTALL) $(PEERS) $<
	@touch $@

run: venv ## start Stormo; ARGS= are passed on
	@exec $(BIN)/stormo run $(ARGS)

test: dev peers ## run the whole suite
	$(PYTEST) $(ARGS)

check: dev ## format, lint, types, layers and the quick tests: under a minute
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	STORMO_QUICK=1 $(PYTEST) -m "not slow and not peer and not browser and not faults" $(ARGS)

# STORMO_FAULTS=sample takes some of them, chosen by STORMO_FAULTS_SEED; `make test` takes none that is marked so.
faults: export STORMO_FAULTS := $(or $(STORMO_FAULTS),all)
faults: dev peers ## kill, cut and fill at every place there is; writes tests/faults/REPORT.json
	$(PYTEST) tests/faults -m faults $(ARGS)

bench: dev ## run the benchmarks
	$(BIN)/python -m bench $(ARGS)

# UPGRADE=--upgrade takes the newest versions; without it only what pyproject.toml asks for changes.
COMPILE = $(BIN)/uv pip compile --quiet --no-config --system-certs --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)
lock: dev ## renew requirements/*.txt from pyproject.toml
	$(COMPILE) pyproject.toml -o requirements/run.txt
	$(COMPILE) pyproject.toml --group dev -c requirements/run.txt -o requirements/dev.txt
	$(COMPILE) --group synapse -o requirements/synapse.txt

clean: ## remove the environments and the caches
	rm -rf $(VENV) $(VENV).lock $(PEERS) $(PEERS).lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
