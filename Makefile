# Every target sets up what it needs first; a second run reuses it.
PY := .venv/bin/python
# The newest Python at hand, without Lava.
NEWEST := .venv-newest/bin/python
PYTEST := -m pytest -n auto --dist loadfile --no-loadscope-reorder

# Two OpenMP threads that spin on a busy machine are far slower than one that sleeps.
export OMP_WAIT_POLICY ?= passive

# Of `make soak`: of all streams together, and of networks that are built and stopped.
SECONDS ?= 3600
CYCLES ?= 500

.PHONY: help setup setup-newest demo bench test test-fast test-newest constraints attack fuzz faults soak resume audit lint format clean

help:
	@echo "make demo       train, export, simulate in Lava: runs/demo/"
	@echo "make bench      speed against its peers, < 15 min: benchmarks/results/bench.json"
	@echo "make test       all tests"
	@echo "make faults     every command and Lava process made to fail: benchmarks/results/faults.json"
	@echo "make soak       an hour of events, SECONDS=3600 CYCLES=500: benchmarks/results/soak.json"
	@echo "make resume     evaluations killed and resumed: benchmarks/results/resume.json"
	@echo "make test-fast  tests without the slow ones"
	@echo "make test-newest  the same on the newest Python at hand, without Lava"
	@echo "make fuzz       10 000 damaged files, < 30 min: benchmarks/results/fuzz.json"
	@echo "make attack     10 000 random networks run in every way, < 30 min: benchmarks/results/attack.json"
	@echo "make audit      published weaknesses of the installed packages (needs the network)"
	@echo "make lint       ruff, mypy and import-linter"
	@echo "make format     ruff format"
	@echo "make clean      remove the environment and caches"

setup:
	@scripts/setup.sh

setup-newest:
	@scripts/setup.sh --without-lava

# What pyproject.toml asks for since; UPGRADE=--upgrade brings the newest of everything.
constraints: setup
	PATH=$(CURDIR)/.venv/bin:$$PATH scripts/constraints.sh $(UPGRADE)

demo: setup
	$(PY) examples/demo.py --out runs/demo

bench: setup
	$(PY) -m benchmarks.bench

test: setup
	$(PY) $(PYTEST)

faults: setup
	$(PY) -m benchmarks.faults

soak: setup
	$(PY) -m benchmarks.soak --seconds $(SECONDS) --cycles $(CYCLES)

resume: setup
	$(PY) -m benchmarks.resume

test-fast: setup
	$(PY) $(PYTEST) -m "not slow"

test-newest: setup-newest
	$(NEWEST) $(PYTEST) -m "not slow and not lava"

fuzz: setup
	$(PY) -m tests.fuzz --count 10000 --json benchmarks/results/fuzz.json
	$(PY) -m benchmarks.reliability

attack: setup
	$(PY) -m tests.attack --count 10000 --jobs 2 --json benchmarks/results/attack.json
	$(PY) -m benchmarks.reliability

# In an environment of its own: what it needs shall not count as ours.
audit: setup
	test -x build/audit/bin/pip-audit || \
		($(PY) -m venv build/audit && build/audit/bin/python -m pip install -q pip-audit==2.10.1)
	build/audit/bin/pip-audit --strict --path $$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache

format: setup
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:
	rm -rf .venv .venv-newest build .pytest_cache .mypy_cache .ruff_cache .hypothesis
