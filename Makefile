# make demo and make test need nothing but python3 (3.11 or newer): they make .venv and install into it what they need.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test test-slow check cards docs clean

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable '.[dev]'
	touch $(READY)

setup: $(READY)

# whet improve on data that ship with a dependency, scikit-learn's handwritten digits, and the model as a bundle that can be served.
BEST = import json; print(json.load(open("demo/improve/improvement.json"))["best_run"])
demo: setup
	rm -rf demo
	$(BIN)/python examples/digits/write_digits.py demo/digits
	$(BIN)/whet improve demo/digits --architecture resnet9_slim --out demo/improve \
	  --seeds 3 --plain examples/digits/plain.yaml --strong examples/digits/strong.yaml
	$(BIN)/whet export demo/improve/$$($(BIN)/python -c '$(BEST)') --out demo/bundle

# The fast tests and a sample of the slow ones, two at a time with a thread each. Compiled files are kept: otherwise every process
# compiles all sources and tests anew.
test: setup
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow or sample'

test-slow: setup
	$(BIN)/python -m pytest -m slow

# Before a commit: style, types, import rules, fast tests.
check: setup
	$(BIN)/ruff format --check src tests benchmarks docs examples
	$(BIN)/ruff check src tests benchmarks docs examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m 'not slow'

# The method cards in docs/methods, from the code.
cards: setup
	$(BIN)/python docs/write_cards.py

# The documentation as a site: site/index.html. A broken link is an error.
docs: setup
	$(PIP) --editable '.[docs]'
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv demo runs site
