# One word each: make demo | test | lint | types | check | lock
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READINGS := /usr/share/pocketsphinx/test/data/librivox
# What `make demo` does, and on what: make demo PHOTOS=~/Pictures QUERY="a dog on the beach"
PHOTOS ?= .demo/photos
QUERY ?= a cup of coffee on a table

help:  ## show what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[raw,cluster,dev]'
	touch $@

setup: $(VENV)/.installed  ## make the environment in .venv

demo: setup  ## index a folder of photos and search it
	@if [ "$(PHOTOS)" = .demo/photos ]; then $(BIN)/python tests/sample_photos.py .demo/photos; fi
	$(BIN)/reverie --library .demo/library index $(PHOTOS)
	$(BIN)/reverie --library .demo/library search "$(QUERY)"

tools:
	@command -v systemd-analyze >/dev/null && command -v espeak-ng >/dev/null && command -v strace >/dev/null \
	  && [ -d $(READINGS) ] || { \
	  echo "The tests use systemd-analyze, espeak-ng, strace and real readings; installing them."; \
	  $$([ $$(id -u) = 0 ] || echo sudo) apt-get update -qq && \
	  $$([ $$(id -u) = 0 ] || echo sudo) apt-get install -y -qq --no-install-recommends systemd espeak-ng \
	    strace pocketsphinx-testdata >/dev/null; }

# Two at a time: many tests wait for a service, which two cores can do for two of them.
test: setup tools  ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: setup  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## check types
	$(BIN)/mypy

check: lint types test  ## all three

.PHONY: help setup demo tools test lint types check lock
lock:  ## resolve the dependencies afresh into constraints.txt
	.ci/lock

.PHONY: help setup demo tools test lint types check lock
