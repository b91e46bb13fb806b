# `make` lists the targets. The work is in tools/setup, which needs only Python 3.11 or newer.
SHELL := /bin/bash
PYTHON ?= python3
STACK ?= dev
SETUP := $(PYTHON) -m tools.setup
export PATH := $(CURDIR)/.gantry/venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup up preview destroy recover policy test check bench lock development

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Get the engine, the Python environment and the command plugin
	@$(SETUP) setup

up: ## Bring the stack to what is configured; prints its URL (STACK=dev)
	@$(SETUP) up --stack $(STACK)

preview: ## Show what `make up` would change (STACK=dev)
	@$(SETUP) preview --stack $(STACK)

destroy: ## Take away all that the stack has made (STACK=dev)
	@$(SETUP) destroy --stack $(STACK)

recover: ## After a kill of `make up`: bring state and cloud back together (STACK=dev)
	@$(SETUP) recover --stack $(STACK)

policy: ## Make the policy pack's environment, for --policy-pack policy/pack
	@$(SETUP) policy

test: ## Run all tests, or those of ARGS='tests/unit -k name'
	@$(SETUP) test $(ARGS)

check: development ## Check format, lint, types, scripts and workflows
	ruff format --check .
	ruff check .
	basedpyright --warnings
	shellcheck .ci/run bin/pulumi cloud-init/*/*.sh components/local/*.sh policy/pack
	yamllint --strict .
	zizmor --offline --quiet .github
	@$(SETUP) workflows

bench: development ## Measure the promises, or parts of them (ARGS='ledger-1 boot')
	python -m bench $(ARGS)

lock: ## Lock the requirements anew, with hashes
	@$(SETUP) lock

development:
	@$(SETUP) setup --development
