# Both targets do all of their own set-up: a virtual environment in this folder, and, where this
# is Debian, the user is root and they are missing, the packages of the system.
#
#   make demo    a first capture on the simulated rig, verified
#   make test    everything that CI checks
#   make bench   the benchmarks

PYTHON ?= python3
VENV ?= .venv
DEMO ?= datasets/quickstart
BIN := $(VENV)/bin
JOBS ?= 2

# PortAudio lists the audio devices; the songs are real music for the tests.
APT_DEMO := python3-venv
APT_TEST := python3-venv libportaudio2 singularity-music

.PHONY: demo test lint unit bench clean

demo: $(VENV)/.installed
	$(BIN)/capture run quickstart --out $(DEMO)
	$(BIN)/capture verify $(DEMO)
	@echo "The dataset is in $(DEMO): manifest/takes.csv lists every take."

test: lint unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/.installed-dev
	$(BIN)/pytest -q -n $(JOBS) --dist loadscope

bench: $(VENV)/.installed-dev
	$(BIN)/pytest -q -s tests/benchmarks --benchmark-enable --benchmark-only

clean:
	rm -rf $(VENV)

$(VENV)/.installed: pyproject.toml
	$(call need,$(APT_DEMO))
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml
	$(call need,$(APT_TEST))
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@ $(VENV)/.installed

# need: install the Debian packages of the list that are missing, where that is possible.
define need
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		missing=; \
		for package in $(1); do \
			dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' \
				|| missing="$$missing $$package"; \
		done; \
		if [ -n "$$missing" ]; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
				apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
		fi; \
	fi
endef
