# The one task file; CI runs these words. `make demo` and `make test` each set everything up first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check bench docs format clean

demo: $(VENV)/.installed  ## draw a catalogue of products, index it, search it (PHOTOS=~/Pictures: your own)
	$(BIN)/lookalike demo $(if $(PHOTOS),--photos "$(PHOTOS)")

test: $(VENV)/.developing  ## run all tests
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.developing  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.developing  ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.developing  ## the figures of docs/benchmarks.md that need no data (DATA=folder: all)
	$(BIN)/python -m benchmarks $(DATA)

docs: $(VENV)/.developing  ## write the generated parts of the docs again
	$(BIN)/python docs/write_commands.py

clean:  ## remove what these tasks made
	rm -rf $(VENV) build dist lookalike-demo .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin-made:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/bin-made pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	touch $@
