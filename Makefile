# Every target makes the environment it needs, in .venv; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

KILLS ?= 200
SECONDS ?= 7200
MUTATIONS ?= 1000
SPECS ?= 200

.PHONY: help demo test tests test-slow stress stress-injected stress-full-disk stress-hung stress-orphans stress-memory stress-nodes fuzz mutants check format docs bench clean

help:
	@echo "make demo       learn a variant of Pong with a progressive network; runs/demo/report.html"
	@echo "make test       the checks and the tests"
	@echo "make test-slow  the tests that train for minutes, or look at pages in Chromium"
	@echo "make stress     kill runs at KILLS random moments, resume them, compare"
	@echo "make fuzz       change files of run folders MUTATIONS times, give SPECS hostile specs"
	@echo "make stress-injected, -full-disk, -hung, -orphans, -memory, -nodes    see docs/reliability.md"
	@echo "make mutants    break each number of the reports; see which test notices"
	@echo "make check      format, lint, types, layers"
	@echo "make docs       the documentation site; build/docs/site/index.html"
	@echo "make bench      every script in benchmarks/, in full"

$(VENV)/.base: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r constraints.txt
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) -e ".[dev]"
	@touch $@

$(VENV)/.bench: $(VENV)/.base
	$(PIP) -e ".[bench]"
	@touch $@

$(VENV)/.slow: $(VENV)/.dev
	$(PIP) -e ".[slow]"
	@touch $@

demo: $(VENV)/.base
	$(BIN)/colonnade run demo --films --out runs/demo

# The checks beside the tests: together they keep two cores busy to the end.
test: $(VENV)/.dev
	@$(MAKE) --no-print-directory -j2 check tests

tests: $(VENV)/.dev
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not browser" -q

test-slow: $(VENV)/.slow
	$(BIN)/python -m pytest -m "slow or browser" -q

STRESS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python tests/stress.py $(if $(RECORD),--record $(RECORD))

stress: $(VENV)/.dev
	@$(STRESS) --kills $(KILLS)

stress-injected: $(VENV)/.dev
	@$(STRESS) --injected

stress-full-disk: $(VENV)/.dev
	@$(STRESS) --full-disk 20

stress-hung: $(VENV)/.dev
	@$(STRESS) --hung 10

stress-orphans: $(VENV)/.dev
	@$(STRESS) --orphans 50

stress-memory: $(VENV)/.dev
	@$(STRESS) --memory $(SECONDS)

stress-nodes: $(VENV)/.slow
	@$(STRESS) --nodes 10

fuzz: $(VENV)/.dev
	@OMP_NUM_THREADS=1 PYTHONPATH=tests:tests/support $(BIN)/python tests/fuzz.py \
		--mutations $(MUTATIONS) --specs $(SPECS) $(if $(RECORD),--record $(RECORD))

mutants: $(VENV)/.dev
	@OMP_NUM_THREADS=1 $(BIN)/python tests/mutants.py

check: $(VENV)/.dev
	$(BIN)/ruff format --check src tests benchmarks results examples docs/site
	$(BIN)/ruff check src tests benchmarks results examples docs/site
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format src tests benchmarks results examples docs/site
	$(BIN)/ruff check --fix src tests benchmarks results examples docs/site

$(VENV)/.docs: $(VENV)/.base
	$(PIP) -e ".[docs]"
	@touch $@

docs: $(VENV)/.docs
	@$(BIN)/python docs/site/build.py

bench: $(VENV)/.bench
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) build dist
