# Everything from a fresh checkout: each target sets up what it needs.
# Needed beforehand: make and a Python from 3.11 on with venv. PYTHON=/path/to/python3 picks another one.

VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCKED  := $(PIP) --require-hashes --no-deps --only-binary :all:
JOBS    ?= 2
TESTS   ?=
ARGS    ?=
ONLY    ?=
JSON    ?=
UPGRADE ?=
PYTEST  := $(BIN)/python -m pytest
BROWSER  = $(shell for b in "$$CHROMIUM" chromium chromium-browser google-chrome; do command -v "$$b" 2>/dev/null && break; done)
WITHOUT  = $(if $(BROWSER),, and not browser)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: setup demo test check bench serve clean help lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.dev ## build .venv from the locked, hashed lists: node, tests and checks

demo: $(VENV)/.runtime ## run the main journey and leave the node up; ARGS="--once --json" for a script
	$(BIN)/xyd demo $(ARGS)

serve: $(VENV)/.runtime ## run the node; ARGS="--config deploy/node.toml"
	$(BIN)/xyd serve $(ARGS)

test: $(VENV)/.dev ## run the tests; TESTS=tests/consent for a part, JOBS=2 processes
	@status=0; export CHROMIUM="$(BROWSER)"; \
	echo "== serial tests"; \
	$(PYTEST) -q -m "serial$(WITHOUT)" $(TESTS) || { s=$$?; [ $$s -eq 5 ] || status=$$s; }; \
	echo "== all other tests, $(JOBS) processes"; \
	$(PYTEST) -q -n $(JOBS) -m "not serial$(WITHOUT)" $(TESTS) || status=$$?; \
	if [ -z "$(BROWSER)" ]; then \
	  echo "LEFT OUT: browser tests (no chromium found): $$($(PYTEST) --collect-only -q -m browser $(TESTS) 2>/dev/null | grep -c '::') tests"; \
	fi; \
	exit $$status

check: $(VENV)/.dev ## format, lint, types, import contracts, dead code, the rules of the house
	@sh deploy/check.sh

bench: $(VENV)/.dev ## measure; ONLY=area for one area, JSON=1 for a machine
	$(BIN)/python -m tests.load.bench $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json) $(ARGS)

lock: $(VENV)/.lock ## pin what pyproject.toml names, keeping present pins; UPGRADE="-P name" or -U moves them
	@PATH="$(CURDIR)/$(VENV)/lock/bin:$$PATH" sh deploy/lock.sh $(UPGRADE)

clean: ## remove the environment, caches and build leftovers; data folders stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# ---- how the environment is made: a stamp file for each layer, made again when its list changes

$(VENV)/.python:
	@found=; for p in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11); do \
	  if "$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found="$$p"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "make: no Python from 3.11 on with venv and ensurepip was found$(if $(PYTHON), at $(PYTHON))." >&2; \
	  echo "make: install one (Debian: python3 and python3-venv) or say where it is: make PYTHON=/path/to/python3 ..." >&2; \
	  exit 1; \
	fi; \
	echo "== $$("$$found" --version) in $(VENV)"; \
	"$$found" -m venv --clear $(VENV) && touch $@

# The project itself is a path entry plus bin/xyd, made offline by the pinned setuptools.
$(VENV)/.runtime: requirements.lock pyproject.toml $(VENV)/.python
	@echo "== installing what the node runs on (requirements.lock)"
	@$(LOCKED) -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --no-index -e .
	@touch $@

# aics-tlog, one of the foreign log verifiers, declares Python 3.12 but is plain Python that runs on 3.11.
$(VENV)/.dev: requirements-dev.lock requirements-verifiers.lock $(VENV)/.runtime
	@echo "== installing what tests and checks need (requirements-dev.lock, requirements-verifiers.lock)"
	@$(LOCKED) -r requirements-dev.lock
	@$(LOCKED) --ignore-requires-python -r requirements-verifiers.lock
	@touch $@

$(VENV)/.lock: $(VENV)/.python
	@$(BIN)/python -m venv $(VENV)/lock && $(VENV)/lock/bin/python -m pip install --quiet pip-tools==7.6.2 && touch $@
