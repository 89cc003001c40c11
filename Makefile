# Backroom. `make run` and `make test` need a python3 of 3.11 or newer and do all their set-up themselves.

ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
endif
BIN := .venv/bin

# make run PORT=8080 DATA=/somewhere/else; both optional.
LOCAL_OPTIONS = $(if $(PORT),--port $(PORT)) $(if $(DATA),--data $(DATA))
# make test TESTS=tests/domain WORKERS=2 OPTIONS='-k loyalty'; all optional. The whole is tested in two halves at once:
# what stands at the edge of the house (packages, engines, stand-ins, simulation), and the rest.
TESTS ?= tests
EDGE := $(addprefix tests/,gateways infra journeys simulation stores)
REST := $(filter-out $(EDGE) %.py %.txt %__pycache__,$(wildcard tests/*)) $(wildcard tests/test_*.py)
WORKERS ?= 0
PYTEST = $(BIN)/python -m pytest -p no:cacheprovider -q -n $(WORKERS) $(OPTIONS)

.DEFAULT_GOAL := help
.PHONY: help run demo-reset test test-long bench check lint types rooms template generated audit package lock setup clean

help:
	@echo 'make run [PORT=8080] [DATA=folder]   the shop on this machine: API, admin page and docs on one port'
	@echo 'make demo-reset [DATA=folder]        forgets what the demo shop has done'
	@echo 'make test [TESTS=tests/domain]       all tests of everyday; make test-long [SEEDS=0-20000]: the long ones'
	@echo 'make check                           style, types, rooms, template, generated files'
	@echo 'make bench                           what a rebill costs and how fast it is: docs/benchmarks.md'
	@echo 'make package [ARCH=x86_64]           the template and the zip that CloudFormation deploys, in out/'
	@echo 'make audit | lock | setup | clean    known holes; new pins; the environments; away with them'

# --- running -----------------------------------------------------------------------------------------------------------

run: .venv/local
	@$(BIN)/python -m infra.local $(LOCAL_OPTIONS)

demo-reset: .venv/local
	$(BIN)/python -m infra.local --reset $(if $(DATA),--data $(DATA))

# --- testing -----------------------------------------------------------------------------------------------------------

test: setup
ifeq ($(TESTS),tests)
	$(PYTEST) $(REST) & rest=$$!; $(PYTEST) $(EDGE); edge=$$?; wait $$rest && exit $$edge
else
	$(PYTEST) $(TESTS)
endif

# A range of seeds is a part of the worlds: so a long run can be taken up again.
test-long: setup
	$(if $(SEEDS),SEEDS=$(SEEDS) )$(PYTEST) -m long --timeout=4800 $(TESTS)

bench: setup
	$(BIN)/python -m tests.bench

# --- checking ----------------------------------------------------------------------------------------------------------

check: lint types rooms template generated

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy --strict $(wildcard app.py) chalicelib $(if $(wildcard infra/*.py),infra)

rooms: .venv/dev
	$(BIN)/lint-imports --no-logo

# Whole templates say this word; a part that is merged into one is looked at where it is whole.
TEMPLATES = $(shell grep -ls AWSTemplateFormatVersion infra/*.json infra/*.yaml)
template: .venv/dev
	$(if $(TEMPLATES),$(BIN)/cfn-lint $(TEMPLATES),@echo 'cfn-lint: no template yet')

generated: .venv/dev
	$(if $(wildcard infra/generate.py),$(BIN)/python -m infra.generate --check,@echo 'infra.generate: no generated files yet')

# Needs the network, so it is no part of `check`.
audit: .venv/dev
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements.txt

# --- deploying ---------------------------------------------------------------------------------------------------------

package: .venv/dev
	$(BIN)/python -m infra.package out $(if $(ARCH),--arch $(ARCH))

# --- setting up --------------------------------------------------------------------------------------------------------
#
# .venv holds what the functions need and Chalice (requirements-local.txt); testing and checking extend it
# (requirements-dev.txt holds all of the former). A stamp in an environment is a copy of the lock that was installed.

setup: .venv/dev .venv-ministack/ministack

.venv/local: requirements-local.txt FORCE
	$(call install,.venv,$<,$@)

.venv/dev: requirements-dev.txt FORCE
	$(call install,.venv,$<,$@)
	@cp requirements-local.txt .venv/local

.venv-ministack/ministack: requirements-ministack.txt FORCE
	$(call install,.venv-ministack,$<,$@)

FORCE:

# environment, lock, stamp
define install
	@cmp -s $(2) $(3) && $(1)/bin/python -c '' 2>/dev/null || { \
	  $(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo 'Backroom needs Python 3.11 or newer. Where it has another name: make $(MAKECMDGOALS) PYTHON=/path/to/it' >&2; \
	    exit 1; }; \
	  echo 'Setting up $(1) from $(2): a minute or two, once.'; rm -f $(1)/local $(1)/dev $(1)/ministack; \
	  { $(1)/bin/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(1); } || { \
	    echo '$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }; \
	  $(1)/bin/python -m pip install -qq --no-input --disable-pip-version-check -r $(2) || { \
	    echo 'A package of $(2) cannot be had; what pip says stands above. Where there is no way to the' >&2; \
	    echo 'package index, set PIP_INDEX_URL (a mirror) or PIP_FIND_LINKS (a folder of wheels), and try again.' >&2; exit 1; }; \
	  cp $(2) $(3); }
endef

# Pins, with the hashes of every platform's files; new versions with UPGRADE=--upgrade. Each lock holds the one before
# it at the same versions. Make them with Python 3.11, the oldest: what only the oldest needs is no harm to the others.
LOCKS := requirements requirements-local requirements-dev requirements-ministack
lock: .venv/dev
	for lock in $(LOCKS); do \
	  PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet \
	    --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
	    --no-emit-trusted-host --no-emit-options $(UPGRADE) --output-file $$lock.txt $$lock.in || exit 1; \
	done

clean:
	rm -rf .venv .venv-ministack .venv-package .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis out
	find app.py chalicelib infra tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
