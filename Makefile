# make demo       a picture from the bundled model (sets up .venv first)
# make test       lint, types and the whole test suite (sets up what they need first)
# make soak       what takes an hour: servers killed again and again, at any point, under long load
# make lint       ruff and mypy alone
# make format     rewrite the sources as `make lint` wants them
# make benchmark  measure the engine
# make clean      remove what make made, .venv too
#
# PYTHON       the interpreter that .venv is made with (found if not given; 3.11 or newer)
# TORCH_INDEX  the address of a further package index for torch: PyTorch has one for the CPU and one for each CUDA version
# PYTEST       options for pytest, such as PYTEST="-m 'not slow'"

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --no-input --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
TEST_PLUGINS := $(wildcard tests/plugins/*/pyproject.toml)

# The first of these that is new enough and can make an environment. 3.13 and later come last: instant-clip-tokenizer
# has no wheel for them.
SUITABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, int(sys.argv[1])))
PYTHON ?= $(shell for limit in 13 99; do for python in python3 python3.12 python3.11 python3.13 python3.14 python; do \
	if $$python -c '$(SUITABLE)' $$limit >/dev/null 2>&1; then echo $$python; exit; fi; done; done)

.PHONY: help demo test soak lint format benchmark clean
.DELETE_ON_ERROR:

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

demo: .make/runtime
	$(BIN)/nodegraph run workflows/text_to_image.json --output output

test: lint .make/plugins .make/typescript .make/chromium
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(PYTEST)

soak: .make/plugins
	$(BIN)/python -m pytest -m soak --durations=0 --log-cli-level=INFO $(PYTEST)

lint: .make/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .make/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

benchmark: .make/runtime
	$(BIN)/python tests/benchmarks/engine.py

clean:
	rm -rf $(VENV) .make build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf tests/plugins/*/build tests/plugins/*/*.egg-info
	find nodegraph nodes tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer with venv was found" \
		"(on Debian and Ubuntu: apt install python3-venv); name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Each step is done again when what it reads has changed, or when .venv is new. CLIP's vocabulary comes with
# instant-clip-tokenizer; where that has no wheel, with open_clip_torch, of which only that one file is used.
.make/runtime: pyproject.toml constraints.txt $(VENV)/pyvenv.cfg
	@mkdir -p .make
	$(INSTALL) --editable .
	@$(BIN)/python -c 'import instant_clip_tokenizer' 2>/dev/null || $(INSTALL) --no-deps open_clip_torch
	@touch $@

.make/dev: .make/runtime
	$(INSTALL) --editable '.[dev]'
	$(INSTALL) --no-deps k-diffusion
	@touch $@

# Real packages with real entry points, for the tests of plugins: one good, one broken.
.make/plugins: .make/dev $(TEST_PLUGINS)
	$(INSTALL) --no-deps --no-build-isolation $(foreach file,$(TEST_PLUGINS),--editable $(dir $(file)))
	@touch $@

# The editor's tests want TypeScript, which npm has, and a browser; node itself comes with playwright. Where one of them
# cannot be had, its tests are skipped and tell so.
.make/typescript:
	@mkdir -p .make
	@if command -v npm >/dev/null; \
	then npm install --prefix .make --no-save --no-audit --no-fund typescript@7.0.2 && touch $@ \
	|| echo "make: npm did not get TypeScript: the types of web/ are not checked" >&2; \
	else echo "make: the types of web/ are not checked: there is no npm (apt install npm)" >&2; fi

.make/chromium:
	@mkdir -p .make
	@if { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; then touch $@; \
	elif test "$$(id -u)" = 0 && command -v apt-get >/dev/null; \
	then { apt-get install -y chromium || { apt-get update && apt-get install -y chromium; }; } >/dev/null && touch $@ \
	|| echo "make: no tests in a browser: Chromium was not installed" >&2; \
	else echo "make: no tests in a browser: there is no Chromium (apt install chromium)" >&2; fi
