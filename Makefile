# make test     everything, installing what it needs; the last line is `N passed, N failed`
# make build    the release binary
# make bench    the benchmarks
# make counts   instructions per message, against those of before
# Works as root or with sudo on Debian; needs Rust, Python 3 and Node.js to be there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
VENV := compat-tests/python/.venv
MODULES := compat-tests/node/node_modules
UI := admin-ui/node_modules
OTHERS := compat-tests/suites-of-others
FETCHED := target/suites-of-others
ADMIN := target/management-tools

.PHONY: test test-rust test-compat build bench counts tools rust-tools compat-tools packages clean

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

counts: packages
	$(PYTHON) compat-tests/suites.py counts

tools: rust-tools compat-tools

rust-tools:
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

compat-tools: packages $(VENV)/.installed $(MODULES)/.installed $(UI)/.installed \
	$(OTHERS)/.venv/.installed $(OTHERS)/node_modules/.installed $(FETCHED)/.fetched \
	$(ADMIN)/rabbitmq-server $(ADMIN)/bin/rabbitmqadmin

# Debian packages, each only if what it provides is missing.
packages:
	@missing=(); \
	command -v mosquitto_pub >/dev/null && command -v mosquitto_sub >/dev/null || missing+=(mosquitto-clients); \
	command -v amqp-publish >/dev/null || missing+=(amqp-tools); \
	command -v cc >/dev/null || missing+=(build-essential); \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv); \
	command -v npm >/dev/null || missing+=(npm); \
	command -v ip >/dev/null || missing+=(iproute2); \
	command -v chromium >/dev/null || missing+=(chromium); \
	command -v valgrind >/dev/null || missing+=(valgrind); \
	if (( $${#missing[@]} )); then \
		echo "installing $${missing[*]}"; \
		$(SUDO) apt-get update -q; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$${missing[@]}"; \
	fi

%/.venv/.installed: %/requirements.txt
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -q --disable-pip-version-check --no-deps -r $<
	$(@D)/bin/pip check
	touch $@

$(OTHERS)/.venv/.installed: compat-tests/python/requirements.txt

%/node_modules/.installed: %/package.json %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	touch $@

# The archives of Python suites, which pip holds against their checksums.
$(FETCHED)/.fetched: $(OTHERS)/sdists.txt $(OTHERS)/.venv/.installed
	rm -rf $(@D)
	$(OTHERS)/.venv/bin/pip download -q --disable-pip-version-check --no-deps --no-build-isolation -d $(@D) -r $<
	touch $@

# The script rabbitmqadmin of RabbitMQ 3, out of Debian's package, which is not installed.
$(ADMIN)/rabbitmq-server:
	mkdir -p $(@D)
	cd $(@D) && rm -f rabbitmq-server_*.deb && \
		(apt-get download -q rabbitmq-server || ($(SUDO) apt-get update -q && apt-get download -q rabbitmq-server))
	dpkg -x $(@D)/rabbitmq-server_*.deb $@.part
	mv $@.part $@

# Its successor, a program of Rust.
$(ADMIN)/bin/rabbitmqadmin:
	cargo install rabbitmqadmin --version 2.35.0 --locked --no-default-features --debug --root $(@D)/.. \
		--target-dir $(ADMIN)/build
	rm -rf $(ADMIN)/build

clean:
	rm -rf target $(VENV) $(MODULES) $(UI) $(OTHERS)/.venv $(OTHERS)/node_modules
