# Two commands do everything on a machine with Python 3.11 or newer, make and pip:
#   make conformance   judge the reference, the three backends and the frameworks' own operations; writes reports/
#   make test          all tests, doctests, lint and types
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
OURS := --backend numpy --backend torch --backend tensorflow --backend jax
PEERS := --peer torch-native --peer tensorflow-native --peer keras-tensorflow --peer keras-jax --peer keras-torch
CHECKOUT := PYTHONPATH=.:backends:conformance

.PHONY: conformance test format lint types gpu selftest clean

conformance: $(INSTALLED)
	$(BIN)/subpixel conform $(OURS) $(PEERS) --json reports/conformance.json --html reports/conformance.html --junit reports/conformance.xml

test: lint types
	$(BIN)/python -m pytest -n 2

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

selftest: $(INSTALLED)
	$(BIN)/subpixel selftest

# From a plain checkout, nothing installed, with the Python, torch and jax that a GPU machine already has.
gpu:
	$(CHECKOUT) $(PYTHON) -m subpixel_conformance conform --backend torch --backend jax --device cuda --json reports/gpu.json

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv reports
