# Two commands do everything: `make up` runs the platform, `make test` proves it.
# Both can be called again at any time; both install what they lack from the system's package registry, but for Rust, Node and Go:
# whoever lacks one of these is told so first.

CARGO_TARGET_DIR ?= $(HOME)/.cache/klatch/target
export CARGO_TARGET_DIR
DATA ?= klatch-data
LISTEN ?= 127.0.0.1:8480
FUZZ_SECONDS ?= 60
EPISODES ?= 20
# Tests of the tier `kube_*` at a time: more than cores, for they mostly wait for leases, watches and stages.
KUBE_TESTS_AT_ONCE ?= 4
# Of `make cluster`: where it keeps its state, and the port of this machine that leads in.
CLUSTER ?= $(HOME)/.cache/klatch/cluster
CLUSTER_PORT ?= 8443
# Whose PostgreSQL, RabbitMQ, Redis and balancers the tests start: `majors`, those of tests/majors, or `system`, this machine's.
KLATCH_SERVICES ?= majors
WEB := workloads/web

.PHONY: help up up-real web test check format fuzz bench bench-real bench-instructions clean tools npm go browser services machine-services kube node test-cluster faults test-web cluster cluster-down

help:
	@echo 'make up      build and run the platform on $(LISTEN), data in $(DATA)/ (DATA=, LISTEN= change that)'
	@echo 'make up-real the same on PostgreSQL, RabbitMQ, Redis and HAProxy, workloads as processes of their own, data in $(DATA)-real/'
	@echo 'make cluster the same on a whole Kubernetes with the operator, started here (root); make cluster-down ends it and leaves nothing'
	@echo 'make web     build the web client alone, into $(WEB)/dist'
	@echo 'make test    build and run every test, on the majors people run (KLATCH_SERVICES=system: on what this machine has)'
	@echo 'make check   format and lints'
	@echo 'make test-cluster  use a whole Kubernetes with a node, started here (root)'
	@echo 'make test-web  use the web client in browsers'
	@echo 'make faults  kill, freeze and cut off parts of the whole platform $(EPISODES) times (EPISODES= changes that)'
	@echo 'make fuzz    run every fuzz target for $(FUZZ_SECONDS) s (FUZZ_SECONDS= changes that)'
	@echo 'make bench   release build, then the whole table of figures (some 10 minutes)'
	@echo 'make bench-instructions  count the instructions of the hot paths against what is written down'
	@echo 'make bench-real  the same on PostgreSQL, RabbitMQ and Redis, workloads as processes of their own'

# What a fresh machine may lack: a C compiler (SQLite, aws-lc), and strace, which one test watches the disk with.
tools:
	@for tool in cc strace; do \
	  command -v $$tool >/dev/null || missing="$$missing $$( [ $$tool = cc ] && echo gcc libc6-dev || echo $$tool )"; \
	done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; apt-get update -qq && apt-get install -y -qq $$missing; fi
	@command -v cargo >/dev/null || { echo 'cargo is missing: install Rust 1.95.0 with rustup, then call make again'; exit 1; }

npm:
	@command -v npm >/dev/null || { echo 'npm is missing: install Node 20.19 or newer, then call make again'; exit 1; }

# Whatever is below 1.21 cannot read this go.mod, whatever is newer fetches the version that it names. Whose parts of Kubernetes are in a
# folder of KUBEBUILDER_ASSETS may need none; if they do, tests/kube/build says so.
go:
	@[ -n "$$KUBEBUILDER_ASSETS" ] || (cd tests/kube && go list -m >/dev/null 2>&1) || { \
	  echo 'Go is missing, or too old: install Go 1.24 or newer, then call make again (it builds the Kubernetes that the tests stand on)'; exit 1; }

# What the browser tier looks through: Chromium, with letters and emoji to draw. Who only runs the platform needs none of it.
browser:
	@for package in chromium fonts-dejavu-core fonts-noto-color-emoji; do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; apt-get update -qq && apt-get install -y -qq $$missing; fi

# Installs what is missing of these packages, which must not start servers by themselves.
define install_stopped
for package in $(1); do \
  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
done; \
if [ -n "$$missing" ]; then \
  echo "installing$$missing"; \
  [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; ours=1; }; \
  apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; installed=$$?; \
  [ -z "$$ours" ] || rm /usr/sbin/policy-rc.d; \
  exit $$installed; \
fi
endef

# What the tier `service_*` starts, each with a folder and ports of its own.
services:
ifeq ($(KLATCH_SERVICES),majors)
	@tests/majors root >/dev/null
else
	@$(MAKE) --no-print-directory machine-services MORE_SERVICES='$(MORE_SERVICES)'
endif

# What the tier `kube_*` stands on: a whole Kubernetes in one binary, built once (some 5 minutes).
kube: go
	@command -v openssl >/dev/null || { echo 'installing openssl'; apt-get update -qq && apt-get install -y -qq --no-install-recommends openssl; }
	@tests/kube/program kubectl version --client >/dev/null
	@tests/kube/build gateway-api.yaml >/dev/null

