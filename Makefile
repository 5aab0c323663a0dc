# Two commands do everything: `make up` runs the platform, `make test` proves it.
# Both can be called again at any time; both install what they lack from the system's package registry.

CARGO_TARGET_DIR ?= $(HOME)/.cache/klatch/target
export CARGO_TARGET_DIR
DATA ?= klatch-data
LISTEN ?= 127.0.0.1:8480
FUZZ_SECONDS ?= 60
WEB := workloads/web

.PHONY: help up up-real web test check format fuzz bench clean tools

help:
	@echo 'make up      build and run the platform on $(LISTEN), data in $(DATA)/ (DATA=, LISTEN= change that)'
	@echo 'make up-real the same on PostgreSQL, RabbitMQ, Redis and HAProxy, workloads as processes of their own, data in $(DATA)-real/'
	@echo 'make web     build the web client alone, into $(WEB)/dist'
	@echo 'make test    build and run every test'
	@echo 'make check   format and lints'
	@echo 'make fuzz    run every fuzz target for $(FUZZ_SECONDS) s (FUZZ_SECONDS= changes that)'
	@echo 'make bench   release build, then the whole table of figures (some 10 minutes)'

# What a fresh machine may lack: a C compiler (SQLite, aws-lc), and strace, which one test watches the disk with.
tools:
	@for tool in cc strace; do \
	  command -v $$tool >/dev/null || missing="$$missing $$( [ $$tool = cc ] && echo gcc libc6-dev || echo $$tool )"; \
	done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; apt-get update -qq && apt-get install -y -qq $$missing; fi
	@command -v cargo >/dev/null || { echo 'cargo is missing: install Rust 1.95.0 with rustup, then call make again'; exit 1; }

up: tools
	@echo '[1/3] building klatch (a first build takes some minutes, the next ones seconds)'
	@cargo build --profile up -p klatch
	@echo '[2/3] building the web client'
	@$(MAKE) --no-print-directory web
	@echo '[3/3] starting it; stop it with Ctrl+C, start it again with make up: the data stays in $(DATA)/'
	@exec $(CARGO_TARGET_DIR)/up/klatch up --data $(DATA) --listen $(LISTEN) --web $(WEB)/dist

# What it needs beside: apt-get names it when it is missing.
up-real: tools
	@for tool in postgresql rabbitmq-server redis-server haproxy; do \
	  dpkg -s $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; \
	done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; fi
	@cargo build --profile up -p klatch
	@$(MAKE) --no-print-directory web
	@exec tests/up-real $(CARGO_TARGET_DIR)/up/klatch $(DATA)-real $(lastword $(subst :, ,$(LISTEN))) $(WEB)/dist

# Built again only when something of it has changed.
web: $(WEB)/dist/index.html

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(shell find $(WEB)/src $(WEB)/public -type f) $(addprefix $(WEB)/,index.html vite.config.ts compress.mjs tsconfig.json)
	@cd $(WEB) && npm run --silent build

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	@command -v npm >/dev/null || { echo 'npm is missing: install Node 20.19 or newer, then call make again'; exit 1; }
	@cd $(WEB) && npm ci --silent && touch node_modules/.package-lock.json

test: tools
	@echo '[1/5] building the klatch binary that the tests start'
	@cargo build -p klatch
	@echo '[2/5] building the tests'
	@cargo test --workspace --no-run
	@echo '[3/5] running them'
	@cargo test --workspace --no-fail-fast
	@echo '[4/5] building the web client'
	@$(MAKE) --no-print-directory web
	@echo '[5/5] running its tests'
	@cd $(WEB) && npm test --silent
	@echo 'All tests passed. Next: make up, and say the first word.'

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings

format:
	cargo fmt --all

fuzz:
	tests/fuzz/run $(FUZZ_SECONDS)

bench: tools
	cargo build --release -p klatch
	$(CARGO_TARGET_DIR)/release/klatch bench all

clean:
	rm -rf $(CARGO_TARGET_DIR)
