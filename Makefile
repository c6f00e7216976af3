# Two commands: `make run` (install, then open the page with the demo checkpoints) and `make test` (install, then the whole
# suite: two processes, then the browser tests, which mind company, in one).
# Needs Python 3.11 or later and make; everything else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test clean

run: $(VENV)/.installed
	@$(BIN)/sidelight serve

test: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -m "not browser" -n 2 --dist loadfile
	@$(BIN)/python -m pytest -m browser

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sidelight needs Python 3.11 or later, this is %d.%d; try: make PYTHON=python3.12 run" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Sidelight and what it needs into $(VENV) (once; several minutes on a slow line) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@

clean:
	rm -rf $(VENV)
