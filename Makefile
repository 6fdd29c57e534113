# Every target sets up what it needs, in a virtual environment of its own: $(VENV).
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
NATIVE := CMakeLists.txt $(wildcard cmake/* csrc/*.* csrc/*/*.*)

.PHONY: demo test bench lint format clean

demo: $(VENV)/.package
	$(BIN)/vtsearch demo

test: $(VENV)/.package $(VENV)/.test
	$(BIN)/python -m pytest

# Fifteen minutes; make bench QUICK=1 runs the same on tiny codes.
bench: $(VENV)/.package $(VENV)/.test $(VENV)/.bench
	$(BIN)/python benchmarks/compare.py $(if $(QUICK),--quick)

lint: $(VENV)/.package $(VENV)/.test $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror csrc/*.h csrc/*.cpp csrc/*/*.h csrc/*/*.cpp csrc/*/*.inl
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs src csrc tests benchmarks --skip '*.json'
	$(BIN)/validate-pyproject pyproject.toml

format: $(VENV)/.lint
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i csrc/*.h csrc/*.cpp csrc/*/*.h csrc/*/*.cpp csrc/*/*.inl

clean:
	rm -rf $(VENV) build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

$(VENV)/.python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	touch $@

# The C++ engine is compiled here; Python files are used where they stand.
$(VENV)/.package: $(VENV)/.python pyproject.toml $(NATIVE)
	$(PIP) install --quiet --editable '.[train,plot]'
	touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml
	$(PIP) install --quiet --group test
	touch $@

$(VENV)/.bench: $(VENV)/.python pyproject.toml
	$(PIP) install --quiet --group bench
	touch $@

$(VENV)/.lint: $(VENV)/.python pyproject.toml
	$(PIP) install --quiet --group lint
	touch $@
