# make test     everything, installing what it needs; the last line is `N passed, N failed`
# make build    the release binary
# make bench    the benchmarks
# Works as root or with sudo on Debian; needs Rust, Python 3 and Node.js to be there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
VENV := compat-tests/python/.venv
MODULES := compat-tests/node/node_modules

.PHONY: test test-rust test-compat build bench tools rust-tools compat-tools packages clean

test: compat-tools rust-tools build
	$(PYTHON) compat-tests/suites.py all

test-rust: rust-tools
	$(PYTHON) compat-tests/suites.py rust

test-compat: compat-tools build
	$(PYTHON) compat-tests/suites.py compat

build:
	cargo build --release

bench:
	cargo bench --workspace

tools: rust-tools compat-tools

rust-tools:
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

compat-tools: packages $(VENV)/.installed $(MODULES)/.installed

# Debian packages, each only if what it provides is missing.
packages:
	@missing=(); \
	command -v mosquitto_pub >/dev/null && command -v mosquitto_sub >/dev/null || missing+=(mosquitto-clients); \
	command -v amqp-publish >/dev/null || missing+=(amqp-tools); \
	command -v cc >/dev/null || missing+=(build-essential); \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv); \
	command -v npm >/dev/null || missing+=(npm); \
	if (( $${#missing[@]} )); then \
		echo "installing $${missing[*]}"; \
		$(SUDO) apt-get update -q; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$${missing[@]}"; \
	fi

$(VENV)/.installed: compat-tests/python/requirements.txt
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check --no-deps -r $<
	$(VENV)/bin/pip check
	touch $@

$(MODULES)/.installed: compat-tests/node/package.json compat-tests/node/package-lock.json
	cd compat-tests/node && npm ci --no-audit --no-fund
	touch $@

clean:
	rm -rf target $(VENV) $(MODULES)
