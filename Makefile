# `make` lists the targets. The program behind them is tools/setup, which needs only Python 3.11 or newer.
SHELL := /bin/bash
PYTHON ?= python3
STACK ?= dev
SETUP := $(PYTHON) -m tools.setup
export PATH := $(CURDIR)/.gantry/venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup up preview destroy recover policy test check bench lock development

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install the engine, the virtual environment and the command plugin
	@$(SETUP) setup

up: ## Create or update the stack, and print its URL (STACK=dev)
	@$(SETUP) up --stack $(STACK)

preview: ## Show what `make up` would change (STACK=dev)
	@$(SETUP) preview --stack $(STACK)

destroy: ## Delete everything in the stack (STACK=dev)
	@$(SETUP) destroy --stack $(STACK)

recover: ## Repair the stack's state after a killed `make up` (STACK=dev)
	@$(SETUP) recover --stack $(STACK)

policy: ## Install the policy pack's virtual environment, for --policy-pack policy/pack
	@$(SETUP) policy

test: ## Run all tests, or some: ARGS='tests/unit -k name'
	@$(SETUP) test -- $(ARGS)

check: development ## Check the format, lint rules, types, scripts and workflows
	ruff format --check .
	ruff check .
	basedpyright --warnings
	shellcheck .ci/run bin/pulumi cloud-init/*.sh cloud-init/*/*.sh components/local/*.sh policy/pack
	yamllint --strict .
	zizmor --offline --quiet .github
	@$(SETUP) workflows

bench: development ## Measure the promised figures, or some: ARGS='ledger-1 boot'
	python -m bench $(ARGS)

lock: ## Update all requirements and lock them with hashes
	@$(SETUP) lock

development:
	@$(SETUP) setup --development
