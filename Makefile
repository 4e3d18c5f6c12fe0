# Needs Python 3.11 or later and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without bytecode files every process compiles the code again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run dev shell test t fast lint format hooks bench bench-events bench-imports bench-search bench-smart bench-uploads bench-fairness attack \
	attack-tests schemathesis clients chaos chaos-ai chaos-imports chaos-live chaos-notes chaos-servers screenshots coverage smoke-test secrets \
	backup restore proto lock help clean

run: $(VENV)/dev.stamp ## Start everything in the foreground; Ctrl-C stops it
	@exec $(BIN)/python -m config.local.run

dev: $(VENV)/test.stamp ## Run with auto-reload; breakpoint() stops here (in a worker: TERMINAL=worker)
	@exec $(BIN)/python -m config.local.run dev $(or $(TERMINAL),web)

shell: $(VENV)/test.stamp ## A Python shell with Django and the models loaded
	@$(BIN)/python manage.py shell

# Three processes on two cores: some tests wait for workers and leases.
test: $(VENV)/test.stamp ## The whole suite, in parallel, on servers and data of its own
	$(BIN)/pytest --numprocesses 3 --dist loadfile

t: $(VENV)/test.stamp ## Some tests: make t ARGS="notes/tests/test_notes_api.py -k search"
	@$(BIN)/pytest --quiet --durations=0 --durations-min=1 $(ARGS)

fast: $(VENV)/test.stamp ## The tests that need no database, in seconds
	@$(BIN)/pytest --quiet -m unit $(ARGS)

lint: $(VENV)/test.stamp ## Format, style, imports, types, migrations, deployment checks
	$(BIN)/python manage.py lock_migrations --check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy config common accounts catalog notes uploads posts integrations docker
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m config.deploy_check

format: $(VENV)/test.stamp ## Format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

hooks: $(VENV)/test.stamp ## Check each commit with ruff and lint-imports (pre-commit)
	$(BIN)/pre-commit install

bench: $(VENV)/bench.stamp ## Speed as ratios, side by side; see benchmarks/README.md
	$(BIN)/python -m benchmarks.catalog $(BENCH)

bench-search: $(VENV)/bench.stamp ## Quality and speed of search on a real catalogue (BENCH="--data FOLDER")
	$(BIN)/python -m benchmarks.search_quality $(BENCH)

bench-smart: $(VENV)/bench.stamp ## Quality of search by meaning, and of smart search on a catalogue (BENCH=FOLDER)
	$(BIN)/python -m benchmarks.smart_search $(BENCH)

bench-uploads: $(VENV)/bench.stamp ## Upload sessions side by side with rclone, which must be installed
	$(BIN)/python -m benchmarks.uploads $(BENCH)

bench-imports: $(VENV)/bench.stamp ## Import and export of products: rows and MB per second, and memory
	$(BIN)/python -m benchmarks.imports $(BENCH)

bench-fairness: $(VENV)/bench.stamp ## What one company's 1,000 queued jobs cost another, with real workers
	$(BIN)/python -m benchmarks.fairness --claims $(BENCH)

bench-events: $(VENV)/bench.stamp ## What recording an event costs a request
	$(BIN)/python -m benchmarks.events $(BENCH)

attack: $(VENV)/test.stamp ## Attack a server, and compare its answers with those of an idle one (SHORT=1)
	$(BIN)/python -m benchmarks.attack $(if $(SHORT),--short)
	$(BIN)/python -m benchmarks.fairness $(if $(SHORT),--queued 200 --rounds 7 --max-ratio 4)

attack-tests: $(VENV)/test.stamp ## Hostile texts, documents and settings, secrets in logs, and clients that fill the memory of Valkey: a minute
	$(BIN)/pytest common/tests/attack_*.py config/tests/attack_*.py --quiet

schemathesis: $(VENV)/contract.stamp ## Test a server against its schema, in all roles (SHORT=1)
	$(BIN)/python -m clients.check_contract $(if $(SHORT),--short)

clients: $(VENV)/contract.stamp ## Generate Python and TypeScript clients, compile them, make all calls
	$(BIN)/python -m clients.check_clients

