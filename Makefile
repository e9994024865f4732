# What a developer types. `make` alone says what there is. Everything runs in .venv, which `make setup` makes.

V := .venv/bin

.PHONY: help setup fast check test faults fuzz simulation bench ci

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## .venv with all that the tests need, in the versions of requirements.lock
	python3 -m venv .venv
	$(V)/pip install --quiet --constraint requirements.lock --editable '.[dev,servers]'

fast: ## after each change: style, types, and the tests of what needs neither process nor disk
	$(V)/ruff check --quiet .
	$(V)/ruff format --quiet --check .
	$(V)/mypy
	$(V)/pytest -n 2 tests/core tests/test_architecture.py tests/test_promises.py

check: ## style and types alone
	$(V)/ruff check .
	$(V)/ruff format --check .
	$(V)/mypy

test: ## the whole suite
	$(V)/pytest -n 2 -rs

faults: ## real faults: full disks, power cuts, kills at every n-th system call (Linux, as root)
	$(V)/pytest -n 2 --dist worksteal -m faults -rs tests/faults

fuzz: ## inputs that nobody has tried
	$(V)/pytest -n 2 tests/fuzz --hypothesis-profile=long

simulation: ## a minute of whole worlds on one clock, with crashes at every commit
	$(V)/python -m tests.simulation --seconds 60

bench: ## the figures of docs/performance.md in small, on a machine that does nothing else
	$(V)/python -m bench --quick

ci: ## what has to pass before a change lands
	.ci/run
