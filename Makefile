# Both targets do all of their own set-up: a virtual environment in this folder, and, where this
# is Debian, the user is root and they are missing, the packages of the system.
#
#   make demo    a first capture on the simulated rig, verified
#   make test    everything that CI checks
#   make bench   the benchmarks, half an hour
#   make accuracy    docs/accuracy.md made anew, a quarter of an hour
#   make soak HOURS=8 SOAK="--faults --seed 1"    records for hours, and checks every take

PYTHON ?= python3
VENV ?= .venv
DEMO ?= datasets/quickstart
HOURS ?= 1
BIN := $(VENV)/bin
JOBS ?= 2

# PortAudio and JACK's dummy driver are the real audio path; the songs are real music; a file system
# of its own (e2fsprogs, mount, util-linux) can be frozen, as a disk that stalls, filled or shut
# down; libfaketime sets a program's clock back; torchcodec, by which Hugging Face's `datasets` reads
# audio, needs FFmpeg.
APT_DEMO := python3-venv
APT_TEST := python3-venv libportaudio2 jackd2 singularity-music e2fsprogs libfaketime mount util-linux flac ffmpeg

.PHONY: demo test lint unit real bench accuracy soak clean

demo: $(VENV)/.installed
	$(BIN)/capture run quickstart --out $(DEMO)
	$(BIN)/capture verify $(DEMO)
	@echo "The dataset is in $(DEMO): manifest/takes.csv lists every take."

test: lint unit real

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

# What needs JACK runs by itself: the machine's load is heard there. Faster than real time comes
# first, and alone; so does what keeps the machine busy on purpose. The rest mostly waits.
ALONE := tests/jack/test_freewheel.py tests/jack/test_calibrated.py tests/jack/test_real_time.py
REAL := tests/docs/test_jack_page.py tests/jack tests/rack tests/contract

unit: $(VENV)/.installed-dev $(VENV)/peers
	$(BIN)/pytest -q -n $(JOBS) --dist loadscope --durations=40 $(addprefix --ignore=,$(REAL))

real: $(VENV)/.installed-dev
	$(BIN)/pytest -q -s $(ALONE)
	$(BIN)/pytest -q -n 3 --dist loadscope --durations=10 $(REAL) \
		$(addprefix --ignore=,$(ALONE))

bench: $(VENV)/.installed-dev
	$(BIN)/pytest -q -s tests/benchmarks --benchmark-enable --benchmark-only

accuracy: $(VENV)/.installed-dev
	$(BIN)/python -m tests.accuracy

soak: $(VENV)/.installed-dev
	$(BIN)/python -m tests.soak.soak --hours $(HOURS) $(SOAK)

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

# A Marlin printer that was not written here: OctoPrint's virtual one, and what it imports. All of
# OctoPrint would hold other packages back, so it lives in a folder of its own.
$(VENV)/peers: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ OctoPrint
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $@ \
		frozendict more-itertools netaddr PyYAML requests Werkzeug

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
