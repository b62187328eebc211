# `make run` starts the product with a demo, `make test` checks everything. Both install what they need first.

PY := .venv/bin/python
SOURCES := console integrations tests manage.py
COMPILE := --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

.PHONY: run test install lint format types imports templates migrations tests chromium rabbitmq bench screenshots lock clean

run: install
	@$(PY) -m console.launch

test: install lint format types imports templates migrations tests

install:
	@PYTHON="$(PYTHON)" bin/install

lint: install
	$(PY) -m ruff check $(SOURCES)

format: install
	$(PY) -m ruff format --check $(SOURCES)

types: install
	$(PY) -m mypy

imports: install
	.venv/bin/lint-imports --no-cache

templates: install
	$(PY) -m djlint templates --lint --quiet

migrations: install
	DATA_DIR=build/migrations $(PY) -m console.embedded $(PY) manage.py makemigrations --check --dry-run

tests: install chromium rabbitmq
	$(PY) -m pytest -p tests.servers

chromium:
	@bin/chromium

rabbitmq:
	@bin/rabbitmq

bench: install
	$(PY) -m tests.benchmarks

screenshots: install chromium
	$(PY) -m tests.screenshots

# Pins what requirements.in asks for, newest first, without the addresses the packages came from.
lock:
	$(or $(PYTHON),python3.11) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check pip-tools
	build/lock/bin/python -m piptools compile --upgrade $(COMPILE) --output-file build/requirements.lock requirements.in
	grep -E '^[A-Za-z0-9]|^    --hash=' build/requirements.lock > requirements.lock

# Begins anew: the embedded database in .data goes too.
clean:
	@! kill -0 $$(head -n 1 .data/postgres/data/postmaster.pid 2>/dev/null) 2>/dev/null || { echo "The console runs in .data: stop it first." >&2; exit 1; }
	rm -rf build .venv .data .mypy_cache .ruff_cache .import_linter_cache .hypothesis .pytest_cache
	find $(wildcard console integrations tests) -name __pycache__ -type d -prune -exec rm -rf {} +
