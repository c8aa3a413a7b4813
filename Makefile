# Needs Python 3.11 or newer, git and make. The environment is made in .venv once; everything else is Snakemake's.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
BUDGET ?= 3
.PHONY: help report site archive verdicts test test-all gpu-check clean here FORCE

help:
	@echo "make figures/table1.pdf   set up, then Table 1 of every paper at demo scale"
	@echo "make figures/PAPER/ITEM.pdf, make all, make PAPER   other targets of the workflow"
	@echo "make report               everything, and report.zip: every table, figure and claim with captions, offline"
	@echo "make verdicts             seeds where they decide most claims, for 3 hours (BUDGET=HOURS)"
	@echo "make site                 everything, and site/index.html: pages to browse, from a claim to a cell to a run; offline"
	@echo "make archive              everything, and leanat-<scale>.zip: numbers, verdicts, settings, outcomes, to cite"
	@echo "make test                 set up, then the tests; make test-all: the long ones too"
	@echo "make gpu-check            set up, then minutes of a GPU: tests, benchmarks, images per second, bits, memory"
	@echo "make clean                remove the environment and everything that was computed"

# Programs in .venv name its folder: in a project that was moved they do not start, in a copy they run the code of the other.
here:
	@made=$$(sed -n '1s|^#!\(.*\)/bin/python[^/]*$$|\1|p' $(BIN)/leanat 2>/dev/null); \
	if [ -n "$$made" ] && ! [ "$$made" -ef .venv ]; then \
		echo "make: .venv was made as $$made; remove it here (rm -r .venv), and the same command makes it anew" >&2; exit 1; \
	fi

.venv/ready: pyproject.toml constraints.txt | here
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"leanat needs Python 3.11 or newer, this is {v[0]}.{v[1]}; name another: make PYTHON=python3.12 ...")'
	@echo "== Making .venv and installing (a few GB the first time)"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --progress-bar off --constraint constraints.txt --editable ".[dev]"
	@touch $@

.venv/ready-test: .venv/ready requirements-oracles.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-oracles.txt
	@touch $@

figures/%: .venv/ready FORCE
	$(BIN)/snakemake $@ --cores all

all qtart saliency advprune sat coreset bench: .venv/ready FORCE
	$(BIN)/snakemake $@ --cores all

site archive: .venv/ready FORCE
	$(BIN)/snakemake $@ --cores all

report: .venv/ready FORCE
	$(BIN)/snakemake all site --cores all --report-after-run --report report.zip

verdicts: .venv/ready FORCE
	$(BIN)/leanat decide --budget $(BUDGET)
	$(BIN)/leanat claims --out figures/claims.pdf

test: .venv/ready-test
	$(BIN)/pytest -n 2 -m "not slow"

test-all: .venv/ready-test
	$(BIN)/pytest -n 2

gpu-check: .venv/ready-test
	$(BIN)/python benchmarks/gpu_check.py

clean:
	rm -rf .venv results figures site logs .snakemake

FORCE:
