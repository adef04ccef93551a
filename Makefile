# Everything a stranger needs: `make run`, `make test`, `make ui`, `make lint`. Only Python 3.11, git and make are asked for.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install -qq --disable-pip-version-check
READY := $(VENV)/.ready

.PHONY: run ui test crash-test lint bench sample-check clocks-check lock clean

run: $(READY)
	@$(BIN)/python -m pipeline_defs.operate run

ui: $(READY)
	@$(BIN)/python -m pipeline_defs.operate ui

test: $(READY)
	@$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term --cov-fail-under=95

# Every point of the crash matrix, and eight processes at once; `make test` tries some of them, and four.
crash-test: $(READY)
	@CRASH_TEST=full $(BIN)/python -m pytest tests/crash tests/domain/evidence/test_chain.py tests/domain/runs/test_concurrency.py

lint: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(READY)
	@$(BIN)/python -m benchmarks.pipeline
	@$(BIN)/python -m benchmarks.latency
	@$(BIN)/python -m benchmarks.log
	@$(BIN)/python -m benchmarks.sample
	@$(BIN)/python -m benchmarks.clocks
	@$(BIN)/python -m benchmarks.retention
	@$(BIN)/python -m benchmarks.reperform
	@$(BIN)/python -m benchmarks.load

# Twenty thousand seeds against a uniform draw (the tests do the same with fewer).
sample-check: $(READY)
	@$(BIN)/python -m tests.domain.sampling.uniformity

# Deadlines against walking minute by minute, 20,000 times (the tests do the same a few hundred times).
clocks-check: $(READY)
	@$(BIN)/python -m benchmarks.clocks_check

# The lock is complete, so pip resolves nothing: older pips stumble over a pinned package that is asked for with an extra.
# The build backend comes from the lock too, so that the editable install needs no isolated, unpinned environment.
$(READY): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) from requirements.lock (a few minutes the first time) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "countersign needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes --no-deps -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check --quiet
	@touch $(READY)

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra dev pyproject.toml -q -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
