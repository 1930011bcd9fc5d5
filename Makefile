# Milkiyat. Two commands matter: `make demo` and `make test`; each installs what it needs.
PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3 2>/dev/null))
PY := .venv/bin/python
RUN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup setup-brownie setup-clients demo serve test lint types imports unit test-contracts slither \
        compile openapi clients bench-demo bench-registry bench-gas bench-mint bench-sync bench-live \
        bench-captable bench-api bench-reports duel-reorg reset test-eligibility chaos-operations chaos-sync \
        fuzz-api race-offering

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup:  ## Install everything into the project's own folder
	@$(PYTHON) scripts/setup.py

setup-brownie:
	@$(PYTHON) scripts/setup.py --brownie

setup-clients:
	@$(PYTHON) scripts/setup.py --clients

demo: setup  ## Play the main job end to end, then serve (ONCE=1: exit after it)
	@$(PY) -m demo $(if $(ONCE),--once) $(DEMO_ARGS)

serve: setup  ## API, worker and sync on the embedded services
	@$(PY) -m api.cli serve $(SERVE_ARGS)

# Much of it waits for a block, a disk or a killed process: side by side they fill the processors.
test: setup setup-brownie setup-clients  ## Everything that must pass before a commit
	@$(MAKE) --no-print-directory --jobs=3 lint imports unit test-contracts types

lint: setup
	@$(RUN)/ruff check . && $(RUN)/ruff format --check .

types: setup
	@$(RUN)/mypy --strict .

imports: setup
	@$(RUN)/lint-imports

# A file goes to one process: its stages are built once. Beyond four, PostgreSQL is what waits.
# The order is that of tests/conftest.py; xdist's own begins with the files of most tests.
unit: setup-clients
	@$(RUN)/pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile \
		--no-loadscope-reorder $(PYTEST_ARGS)

test-contracts: setup-brownie  ## Brownie tests of our own Solidity, on anvil
	@$(PY) scripts/test_contracts.py

test-eligibility: setup  ## Our rules of eligibility against the chain's own, on 500 random tokens
	@HYPOTHESIS_PROFILE=thorough $(RUN)/pytest tests/chain/test_eligibility_agrees.py $(PYTEST_ARGS)

slither: setup  ## Analyse our Solidity; each finding is fixed or answered in docs/reference/slither.md
	@$(PYTHON) scripts/setup.py --slither
	@$(PY) -m scripts.slither

compile: setup  ## Recompile our Solidity and write chain/artifacts
	@$(PY) -m chain.contracts.compile

openapi: setup  ## Write docs/reference/openapi.json
	@$(PY) -m api.cli openapi --write

clients: setup-clients  ## Generate the TypeScript, Swift and Kotlin clients into clients/build
	@$(PY) -m scripts.clients

bench-demo: setup  ## Figures: warm demo wall time and memory, API start to ready
	@$(PY) -m bench.demo

bench-registry: setup  ## Figures: bulk import, overlap check, title as of a date (BENCH_PARCELS, BENCH_ROWS)
	@$(PY) -m bench.registry

bench-gas: setup  ## Figures: gas beside the published suite; from an order to a halted token (BENCH_HALTS)
	@$(PY) -m bench.gas
	@$(PY) -m bench.halt
	@CONFIRMATIONS=0 $(PY) -m bench.halt

bench-mint: setup  ## Figures: mints/s through the API until final; commit to broadcast (BENCH_HOLDERS)
	@$(PY) -m bench.mint
	@$(PY) -m bench.sending

bench-sync: setup  ## Figures: events/s from empty database to proven cap table (BENCH_RUNS, BENCH_SCALE)
	@$(PY) -m bench.sync

bench-live: setup  ## Figures: from a block to the API, and to the commit (BENCH_BLOCKS)
	@$(PY) -m bench.live

bench-captable: setup  ## Figures: cap table of a million holders (BENCH_HOLDERS, BENCH_TRANSFERS)
	@$(PY) -m bench.captable

bench-api: setup  ## Figures: what phones ask most, beside a constant (BENCH_HOLDERS, BENCH_TRANSFERS)
	@$(PY) -m bench.api

bench-reports: setup  ## Figures: the first page of each regulators' report (BENCH_HOLDERS, BENCH_ASSETS)
	@$(PY) -m bench.reports

duel-reorg: setup  ## Reorgs on a real anvil: 0 differing holders within 2 s, also killed in the midst of each
	@$(PY) -m bench.duel

chaos-operations: setup  ## Operations once, whatever breaks (CHAOS_SCHEDULES, SEED to play one again)
	@$(PY) -m tests.chaos.run

chaos-sync: setup  ## The cap table exact, whatever breaks (CHAOS_SCHEDULES, SEED to play one again)
	@$(PY) -m tests.chaos.sync.runner

fuzz-api: setup  ## The whole API against its description, as every role (FUZZ_EXAMPLES, FUZZ_SECONDS, SEED, ONLY)
	@$(PY) -m tests.fuzz.run

race-offering: setup  ## 1,000 buyers at once for 500 fractions, on a chain, with a worker killed (RACE_BUYERS)
	@$(PY) -m tests.race.run

reset:  ## Forget the embedded database and chain (everything in .data)
	@$(PY) -m api.cli reset
