# Everything that a fresh machine with Python 3.11 or newer and make needs is fetched by the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# The stamp carries the hash of what the environment is made from: one that changed is made anew.
STAMP := $(VENV)/.made-from-$(shell cat requirements/development.lock pyproject.toml | sha256sum | cut -c1-16)
# So many processes run tests, each a file at a time: most of them wait for a cluster most of the time.
WORKERS ?= 3

export PYTHONPATH := $(CURDIR)/controlplane

.PHONY: help demo kind image test test-full bench control-plane binaries servers check lint types format docs chart venv
.PHONY: clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## Show what Keyturn does on a real control plane (KEEP=1 leaves it running)
	$(BIN)/keyturn demo $(if $(KEEP),--keep)

kind: $(STAMP) ## Install Keyturn in a cluster of kind, for people with a container engine
	@$(BIN)/python -m keyturn_controlplane.kind

image: ## Build the operator's image, without a container engine
	@image/build

test: $(STAMP) servers binaries ## Run every test (ARGS="-k word" goes to pytest)
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

test-full: $(STAMP) servers binaries ## Run every test, rotations killed 100 times at each place: hours
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --kills 100 $(ARGS)

bench: $(STAMP) control-plane ## Measure throughput, latency and writes (ARGS go to the benchmark)
	$(BIN)/python -m bench $(ARGS)

control-plane: $(STAMP) ## Find or build etcd, kube-apiserver, kube-controller-manager and kubectl
	@$(BIN)/python -m keyturn_controlplane build

binaries: $(STAMP) ## Find or build what the tests run: the control plane, a node, helm and kind
	@$(BIN)/python -m keyturn_controlplane build --for-tests

servers: ## Install the databases and other servers that the tests start
	@.ci/servers

check: lint types test ## Do what CI does

lint: $(STAMP) ## Check format, style and the layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports

types: $(STAMP) ## Check types
	$(BIN)/mypy

format: $(STAMP) ## Put the code into its form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: $(STAMP) chart ## Make the references of the resources from the CRDs, and the chart
	$(BIN)/python docs/make_reference.py

chart: $(STAMP) ## Make the chart's copies, schema and page, and deploy/, from crds/, rbac/ and values.yaml
	$(BIN)/python docs/make_chart.py

venv: $(STAMP) ## Make the Python environment

clean: ## Remove the Python environment; caches of downloads and builds stay
	rm -rf $(VENV)

$(STAMP): .ci/venv
	@.ci/venv $(VENV)
	@rm -f $(VENV)/.made-from-*
	@touch $@
