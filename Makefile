# The commands a person types. Each works from a fresh clone with Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup
DEMO_SETUP := $(VENV)/.demo-setup
TEST_SETUP := $(VENV)/.test-setup
BENCH_SETUP := $(VENV)/.bench-setup
# The tests' Azure. npm has no constraints file: the date holds what Azurite itself needs to the versions of that day.
AZURITE := azurite@3.37.0
AZURITE_DATE := 2026-11-22

.PHONY: setup demo-setup test-setup bench-setup demo test bench lint lock clean

setup: $(SETUP)

$(BIN)/uv: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Holdfast needs Python 3.11 or newer; %s is %s. Run: make PYTHON=/path/to/python3.11" % (sys.executable, sys.version.split()[0]))'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt uv
	@touch $@

$(SETUP): pyproject.toml constraints.txt | $(BIN)/uv
	@echo "Installing into $(VENV) ..."
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e .
	@$(BIN)/python -m compileall -q holdfast orchestration flows blocks cli api sql # whoever runs it may not be able to write here
	@touch $@

demo-setup: $(DEMO_SETUP)

$(DEMO_SETUP): $(SETUP)
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[demo]'
	@touch $@

test-setup: $(TEST_SETUP)

$(TEST_SETUP): $(SETUP) Makefile
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[test]'
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/npm install --prefix $(VENV)/azurite --before=$(AZURITE_DATE) --no-save --no-package-lock \
	  --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error $(AZURITE) >/dev/null
	@touch $@

demo: demo-setup
	@$(BIN)/holdfast demo $(if $(KEEP),--keep,)

test: test-setup
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  echo "The tests of what the Prefect UI shows need a browser and will fail without. Debian: apt-get install chromium" >&2
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || \
	  echo "The tests of damaged indexes need a PostgreSQL that has amcheck and will fail without. Debian: apt-get install postgresql" >&2
	@command -v nginx >/dev/null && command -v systemd-analyze >/dev/null || \
	  echo "The tests of hosting need nginx and systemd-analyze and will fail without. Debian: apt-get install nginx-light systemd" >&2
	@$(BIN)/python -m pytest -n 5 --dist loadscope --no-loadscope-reorder

lint: test-setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-setup: $(BENCH_SETUP)

$(BENCH_SETUP): $(SETUP)
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[bench]'
	@touch $@

bench: bench-setup
	@for program in restic borg pgbackrest; do command -v $$program >/dev/null || \
	  echo "Without $$program its rows will say that it is absent. Debian: apt-get install restic borgbackup pgbackrest postgresql" >&2; done
	@$(BIN)/python -m benchmarks $(ARGS)

lock: $(BIN)/uv
	$(BIN)/uv pip compile pyproject.toml --extra demo --extra test --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links -q -o constraints.new
	@(echo "# Versions that work together. Made by: make lock"; cat constraints.new; echo "uv==0.13.9") > constraints.txt; rm constraints.new

clean:
	rm -rf $(VENV) .holdfast .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
