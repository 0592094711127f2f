# Everything a person does here, in one place. Needs Python 3.11 or newer and make; the rest is fetched into .venv and .local.
# PYTHON=<program> chooses the interpreter that makes .venv.
.POSIX:
.SUFFIXES:
.DEFAULT_GOAL = help

PY = .venv/bin/python
MINUTES = 10
SEED =
SECONDS = 300
UCI =
CUSTOMERS =
PORTFOLIO =
FAST = tests/unit tests/model tests/architecture tests/docs

.PHONY: help
help: ## show this list
	@echo 'Arrears: event-driven collection of overdue credit cards.'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: venv
venv: ## make .venv from the lock with plain pip (every target below does this by itself)
	@PYTHON='$(PYTHON)' sh deploy/venv.sh

.PHONY: demo
demo: venv ## the whole story: start everything, follow thirty customers for five working days, check, stop (CUSTOMERS=300 or PORTFOLIO=FILE MAPPING=: a portfolio)
	@$(PY) -m deploy.demo $(CUSTOMERS:%=--customers %) $(if $(PORTFOLIO),--portfolio '$(PORTFOLIO)') $(if $(MAPPING),--mapping '$(MAPPING)') $(SEED:%=--seed %)

.PHONY: up
up: venv ## start PostgreSQL, Kafka, the mail and SMS catchers and the five services, and wait until they are ready
	@$(PY) -m deploy.local up

.PHONY: down
down: venv ## stop what "up" started; the data stay in .local
	@$(PY) -m deploy.local down

.PHONY: status
status: venv ## what runs, where it listens, and whether it is ready
	@$(PY) -m deploy.local status

.PHONY: logs
logs: venv ## the last lines of every part's log
	@$(PY) -m deploy.local logs

.PHONY: test
test: test-unit ## all tests: the pure ones first, then those on a real PostgreSQL and Kafka (one start for all)
	@$(PY) -m pytest --numprocesses 2 --dist loadscope tests $(FAST:%=--ignore=%)

.PHONY: test-unit
test-unit: venv ## only the tests that need nothing running: rules, architecture, documents
	@$(PY) -m pytest --numprocesses 2 $(FAST)

.PHONY: chaos
chaos: venv ## faults thrown at the whole stack, then: what is lost, twice, out of order, stuck? (MINUTES=10 SEED=)
	@$(PY) -m tests.chaos --minutes $(MINUTES) $(SEED:%=--seed %)

.PHONY: scorecard
scorecard: venv ## the fitted card from its evidence, compared with the shipped one (UCI=FILE: from the public file)
	@$(PY) -m services.scoring.training check $(UCI)

.PHONY: outages
outages: venv ## Kafka and PostgreSQL away for as long as SECONDS says: five services stay up, say so, catch up, and can be stopped
	@OUTAGE_SECONDS=$(SECONDS) $(PY) -m pytest -q tests/integration/outages

FACTS = 1000000

.PHONY: far-behind
far-behind: venv ## a reader that is FACTS=1000000 behind catches up without growing
	@FAR_BEHIND=$(FACTS) $(PY) -m pytest -q tests/integration/overload/test_far_behind.py

.PHONY: bench
bench: venv ## CPU an event and rates beside floors and goals, in 6 minutes (PEERS=1: FastStream too, ROUNDS=, MILLION=1)
	@$(PY) -m benchmarks $(ROUNDS:%=--rounds %) $(PEERS:%=--peers) $(MILLION:%=--million)

.PHONY: init
init: venv ## write .env for `docker compose up --wait`, with random secrets (PRODUCTION=1: leave empty what only a bank knows)
	@$(PY) -m deploy.compose.init $(PRODUCTION:%=--production)

.PHONY: check
check: venv ## lint, format, strict types, import contracts, architecture
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -c 'from importlinter.cli import lint_imports_command as run; run()'
	@$(PY) -m pytest -q tests/architecture tests/docs

.PHONY: lock
lock: venv ## compile both locks from pyproject.toml (UPGRADE=--upgrade takes newer versions)
	@$(PY) -m uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-header $(UPGRADE) --output-file requirements.txt
	@$(PY) -m uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-header $(UPGRADE) --extra dev --constraint requirements.txt --output-file requirements-dev.txt

.PHONY: clean
clean: ## stop the local stack and remove .venv, .local and all caches
	@if [ -d .local ] && [ -x $(PY) ]; then $(PY) -m deploy.local down; fi
	@rm -rf .venv .local .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
