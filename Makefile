# Every target sets up what it needs, in a virtual environment of its own: $(VENV).
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
NATIVE := CMakeLists.txt $(wildcard cmake/* csrc/*.* csrc/*/*.*)

.PHONY: demo test test-all bench docs sanitize sanitize-address sanitize-thread fuzz lint types format clean

demo: $(VENV)/.package
	$(BIN)/vtsearch demo

# Before every commit: all but the tests marked slow, in two processes; files start in their order, tests/core first.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
test: $(VENV)/.package $(VENV)/.test
	$(PYTEST)

# All tests; make test-all MARKED=slow runs those that make test left out.
test-all: $(VENV)/.package $(VENV)/.test $(VENV)/.cluster
	$(PYTEST) -m "$(MARKED)" --durations 40

# Fifteen minutes; make bench QUICK=1 runs the same on tiny codes.
bench: $(VENV)/.package $(VENV)/.test $(VENV)/.bench
	$(BIN)/python benchmarks/compare.py $(if $(QUICK),--quick)

# The site in build/docs, built without torch; a warning is an error.
docs: build/docs-tools/.package
	build/docs-tools/bin/python -m sphinx -q -W --keep-going -b html docs build/docs

# The programs of tests/core, then the native tests, with the sanitizers of addresses and undefined behaviour, then with
# that of threads: half an hour. Leaks are the business of tests/native/test_leaks.py: Python itself never frees all.
SANITIZED := tests/native tests/conformance tests/test_ranking.py tests/test_metrics.py tests/test_duplicates.py \
             tests/test_multi_index.py tests/index/test_tables.py tests/test_weights.py tests/test_leave_one_out.py tests/test_out.py
SANITIZERS_address := address,undefined
SANITIZERS_thread := thread
RUNTIME_address := libasan.so
RUNTIME_thread := libtsan.so
sanitize: sanitize-address sanitize-thread

sanitize-address sanitize-thread: sanitize-%: $(VENV)/.test
	$(BIN)/cmake --preset core-$*
	$(BIN)/cmake --build --preset core-$* --parallel 2 --target check_kernels
	build/core-$*/tests/core/check_kernels $(if $(filter thread,$*),threads)
	$(PYTHON) -m venv build/venv-$*
	build/venv-$*/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/venv-$*/bin/python -m pip install --quiet --group test . -Cbuild-dir=build/$* -Cinstall.strip=false \
	  -Ccmake.define.VTSEARCH_SANITIZE=$(SANITIZERS_$*)
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  LD_PRELOAD="$$($(CXX) -print-file-name=$(RUNTIME_$*)) $$($(CXX) -print-file-name=libstdc++.so)" \
	  build/venv-$*/bin/python -m pytest -q -m "" --capture=sys --whole-bytes $(SANITIZED)

# libFuzzer (Clang 19) on the engine, every instruction set against an oracle; then Hypothesis on what Python may be given.
SECONDS ?= 60
fuzz: $(VENV)/.package $(VENV)/.test
	$(BIN)/cmake --preset fuzz
	$(BIN)/cmake --build --preset fuzz --parallel 2 --target fuzz
	mkdir -p build/corpus
	build/fuzz/tests/core/fuzz build/corpus -max_total_time=$(SECONDS) -print_final_stats=1
	$(BIN)/python -m pytest -q tests/native/test_hostile_arrays.py --hypothesis-profile=fuzz

# No torch, no compiler: the tools have an environment of their own. make types needs all packages.
LINT := build/lint/bin
lint: build/lint/.tools
	$(LINT)/ruff check
	$(LINT)/ruff format --check
	PYTHONPATH=src $(LINT)/lint-imports
	$(LINT)/clang-format --dry-run --Werror csrc/*.h csrc/*.cpp csrc/*/*.h csrc/*/*.cpp csrc/*/*.inl
	$(LINT)/codespell *.md docs src csrc tests benchmarks deploy --skip '*.json,*.so'
	$(LINT)/validate-pyproject pyproject.toml
	$(LINT)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(LINT)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(LINT)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(LINT)/shellcheck deploy/slurm/*.sbatch
	$(LINT)/hadolint deploy/Dockerfile

# Strict mypy: without torch's own types half of its checks would see Any.
types: $(VENV)/.package $(VENV)/.test $(VENV)/.types
	$(BIN)/mypy

format: build/lint/.tools
	$(LINT)/ruff check --fix
	$(LINT)/ruff format
	$(LINT)/clang-format -i csrc/*.h csrc/*.cpp csrc/*/*.h csrc/*/*.cpp csrc/*/*.inl

clean:
	rm -rf $(VENV) build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

$(VENV)/.python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	touch $@

# The C++ engine is compiled here; Python files are used where they stand.
$(VENV)/.package: $(VENV)/.python pyproject.toml $(NATIVE)
	$(PIP) install --quiet --editable '.[train,plot,serve]'
	touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml
	$(PIP) install --quiet --group test --group exchange --group page
	touch $@

$(VENV)/.cluster: $(VENV)/.python pyproject.toml
	$(PIP) install --quiet --group cluster
	touch $@

$(VENV)/.bench: $(VENV)/.python pyproject.toml
	$(PIP) install --quiet --group bench
	touch $@

$(VENV)/.types: $(VENV)/.python pyproject.toml
	$(PIP) install --quiet --group types
	touch $@

build/lint/.tools: pyproject.toml
	$(PYTHON) -m venv build/lint
	$(LINT)/python -m pip --disable-pip-version-check install --quiet --upgrade 'pip>=25.1'
	$(LINT)/python -m pip install --quiet --group lint
	touch $@

build/docs-tools/.package: pyproject.toml $(NATIVE)
	$(PYTHON) -m venv build/docs-tools
	build/docs-tools/bin/python -m pip --disable-pip-version-check install --quiet --upgrade 'pip>=25.1'
	build/docs-tools/bin/python -m pip install --quiet --group docs --editable .
	touch $@
