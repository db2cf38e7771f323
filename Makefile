# Everything a person or a machine does with this repository. `make help` lists it; docs/development.md explains it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules

VENV := .venv
STAMP := $(VENV)/.complete
BIN := $(VENV)/bin
PY := $(BIN)/python
BUILD := .build
IMAGE := $(BUILD)/protos.binpb
BASELINE := protos/baseline.binpb.gz
GRPCURL_VERSION := v1.9.3
KUSTOMIZE_VERSION := v5.7.1
PYTHON ?=
ARGS ?=
WORKERS ?= 3
JUNIT ?=

export BUF_CACHE_DIR := $(CURDIR)/$(BUILD)/buf
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: help
help: ## List every target
	@awk 'BEGIN {FS = ":.*## "} \
	  /^## / {printf "\n%s\n", substr($$0, 4)} \
	  /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nARGS passes options on: make load ARGS="--signatures 10000"\n'

## Local stack

.PHONY: up down status demo
up: $(STAMP) ## Start Postgres and every service in the background, and say where they listen
	@$(BIN)/tally up $(ARGS)

down: $(STAMP) ## Stop the stack; data stays
	@$(BIN)/tally down $(ARGS)

status: $(STAMP) ## What runs, where, and whether it is healthy
	@$(BIN)/tally status $(ARGS)

demo: $(STAMP) ## Play a scenario against the stack, compare every count with its rows, show and draw opinion groups
	@$(BIN)/tally demo $(ARGS)

## Measurements

.PHONY: load bench
load: $(STAMP) ## 100,000 co-signs of one petition through real sockets
	@$(BIN)/tally load $(ARGS)

bench: $(STAMP) ## Bare server, textbook transaction and Tally side by side; ARGS=groups: opinion groups, ARGS=jobs: background jobs
	@$(PY) -m tests.load.$(addsuffix .,$(filter groups jobs,$(ARGS)))bench $(filter-out groups jobs,$(ARGS))

## Tests

PYTEST = $(PY) -m pytest $(if $(JUNIT),--junitxml=$(JUNIT)) $(ARGS)

.PHONY: test test-heavy chaos
test: $(STAMP) grpcurl-if-possible ## Every test except the heavy ones
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m "not heavy"

test-heavy: $(STAMP) grpcurl-if-possible ## The tests that take long, one after the other
	@$(PYTEST) -m heavy

chaos: $(STAMP) ## Kill what can be killed, heavy scenarios included
	@$(PYTEST) tests/chaos

## Checks

.PHONY: check lint format types imports
check: lint types imports generate-check proto-lint proto-breaking ## Every static check

lint: $(STAMP) ## Style and likely mistakes (ruff)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP) ## Let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(STAMP) ## Static types, strict (mypy)
	@$(BIN)/mypy

imports: $(STAMP) ## Who may import whom (import-linter)
	@$(BIN)/lint-imports

## Protos

.PHONY: generate generate-check proto-lint proto-breaking proto-baseline proto-image
generate: $(STAMP) ## Write the Python stubs from the protos
	@$(PY) -m tools.generate_stubs

generate-check: $(STAMP) ## Fail if the committed stubs differ from what the protos generate
	@$(PY) -m tools.generate_stubs --check

proto-image: $(STAMP)
	@$(PY) -m tools.generate_stubs --image $(IMAGE)

proto-lint: proto-image ## buf's STANDARD and COMMENTS rules
	@$(BIN)/buf lint $(IMAGE) --config buf.yaml && echo "protos: lint is clean"

proto-breaking: proto-image ## Fail if a client of the accepted API would break
	@$(BIN)/buf breaking $(IMAGE) --against $(BASELINE) --config buf.yaml && echo "protos: nothing breaks the accepted API"

proto-baseline: $(STAMP) ## Accept the protos as they are as the API to keep
	@$(PY) -m tools.generate_stubs --image $(BASELINE) --without-comments

## Housekeeping

.PHONY: venv pin grpcurl kustomize grpcurl-if-possible clean
venv: $(STAMP) ## Make .venv with the pinned packages

$(STAMP): requirements-dev.txt pyproject.toml tools/make_venv.sh
	@PYTHON="$(PYTHON)" bash tools/make_venv.sh $(VENV) $@

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
pin: $(STAMP) ## Compile requirements*.in to requirements*.txt with hashes (ARGS=--upgrade for newer versions)
	@$(COMPILE) $(ARGS) requirements.in -o requirements.txt
	@$(COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt
	@$(COMPILE) $(ARGS) requirements-bench.in -o requirements-bench.txt

grpcurl: $(BUILD)/bin/grpcurl ## Build the real grpcurl into .build/bin (needs Go)

kustomize: $(BUILD)/bin/kustomize ## Build kustomize into .build/bin (needs Go)

$(BUILD)/bin/grpcurl: PACKAGE = github.com/fullstorydev/grpcurl/cmd/grpcurl@$(GRPCURL_VERSION)
$(BUILD)/bin/kustomize: PACKAGE = sigs.k8s.io/kustomize/kustomize/v5@$(KUSTOMIZE_VERSION)
$(BUILD)/bin/grpcurl $(BUILD)/bin/kustomize: | $(BUILD)/bin
	@GOBIN="$(abspath $(BUILD)/bin)" GOFLAGS=-buildvcs=false go install $(PACKAGE)

$(BUILD)/bin:
	@mkdir -p $@

# Without Go, or without a way to its modules, the tests that call grpcurl skip with a reason; CI sets REQUIRE_GRPCURL=1.
grpcurl-if-possible: | $(BUILD)/bin
	@if ! [ -x $(BUILD)/bin/grpcurl ] && ! command -v grpcurl >/dev/null && command -v go >/dev/null; then \
	  timeout 240 $(MAKE) grpcurl >$(BUILD)/grpcurl.log 2>&1 </dev/null \
	    || echo "could not build grpcurl ($(BUILD)/grpcurl.log); its tests will be skipped" >&2; fi

clean: ## Remove caches and build output; neither .venv nor data
	@rm -rf $(BUILD) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
