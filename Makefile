# The task file; CI runs `make check test`. `make demo` and `make test` each set everything up first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

CONSTRAINTS := --constraint constraints.txt --build-constraint constraints.txt

# Inputs of the training of the built-in network (docs/model-card.md); RUN holds views, checkpoint and curves.
TEACHER ?= efficientnet-lite2
PHOTOS_TO_LEARN ?= $(error PHOTOS_TO_LEARN="FOLDER FOLDER:VIEWS": folders or zip files of photos)
HOURS   ?= 4
RUN     ?= training-run

.PHONY: demo test check bench docs format clean train

demo: $(VENV)/.installed  ## draw a catalogue of products, index it, search it (PHOTOS=~/Pictures: your own)
	$(BIN)/lookalike demo $(if $(PHOTOS),--photos "$(PHOTOS)")

test: $(VENV)/.developing  ## run all tests, one process a core (ARGS="tests/search -k name": some)
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

check: $(VENV)/.developing  ## format, lint, types (of the page, too, where Node and TypeScript are)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/check_page_types.py

format: $(VENV)/.developing  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.developing  ## the figures of docs/benchmarks.md that need no data (DATA=folder: all)
	$(BIN)/python -m benchmarks $(DATA)

docs: $(VENV)/.developing  ## write the generated parts of the docs again
	$(BIN)/python docs/write_commands.py
	$(BIN)/python docs/tutorial/run_pages.py

train: $(VENV)/.training  ## train the built-in network again: PHOTOS_TO_LEARN= [TEACHER=efficientnet-lite2] [HOURS=4] [RUN=]; resumes after an interruption
	$(BIN)/python -m tools.distill prepare --teacher $(TEACHER) --photos $(PHOTOS_TO_LEARN) --output $(RUN)/data
	$(BIN)/python -m tools.distill train --data $(RUN)/data --hours $(HOURS) --output $(RUN)/run
	$(BIN)/python -m tools.distill export --run $(RUN)/run --data $(RUN)/data --output $(RUN)/lookalike.onnx
	$(BIN)/python -m docs.draw_training $(RUN)/run $(RUN)/curves.png

clean:  ## remove what these tasks made
	rm -rf $(VENV) build dist lookalike-demo .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin-made:
	$(PYTHON) -m venv $(VENV)
	touch $@

# What Python brings along is old; this pip applies the constraints to what builds the package, too.
$(VENV)/.installed: $(VENV)/bin-made pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --upgrade pip setuptools
	$(PIP) install $(CONSTRAINTS) --editable .
	touch $@

$(VENV)/.training: $(VENV)/.installed
	$(PIP) install $(CONSTRAINTS) --editable '.[training,efficientnet]'
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(PIP) install $(CONSTRAINTS) --editable '.[dev]'
	touch $@
