# The commands for a person. `make` alone lists them. Each target makes the environment first, where
# it is missing or older than its packages.
STUDY ?= demo
DATA  ?=
ANNOTATOR ?=
ARGS  ?=
PYTHON3 ?= python3
BIN   := .venv/bin
PY    := $(BIN)/python
CLI   := $(PY) -m clipassistnet
# A value as one word for the shell, whatever is in it: $(call quoted,DATA)
quoted = '$(subst ','\'',$(value $(1)))'

.DEFAULT_GOAL := help
.PHONY: help demo study test test-all benchmark reliability lab annotate record report results summary lint lock clean
.DELETE_ON_ERROR:

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed ## the whole study on simulated videos
	@$(CLI) study demo $(ARGS)

study: .venv/installed ## a study on your own videos: STUDY=paper DATA=<dataset folder>
	@$(CLI) study $(call quoted,STUDY) --data $(call quoted,DATA) $(ARGS)

test: .venv/installed ## the tests
	@OMP_NUM_THREADS=1 $(PY) -m pytest -q -n auto --dist loadfile $(ARGS)

test-all: .venv/installed ## the tests, the slow ones too
	@OMP_NUM_THREADS=1 $(PY) -m pytest -q -n auto --dist loadfile -m "" \
	  --junitxml=build/test-all.xml $(ARGS)

reliability: .venv/installed ## write the table of faults of docs/reliability.md from the last `make test-all`
	@$(PY) tests/faults.py docs/reliability.md build/test-all.xml

benchmark: .venv/installed ## time five ResNet-50 on this CPU, beside eager PyTorch and the peak
	@OMP_NUM_THREADS=$(shell nproc) $(PY) tools/benchmark_cpu.py $(ARGS)

lab: .venv/installed ## JupyterLab, after the smallest study has run once (as root: ARGS=--allow-root)
	@echo "First the smallest study, once, so that each notebook finds its inputs: three to six minutes on 2 cores."
	@$(CLI) study smoke
	@echo "JupyterLab starts. Open the address with its token that it prints; Ctrl-C ends it."
	@$(BIN)/jupyter lab --ServerApp.root_dir=. \
	  --LabApp.default_url=/lab/tree/notebooks/01_annotation_agreement.ipynb $(ARGS)

annotate: .venv/installed ## label your own videos: DATA=<folder of videos> ANNOTATOR=<your name>
	@$(CLI) annotate $(call quoted,DATA) --annotator $(call quoted,ANNOTATOR) $(ARGS)

record: .venv/installed ## copy a study of simulated or public videos to the tracked record
	@$(CLI) record $(call quoted,STUDY)

report: .venv/installed ## a study's tables, figures and model card on one HTML page
	@$(CLI) report $(call quoted,STUDY)

results: .venv/installed ## write docs/results.md and the tables of figures from the records
	@$(CLI) results

summary: .venv/installed ## print a study's tables again: STUDY=demo
	@$(CLI) summary $(call quoted,STUDY)

lint: .venv/installed ## check style, import rules, types, and that notebooks carry no outputs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy
	@$(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb

lock: ## pin the packages of pyproject.toml in requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra study --extra test --universal --python-version 3.11 \
	  --no-emit-index-url --no-annotate -q -o requirements.lock

clean: ## remove the environment and the working output, never the record
	rm -rf .venv .snakemake papermill_runs/smoke papermill_runs/demo papermill_runs/lab

# uv installs torch in half a minute; pip takes minutes. --compile-bytecode saves ten seconds at the
# start of each of some forty kernels.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with: make PYTHON3=python3.12 ..." >&2; exit 1; }
	@echo "making the environment in .venv (7 GB)"
	@$(PYTHON3) -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(PY) --compile-bytecode -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(PY) --no-deps -e .
	@touch $@