chaos: $(VENV)/test.stamp ## Kill uploads, send large files and trees: minutes, and 5 GB of disk
	$(BIN)/pytest uploads/tests/chaos.py --capture=no

chaos-notes: $(VENV)/test.stamp ## Kill and stop workers and brokers while notes are summarised: a minute
	$(BIN)/pytest notes/tests/chaos.py notes/tests/chaos_ledger.py --quiet

chaos-imports: $(VENV)/test.stamp ## Kill workers while products are imported and changed: a minute (SHORT=1)
	$(BIN)/pytest catalog/tests/chaos_imports.py --quiet $(if $(SHORT),-k killed)

chaos-live: $(VENV)/test.stamp ## A thousand live streams; kill their process, Valkey and logins: a minute
	$(BIN)/pytest integrations/tests/chaos_live.py --quiet

chaos-servers: $(VENV)/test.stamp ## Kill and stop the servers of a clone, workers, brokers and restores: a minute
	$(BIN)/pytest config/tests/chaos_*.py common/tests/chaos_*.py uploads/tests/chaos_*.py --quiet

chaos-ai: $(VENV)/test.stamp ## Check the AI cost ledger over 1,000 calls while workers are killed
	CHAOS_CALLS=1000 $(BIN)/pytest notes/tests/chaos_ledger.py --quiet --capture=no

screenshots: $(VENV)/bench.stamp ## Take the README's pictures of what runs at BASE; needs Chromium
	$(BIN)/python docs/screenshots.py $(TO)

coverage: $(VENV)/test.stamp ## The suite, and which code it reaches (var/coverage/)
	$(BIN)/coverage run -m pytest --numprocesses 3 --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet --directory var/coverage
	$(BIN)/coverage report --skip-covered --fail-under 90

smoke-test: $(VENV)/dev.stamp ## Run the commands of the production containers, without containers
	PYTHONPATH=. $(BIN)/python docker/smoke_test.py

secrets: ## Create the missing secrets of docker/compose.prod.yaml
	docker/secrets.sh

backup: $(VENV)/dev.stamp ## Back up all rows and files to var/backups/, or to FILE
	$(BIN)/python manage.py backup $(FILE)

restore: $(VENV)/dev.stamp ## Restore FILE into an empty installation, or with REPLACE=1 over this one
	$(BIN)/python manage.py migrate --verbosity 0
	$(BIN)/python manage.py restore $(FILE) $(if $(REPLACE),--replace)

PROTO_OUT := .
define GENERATED
# Generated by `make proto`.
# mypy: ignore-errors
# ruff: noqa
# fmt: off
endef
export GENERATED

proto: $(VENV)/test.stamp ## Generate the gRPC code from auth.proto
	$(BIN)/python -m grpc_tools.protoc -I . --python_out=$(PROTO_OUT) --pyi_out=$(PROTO_OUT) \
		--grpc_python_out=$(PROTO_OUT) accounts/grpc/auth.proto
	@cd $(PROTO_OUT)/accounts/grpc && for file in auth_pb2.pyi auth_pb2_grpc.py; do \
		(echo "$$GENERATED"; cat $$file) > $$file.new && mv $$file.new $$file || exit; \
	done

lock: $(VENV)/test.stamp ## Compile requirements/*.in into the locked requirements/*.txt
	cd requirements && for name in base dev test bench contract flower; do \
		../$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
			--no-emit-index-url --custom-compile-command "make lock" --quiet $$name.in -o $$name.txt; \
	done

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.* ## (.*)/\1\t\2/p' Makefile | expand -t 16

clean: ## Remove the virtual environment and all local data
	rm -rf $(VENV) var

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Bureau needs Python 3.11 or later; set PYTHON to one.")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/dev.stamp: requirements/dev.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes --requirement $<
	@touch $@

$(VENV)/test.stamp: requirements/test.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes --requirement $<
	@touch $@ $(VENV)/dev.stamp

$(VENV)/contract.stamp: requirements/contract.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes --requirement $<
	@touch $@ $(VENV)/test.stamp $(VENV)/dev.stamp

$(VENV)/bench.stamp: requirements/bench.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes --requirement $<
	@touch $@
