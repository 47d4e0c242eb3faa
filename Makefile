# What one does with Baton from its sources. `make help` lists it.

SWIFT ?= swift
PREFIX ?= /usr/local
DESTDIR ?=

# Programs carry the Swift runtime in themselves, so that they run where no toolchain is.
release = $(SWIFT) build -c release --static-swift-stdlib
swift_sources = Sources Tests Package.swift clients/swift

bindir = $(DESTDIR)$(PREFIX)/bin
docdir = $(DESTDIR)$(PREFIX)/share/doc/baton
protodir = $(DESTDIR)$(PREFIX)/share/baton/proto
unitdir = $(DESTDIR)$(PREFIX)/lib/systemd/system
programs = batond baton
built = $(addprefix .build/release/,$(programs))
documents = README.md CHANGELOG.md LICENSE proto/PROTOCOL.md Sources/baton/RUN.md Sources/baton/UPGRADES.md Sources/baton/worker@.service
unit = Sources/batond/batond.service

.DEFAULT_GOAL := help
.PHONY: help setup build test simulate chaos fuzz bench demo lint format generate install uninstall clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo '  install and uninstall take PREFIX=/usr/local and DESTDIR='

setup:
	@Tests/setup.sh

build: setup ## build batond and baton for use (.build/release)
	$(release)

test: setup ## build everything, run every test and 500 seeds of the simulator
	$(SWIFT) build --build-tests
	$(SWIFT) test
	@$(MAKE) --no-print-directory simulate

SEEDS ?= 500
simulate: setup ## run SEEDS=n seeds (or HOURS=h of them); SEED=n runs one and prints its trace
	@$(SWIFT) build -c release --product simulate
	@SEEDS=$(SEEDS) .build/release/simulate

CYCLES ?= 1000
chaos: setup ## kill -9 the daemon CYCLES=n times at work and check what it had acknowledged (SEED=n repeats)
	CHAOS=$(CYCLES) $(SWIFT) test --filter EndToEndTests.ChaosTests

MINUTES ?= 60
fuzz: setup ## fuzz wire, decoder, console and conversations for MINUTES=n
	Tests/fuzz/fuzz.sh $$(($(MINUTES) * 60))

bench: setup ## measure it beside the kernel's sockets, gRPC and Redis (ARGUMENTS=--help)
	@$(release) --product batond
	@$(release) --product baton-bench
	@Tests/bench/peers/build.sh .build/peers
	@.build/release/baton-bench $(ARGUMENTS)

demo: setup ## watch four version 1 workers being relieved by version 2
	$(release)
	@Tests/demo/demo.sh .build/release

lint: ## check the formatting
	$(SWIFT) format lint --strict --recursive $(swift_sources)

format: ## format the sources in place
	$(SWIFT) format --in-place --recursive $(swift_sources)

generate: setup ## generate the C code and the descriptor set from proto/*.proto
	proto/generate.sh

# Builds only where nothing is built yet: as root there is often no toolchain.
$(built):
	$(MAKE) build

install: $(built) ## install programs, units, documents and schemas
	install -d '$(bindir)' '$(docdir)' '$(unitdir)' '$(protodir)'
	install -m 755 $(built) '$(bindir)'
	install -m 644 $(documents) '$(docdir)'
	sed 's|/usr/local/|$(PREFIX)/|g' $(unit) > '$(unitdir)/batond.service'
	chmod 644 '$(unitdir)/batond.service'
	for schema in $$(cd proto && find . -name '*.proto'); do \
	  install -D -m 644 "proto/$$schema" '$(protodir)'/"$$schema" || exit 1; \
	done

uninstall: ## remove what install put there
	rm -f $(foreach program,$(programs),'$(bindir)/$(program)')
	rm -f '$(unitdir)/batond.service'
	rm -rf '$(docdir)' '$(DESTDIR)$(PREFIX)/share/baton'

clean: ## remove what was built
	$(SWIFT) package clean
	rm -rf .build