# What a node is made of besides.
node: kube
	@$(call install_stopped,containerd runc containernetworking-plugins iptables nftables iproute2 conntrack)

# What this machine has of it, which `up-real` runs on.
machine-services:
	@$(call install_stopped,postgresql rabbitmq-server redis-server haproxy $(MORE_SERVICES))

up: tools npm
	@echo '[1/3] building klatch (a first build takes some minutes, the next ones seconds)'
	@cargo build --profile up -p klatch
	@echo '[2/3] building the web client'
	@$(MAKE) --no-print-directory web
	@echo '[3/3] starting it; stop it with Ctrl+C, start it again with make up: the data stays in $(DATA)/'
	@exec $(CARGO_TARGET_DIR)/up/klatch up --data $(DATA) --listen $(LISTEN) --web $(WEB)/dist

up-real: tools npm machine-services
	@cargo build --profile up -p klatch
	@$(MAKE) --no-print-directory web
	@exec tests/up-real $(CARGO_TARGET_DIR)/up/klatch $(DATA)-real $(lastword $(subst :, ,$(LISTEN))) $(WEB)/dist

# As root: a node is a network namespace, containerd and kubelet.
cluster: tools npm go node web
	@tests/kube/demo up $(CLUSTER) $(CLUSTER_PORT)

cluster-down:
	@tests/kube/demo down $(CLUSTER)

# Built again only when something of it has changed.
web: $(WEB)/dist/index.html

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(shell find $(WEB)/src $(WEB)/public -type f) $(addprefix $(WEB)/,index.html vite.config.ts compress.mjs tsconfig.json)
	@cd $(WEB) && npm run --silent build

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	@$(MAKE) --no-print-directory npm
	@cd $(WEB) && npm ci --silent && touch node_modules/.package-lock.json

test: MORE_SERVICES := pgbouncer nginx-light
test: export KLATCH_SERVICES := $(KLATCH_SERVICES)
test: tools npm go browser services kube
	@echo '[1/7] building the klatch binary that the tests start'
	@cargo build --workspace --bins
	@echo '[2/7] building the tests'
	@cargo test --workspace --no-run
	@cargo test --workspace --test kube --no-run
	@echo '[3/7] running them'
	@cargo test --workspace --no-fail-fast; all=$$?; \
	cargo test --workspace --test kube -- --test-threads=$(KUBE_TESTS_AT_ONCE) && exit $$all
	@echo '[4/7] building the web client'
	@$(MAKE) --no-print-directory web
	@echo '[5/7] running its tests'
	@cd $(WEB) && npm test --silent
	@echo '[6/7] using it in browsers'
	@tests/web/run
	@echo '[7/7] killing, freezing and cutting off its parts $(EPISODES) times'
	@KLATCH_FAULTS_EPISODES=$(EPISODES) cargo test --workspace --test service_faults -- --nocapture
	@echo 'All tests passed. Next: make up, and say the first word.'

# On a real node, in a network namespace of its own; as root.
test-cluster: tools npm go node web
	@echo '[1/3] making the images (a first build takes a quarter of an hour)'
	@for image in pause kube services klatch; do tests/kube/images $$image >/dev/null || exit 1; done
	@tests/kube/build helm >/dev/null
	@echo '[2/3] building the tests'
	@cargo test --workspace --test cluster --no-run
	@echo '[3/3] running them, each on a Kubernetes of its own (half an hour)'
	@cargo test --workspace --test cluster -- --test-threads=1 --nocapture
	@echo 'All tests on a node passed. Next: make cluster, and look for yourself.'

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	@# Those that are no part of `cargo test`, and so of no "all targets".
	cargo clippy --workspace --test kube --test cluster --test service_faults -- --deny warnings

format:
	cargo fmt --all

# The web client in browsers.
test-web: MORE_SERVICES := nginx-light
test-web: export KLATCH_SERVICES := $(KLATCH_SERVICES)
test-web: tools npm browser services
	@cargo build --workspace --bins
	@$(MAKE) --no-print-directory web
	@tests/web/run

# What the whole platform does while its parts are killed, frozen and cut off.
faults: MORE_SERVICES := nginx-light
faults: export KLATCH_SERVICES := $(KLATCH_SERVICES)
faults: tools services
	cargo build --workspace --bins
	KLATCH_FAULTS_EPISODES=$(EPISODES) cargo test --workspace --test service_faults -- --nocapture

fuzz:
	tests/fuzz/run $(FUZZ_SECONDS)

bench: tools
	cargo build --release -p klatch
	$(CARGO_TARGET_DIR)/release/klatch bench all

# A release build of three crates, and callgrind: a busy machine counts the same.
bench-instructions: tools
	@command -v valgrind >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind libc6-dbg; }
	tests/instructions

bench-real: tools machine-services
	cargo build --release -p klatch
	tests/bench-real $(CARGO_TARGET_DIR)/release/klatch

clean:
	rm -rf $(CARGO_TARGET_DIR)
