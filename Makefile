# The task file; CI runs `make check test`. `make demo` and `make test` each set everything up first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

CONSTRAINTS := --constraint constraints.txt --build-constraint constraints.txt

BINS   := $(notdir $(BIN))
SUPPLY := $(VENV)/supply/$(BINS)
LOWEST := $(VENV)/lowest/$(BINS)

# The oldest supported versions are tested without extras, and their warnings do not count.
LOWEST_TOOLS := pytest pytest-xdist hypothesis httpx scikit-image
LOWEST_TESTS := -o filterwarnings=default tests/ann tests/cli/test_index.py tests/cli/test_program.py tests/cli/test_search.py \
  tests/images tests/library/test_indexing.py tests/search tests/server/test_images.py tests/server/test_openapi.py \
  tests/server/test_search.py tests/stores/local tests/vectors tests/wire

# Inputs of the training of the built-in network (docs/model-card.md); RUN holds views, checkpoint and curves.
TEACHER ?= efficientnet-lite2
PHOTOS_TO_LEARN ?= $(error PHOTOS_TO_LEARN="FOLDER FOLDER:VIEWS": folders or zip files of photos)
HOURS   ?= 4
RUN     ?= training-run

.PHONY: demo test torture soak test-lowest check bench docs site sbom audit wheel format clean train

demo: $(VENV)/.installed  ## draw a catalogue of products, index it, search it (PHOTOS=~/Pictures: your own)
	$(BIN)/lookalike demo $(if $(PHOTOS),--photos "$(PHOTOS)")

# The cores are busy: threads of NumPy and FAISS would wait for each other. Modules are compiled once, not in each process.
test: export OMP_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.developing  ## run all tests, one process a core (ARGS="tests/search -k name": some)
	$(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder $(ARGS)

torture: $(VENV)/.developing  ## the long forms of tests/faults: kills, power cuts, failing disks, hostile files and requests (docs/reliability.md)
	$(BIN)/python -m pytest -n 0 -m torture $(ARGS)

soak: $(VENV)/.developing  ## index, search, delete and kill for MINUTES=60; plots memory, handles, disk and latency
	$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),60)

check: $(VENV)/.developing site  ## format, lint, links of the docs, types (of the page, too, where Node and TypeScript are)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/check_page_types.py

format: $(VENV)/.developing  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.developing  ## the figures of docs/benchmarks.md that need no data (DATA=folder: all)
	$(BIN)/python -m benchmarks $(DATA)

docs: $(VENV)/.developing  ## write the generated parts of the docs again, and build them as a site
	$(BIN)/python docs/write_commands.py
	$(BIN)/python docs/write_licences.py
	$(BIN)/python docs/tutorial/run_pages.py
	$(MAKE) site

site: $(VENV)/.developing  ## build the docs as a site in site/; fails for a link without a target
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build  # --quiet would also silence --strict

test-lowest: $(VENV)/.lowest  ## run the tests with the oldest supported versions of what the program needs
	$(LOWEST)/python -m pytest -n auto $(or $(ARGS),$(LOWEST_TESTS))

sbom: $(VENV)/.installed $(VENV)/.supply  ## write dist/sbom.json, the packages of .venv with licences, as CycloneDX
	mkdir -p dist
	$(SUPPLY)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json

audit: $(VENV)/.supply  ## ask a database of vulnerabilities for the packages of constraints.txt (needs a network)
	$(SUPPLY)/pip-audit --requirement constraints.txt --no-deps --disable-pip

wheel: $(VENV)/.installed  ## build the wheel in dist/; the same commit gives the same bytes
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(PIP) wheel --no-deps --build-constraint constraints.txt --wheel-dir dist .

train: $(VENV)/.training  ## train the built-in network again: PHOTOS_TO_LEARN= [TEACHER=efficientnet-lite2] [HOURS=4] [RUN=]; resumes after an interruption
	$(BIN)/python -m tools.distill prepare --teacher $(TEACHER) --photos $(PHOTOS_TO_LEARN) --output $(RUN)/data
	$(BIN)/python -m tools.distill train --data $(RUN)/data --hours $(HOURS) --output $(RUN)/run
	$(BIN)/python -m tools.distill export --run $(RUN)/run --data $(RUN)/data --output $(RUN)/lookalike.onnx
	$(BIN)/python -m docs.draw_training $(RUN)/run $(RUN)/curves.png

clean:  ## remove what these tasks made
	rm -rf $(VENV) build dist site lookalike-demo .mypy_cache .pytest_cache .ruff_cache

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

$(VENV)/.lowest: $(VENV)/bin-made pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(VENV)/lowest
	$(LOWEST)/python -m pip --disable-pip-version-check --quiet install --constraint constraints-lowest.txt --editable . $(LOWEST_TOOLS)
	touch $@

# What describes the dependencies lives apart from them.
$(VENV)/.supply: $(VENV)/bin-made constraints.txt
	$(PYTHON) -m venv $(VENV)/supply
	$(SUPPLY)/python -m pip --disable-pip-version-check --quiet install 'cyclonedx-bom>=7,<8' 'pip-audit>=2.9,<3'
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(PIP) install $(CONSTRAINTS) --editable '.[dev]'
	touch $@
