# Everything a reader or CI does with this project. `make help` lists it.

CARGO ?= cargo
ARGS ?=

.DEFAULT_GOAL := check
.PHONY: help run run-split check lint fmt proto-lint test test-setup deny clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Start the whole mesh in one process: http://127.0.0.1:8000 (ARGS="--listen ...")
	$(CARGO) run --package malla-launcher --bin malla -- run $(ARGS)

run-split: ## Start each service as its own process, with the edge in front; Ctrl-C stops them all
	$(CARGO) build --package malla-launcher --bin malla
	deploy/run-split

check: lint test ## What CI does: lint and test

lint: proto-lint ## Formatting, clippy without warnings, and the contracts' lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Format the code
	$(CARGO) fmt --all

proto-lint: ## buf lint STANDARD + COMMENTS over proto/ (fetched from PyPI or npm; skipped loudly without either)
	tests/buf-lint

test: test-setup ## Set up what the tests need, and run them all
	$(CARGO) test --workspace --locked

test-setup: ## Install the browser the page tests drive, where missing and possible
	tests/setup

deny: ## Licences, duplicate versions, one TLS provider (needs cargo-deny)
	$(CARGO) deny check bans licenses sources

clean: ## Remove what was built; the data dir stays
	$(CARGO) clean
