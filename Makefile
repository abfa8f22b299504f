# make demo: install, train two teachers and a robust student on digits, print the table.
# make test: install and run the tests.
# make test-oldest, make test-newest: the tests with the oldest and the newest versions that the
# requirements allow, in environments of their own.
# make docs: install, run the notebooks, build the site into site/, check its links.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-oldest test-newest lint docs clean

# Rebuilt when the requirements change.
$(VENV)/installed: pyproject.toml setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "jaxrkd needs Python 3.11 to 3.13; this is " + sys.version.split()[0] + ": set PYTHON, as in make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/tested: $(VENV)/installed Makefile
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .[test]
	# Alone: it pins old versions of packages that only its other tools use.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps litert-converter==0.5.0
	touch $@

demo: $(VENV)/installed
	$(BIN)/python launch/main.py --config=configs/mtard_digits.py --workdir=runs/mtard_digits

test: $(VENV)/tested
	$(BIN)/python -m pytest -W error -n auto --maxprocesses 4 --dist worksteal

$(VENV)/documented: $(VENV)/installed Makefile
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .[docs]
	touch $@

# Warnings of old versions speak of themselves.
OLDEST := $(VENV)-oldest/bin
test-oldest:
	$(PYTHON) -m venv $(VENV)-oldest
	$(OLDEST)/pip install --quiet --disable-pip-version-check uv
	$(OLDEST)/uv pip install --quiet --python $(OLDEST)/python --resolution lowest-direct -e .[test]
	$(OLDEST)/uv pip install --quiet --python $(OLDEST)/python --no-deps litert-converter==0.5.0
	$(OLDEST)/python -m pytest -W default -n auto --maxprocesses 4 --dist worksteal

NEWEST := $(VENV)-newest/bin
test-newest:
	$(PYTHON) -m venv $(VENV)-newest
	$(NEWEST)/pip install --quiet --disable-pip-version-check --upgrade -e .[test]
	$(NEWEST)/pip install --quiet --disable-pip-version-check --no-deps litert-converter==0.5.0
	$(NEWEST)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

# Its warning speaks of tools, not of these pages.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/documented
	$(BIN)/python docs/hooks/notebooks.py
	$(BIN)/mkdocs build --quiet --strict
	$(BIN)/python docs/hooks/links.py site

lint: $(VENV)/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest runs site *.egg-info
