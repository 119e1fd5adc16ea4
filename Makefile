# Each target sets up what it needs in a virtual environment: .venv, or the one named by VENV=.
# Nothing but Python >= 3.10 and pip has to be there; packages are installed again only when the
# file in requirements/ has changed.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

PY := $(VENV)/bin/python
PIP := "$(PY)" -m pip --disable-pip-version-check --quiet
# files of tests at a time, one a core; the order is kept, since the slowest file is none of the last
PARALLEL := --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
CHECKED := $(wildcard $(addprefix mmwsss/,ops datasets apis))

# threads that wait in a loop make a training 10 times slower when a core is shared with anything
export OMP_WAIT_POLICY ?= PASSIVE
# python -m puts the checkout first, its children need to be told
export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))

.DEFAULT_GOAL := help
IMAGES ?=
LABELS ?=

.PHONY: help demo photographs test coverage lint docs package venv env env-lint env-docs env-package

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' Makefile
	@echo 'VENV=folder of the environment (.venv), PYTHON=interpreter, ARGS=further arguments'

# two processes, one a core; on a machine with one GPU they would fight over it
demo: env  ## draw Emblems, run the whole pipeline on it, write its report (15 minutes, 2 cores)
	CUDA_VISIBLE_DEVICES= PYTHON="$(PY)" tools/dist_pipeline.sh \
		configs/pipelines/seam_r38-tiny_emblems.py 2 --work-dir work_dirs/demo $(ARGS)

photographs: env  ## learn to segment from IMAGES=folder and their tags LABELS=file
	@test -n "$(IMAGES)" && test -n "$(LABELS)" || { \
		echo 'Name your photographs and their tags: make photographs IMAGES=folder LABELS=tags.csv' >&2; \
		exit 2; }
	"$(PY)" tools/run_pipeline.py --images "$(IMAGES)" --labels "$(LABELS)" $(ARGS)

test: env  ## run the test suite
	"$(PY)" -m pytest -q --durations=10 $(PARALLEL) $(ARGS)

# tracing takes as long again as the tests
coverage: env  ## run the test suite, which has to cover 90 % of the package
	"$(PY)" -m pytest -q $(PARALLEL) --cov=mmwsss --cov-report=term:skip-covered --cov-fail-under=90

lint: env-lint  ## check style, spelling and types
	"$(PY)" -m ruff check .
	"$(PY)" -m ruff format --check .
	"$(PY)" -m codespell_lib .
	"$(PY)" -m mypy $(CHECKED)

docs: env-docs  ## build the documentation into docs/_build/html
	"$(PY)" -m sphinx -W --keep-going -q -b html docs docs/_build/html

package: env-package  ## build sdist and wheel into dist/
	"$(PY)" -m build --no-isolation $(ARGS) .

# $(call install,NAME): install requirements/NAME.txt unless the environment was made from it
define install
	@cmp -s requirements/$(1).txt "$(VENV)/.$(1).txt" || { \
		echo "Installing requirements/$(1).txt into $(VENV)" && \
		$(PIP) install -r requirements/$(1).txt && \
		cp requirements/$(1).txt "$(VENV)/.$(1).txt"; }
endef

# Debian ships venv without ensurepip: pip then comes from the pip outside
venv:
	@test -x "$(PY)" || "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo 'mmwsss needs Python >= 3.10; name one with PYTHON=' >&2; exit 1; }
	@test -x "$(PY)" && "$(PY)" -m pip --version >/dev/null 2>&1 || \
		"$(PYTHON)" -m venv "$(VENV)" >/dev/null 2>&1 || { \
		"$(PYTHON)" -m venv --clear --without-pip "$(VENV)" && \
		"$(PYTHON)" -m pip --python "$(PY)" install --quiet pip; }

env: venv
	$(call install,onedl)
	@test -e "$(VENV)/.mmwsss" && cmp -s setup.py "$(VENV)/.mmwsss" || { \
		$(PIP) install --no-deps --no-build-isolation -e . && cp setup.py "$(VENV)/.mmwsss"; }

env-lint: env
	$(call install,lint)

env-docs: env
	$(call install,docs)

env-package: venv
	$(call install,package)
