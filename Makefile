# make run and make test do all of their own set-up, under the checkout; nothing is installed on the machine.
.PHONY: run test truth lint types docs bench packages ready clean help

run: ready packages        ## a real check of this machine, and of a real Kamailio under 500 connections
	@.venv/bin/python scripts/first_run.py

test: ready packages       ## all tests (about 10 minutes; tests that can't run here say why)
	@.venv/bin/python -m pytest $(PYTEST)

truth: ready packages      ## each ceiling made to happen, up to 25 minutes; TRUTH=--disposable-host for values of this machine
	@.venv/bin/python -m pytest tests/truth --truth --write-truth $(TRUTH)

lint: ready                ## ruff, import contracts, spelling, generated files fresh
	@.venv/bin/ruff check src tests scripts benchmarks
	@.venv/bin/ruff format --check src tests scripts benchmarks
	@.venv/bin/lint-imports --no-cache
	@.venv/bin/codespell
	@.venv/bin/python scripts/make_docs.py --check

types: ready               ## mypy --strict
	@.venv/bin/mypy

docs: ready                ## renew the generated files below docs/
	@.venv/bin/python scripts/make_docs.py

bench: ready packages      ## side-by-side measurements, about 15 minutes
	@.venv/bin/python -m pip --disable-pip-version-check install --quiet -r requirements/bench.txt
	@.venv/bin/python benchmarks/census.py
	@.venv/bin/python benchmarks/check_cost.py
	@.venv/bin/python benchmarks/generator.py --rounds 3
	@.venv/bin/python benchmarks/generator_held.py

packages: ready            # Kamailio and SIPp from Debian, unpacked under .cache; what can't be had is said and skipped
	@.venv/bin/python scripts/fetch_packages.py || true

ready:
	@scripts/setup.sh

clean:                     ## remove .venv, .cache and what tools left
	rm -rf .venv .cache build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

help:
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*##/\t/'
