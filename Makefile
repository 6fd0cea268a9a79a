# Every target sets up what it needs first; a second run reuses it.
PY := .venv/bin/python

# Two OpenMP threads that spin on a busy machine are far slower than one that sleeps.
export OMP_WAIT_POLICY ?= passive

# Of `make soak`: of all streams together, and of networks that are built and stopped.
SECONDS ?= 3600
CYCLES ?= 500

.PHONY: help setup demo bench test test-fast lint format clean faults soak resume

help:
	@echo "make demo       train, export, simulate in Lava: runs/demo/"
	@echo "make bench      speed against its peers, < 10 min: benchmarks/results/bench.json"
	@echo "make test       all tests"
	@echo "make faults     every command and Lava process made to fail: benchmarks/results/faults.json"
	@echo "make soak       an hour of events, SECONDS=3600 CYCLES=500: benchmarks/results/soak.json"
	@echo "make resume     evaluations killed and resumed: benchmarks/results/resume.json"
	@echo "make test-fast  tests without the slow ones"
	@echo "make lint       ruff and mypy"
	@echo "make format     ruff format"
	@echo "make clean      remove the environment and caches"

setup:
	@scripts/setup.sh

demo: setup
	$(PY) examples/demo.py --out runs/demo

bench: setup
	$(PY) -m benchmarks.bench

test: setup
	$(PY) -m pytest -n auto --dist loadfile

faults: setup
	$(PY) -m benchmarks.faults

soak: setup
	$(PY) -m benchmarks.soak --seconds $(SECONDS) --cycles $(CYCLES)

resume: setup
	$(PY) -m benchmarks.resume

test-fast: setup
	$(PY) -m pytest -n auto --dist loadfile -m "not slow"

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: setup
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis
