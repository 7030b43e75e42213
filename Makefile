# Everything a fresh machine needs is Python >= 3.11, make and a package index.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= bench-gpu
CIFAR  ?=

.PHONY: install quickstart test test-pruning test-sweeps test-rest check test-oldest bench-gpu wheels clean \
	test-system test-system-machines test-system-here system-packages

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt uv
	$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]'
	touch $@

quickstart: install
	$(BIN)/earlyprune run sweeps/configs/quickstart.yaml

# Two halves side by side, of about the same length: sweeps in one process, all else in the other.
test: install
	$(MAKE) -j2 --output-sync=target --no-print-directory test-sweeps test-rest

test-sweeps: install
	$(BIN)/python -m pytest tests/sweeps

test-rest: install
	$(BIN)/python -m pytest tests --ignore=tests/sweeps --ignore=tests/system

test-pruning: install
	$(BIN)/python -m pytest tests/pruning

# A sweep killed again and again, a full disk, a database that goes away: whole processes, for some
# minutes. Two halves side by side, as each mostly waits: in one the files that make machines with
# networks of their own, in the other all else, new files too.
test-system: install
	$(MAKE) -j2 --output-sync=target --no-print-directory test-system-machines test-system-here

MACHINES := $(addprefix tests/system/,test_machines_die.py test_ray_jobs.py test_slurm.py)

test-system-machines: system-packages
	$(BIN)/python -m pytest $(MACHINES) --timeout 1500

test-system-here: system-packages
	$(BIN)/python -m pytest tests/system $(MACHINES:%=--ignore=%) --timeout 1500

# Before both halves and once, as apt locks: PostgreSQL, Slurm and Chromium, where they are missing.
system-packages: install
	tests/system/install.sh

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# pruning/ alone, under the oldest torch we support and without Ray, MLflow or Optuna.
test-oldest: .venv-oldest/.installed
	.venv-oldest/bin/python -m pytest tests/pruning

.venv-oldest/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install -q -c constraints.txt uv
	grep -vE '^(torch|torchvision|triton|setuptools|nvidia-.*|cuda-.*)==' constraints.txt > .venv-oldest/constraints.txt
	.venv-oldest/bin/uv pip install -q --python .venv-oldest/bin/python -c .venv-oldest/constraints.txt \
		torch==2.11.0 torchvision==0.26.0 gpytorch pydantic safetensors scikit-learn \
		pytest pytest-timeout
	touch $@

# On a machine with torch, torchvision and gpytorch; what else pruning/ needs may lie in .wheels.
# CIFAR=cifar10.npz, plain or packed as JPEG; without a GPU it runs tiny, and needs no file.
bench-gpu:
	$(PYTHON) -m benchmarks.gpu --out $(OUT) $(if $(CIFAR),--cifar $(CIFAR))

# The small packages (3 MB) that pruning/ needs beside torch, for a GPU machine that reaches no index
# and has Python WHEEL_PYTHON.
WHEEL_PYTHON ?= 3.12
wheels:
	rm -rf .wheels
	$(PYTHON) -m pip download -q --no-deps --only-binary=:all: --python-version $(WHEEL_PYTHON) \
		--implementation cp --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 \
		-d .wheels -c constraints.txt \
		pydantic pydantic-core annotated-types typing-inspection safetensors

clean:
	rm -rf $(VENV) .venv-oldest .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
