# Needs Python 3.11 or later and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test lint check format bench bench-uploads chaos chaos-ai screenshots coverage smoke-test \
	secrets backup restore proto lock help clean

run: $(VENV)/dev.stamp ## Start everything in the foreground; Ctrl-C stops it
	@exec $(BIN)/python -m config.local.run

test: $(VENV)/test.stamp ## The whole suite, in parallel, on servers and data of its own
	$(BIN)/pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/test.stamp ## Format, style, imports, types, migrations, deployment checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy config common accounts catalog notes uploads posts
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py lock_migrations --check
	$(BIN)/python -m config.deploy_check

chaos-ai: $(VENV)/test.stamp ## The cost ledger over 1,000 calls, with workers killed at random
	CHAOS_CALLS=1000 $(BIN)/pytest notes/tests/test_ledger_chaos.py --quiet --capture=no

bench: $(VENV)/bench.stamp ## Speed as ratios, side by side; see benchmarks/README.md
	$(BIN)/python -m benchmarks.catalog $(BENCH)

bench-uploads: $(VENV)/bench.stamp ## Sessions side by side with rclone, which has to be installed
	$(BIN)/python -m benchmarks.uploads $(BENCH)

chaos: $(VENV)/test.stamp ## Kills, large files and large trees: minutes, and 5 GB of disk
	$(BIN)/pytest uploads/tests/chaos.py --capture=no

screenshots: $(VENV)/bench.stamp ## Pictures of what runs at BASE for the README; needs Chromium
	$(BIN)/python docs/screenshots.py $(TO)

coverage: $(VENV)/test.stamp ## The suite, and what of the code it reaches (var/coverage/)
	$(BIN)/coverage run -m pytest --numprocesses 2 --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet --directory var/coverage
	$(BIN)/coverage report --skip-covered --fail-under 90

smoke-test: $(VENV)/dev.stamp ## Run what the production containers run, without containers
	PYTHONPATH=. $(BIN)/python docker/smoke_test.py

secrets: ## Make the secrets of docker/compose.prod.yaml that are missing
	docker/secrets.sh

backup: $(VENV)/dev.stamp ## All rows and files into one file below var/backups/, or into FILE
	$(BIN)/python manage.py backup $(FILE)

restore: $(VENV)/dev.stamp ## FILE in the place of what is there, with REPLACE=1 whatever is there
	$(BIN)/python manage.py migrate --verbosity 0
	$(BIN)/python manage.py restore $(FILE) $(if $(REPLACE),--replace)

format: $(VENV)/test.stamp ## Put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

PROTO_OUT := .
define GENERATED
# Made by `make proto`.
# mypy: ignore-errors
# ruff: noqa
# fmt: off
endef
export GENERATED

proto: $(VENV)/test.stamp ## Make the gRPC code from auth.proto
	$(BIN)/python -m grpc_tools.protoc -I . --python_out=$(PROTO_OUT) --pyi_out=$(PROTO_OUT) \
		--grpc_python_out=$(PROTO_OUT) accounts/grpc/auth.proto
	@cd $(PROTO_OUT)/accounts/grpc && for made in auth_pb2.pyi auth_pb2_grpc.py; do \
		(echo "$$GENERATED"; cat $$made) > $$made.new && mv $$made.new $$made || exit; \
	done

lock: ## Compile requirements/*.in into locked requirements/*.txt (needs uv)
	cd requirements && for name in base dev test bench flower; do \
		uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
			--no-emit-index-url --custom-compile-command "make lock" --quiet $$name.in -o $$name.txt; \
	done

help: ## What there is to make
	@sed -nE 's/^([a-z-]+):.* ## (.*)/\1\t\2/p' Makefile | expand -t 16

clean: ## Remove the environment and all local data
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

$(VENV)/bench.stamp: requirements/bench.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes --requirement $<
	@touch $@
