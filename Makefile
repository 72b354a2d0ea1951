# Program Explorer. `make` alone lists the targets.
#
# What is fetched or made for running (kernels, images, guests, tools) lies
# under PE_CACHE, the project's own programs under bin/.

PE_CACHE     ?= $(CURDIR)/.cache
FUZZTIME     ?= 60s
BENCH_FILTER ?=
CHAOS_FLAGS  ?=
LEVEL        ?= test
PKG          ?= ./...

ARCHS   := amd64 arm64 riscv64
# Static programs, without the paths of the machine that built them.
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo dev)
GOBUILD := CGO_ENABLED=0 go build -trimpath -ldflags='-s -w -X main.version=$(VERSION)'
SCRIPTS := $(wildcard deploy/*.sh deploy/*/*.sh .ci/run)

export PE_CACHE

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## Install what is needed, run a real job in a virtual machine, show its result
	@deploy/setup.sh --for demo
	@deploy/demo/run.sh

.PHONY: up
up: build ## Serve on 127.0.0.1:7300, in the foreground, with all that this machine can run
	@deploy/setup.sh --for up
	@bin/ped up --guest-dir '$(PE_CACHE)/guest' --catalog '$(PE_CACHE)/catalog.yaml' \
		--isolation vm,gvisor,container --runsc '$(PE_CACHE)/bin/runsc' --container-image busybox,gcc,python

.PHONY: test
test: build ## Install what is needed and run every test, virtual machines included
	@deploy/setup.sh --for test
	@$(MAKE) --no-print-directory lint
	@deploy/test.sh $(PKG)

.PHONY: test-all
test-all: export PE_LONG = 1
test-all: test cross ## Also the tests that take minutes, a build for every platform, and a short fuzz of each decoder
	@$(MAKE) --no-print-directory fuzz FUZZTIME=10s

.PHONY: power-cut
power-cut: build ## Cut the power of a machine that runs everything, 20 times under load, and look for what is lost
	@deploy/setup.sh --for test
	PE_REQUIRE_ALL=1 go test ./e2e/powercut -v -count 1 -timeout 60m -cuts 20

.PHONY: lint
lint: ## Check format, and what go vet, staticcheck and shellcheck find
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
		[ -z "$$unformatted" ] || { echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; }
	go vet $(PKG)
	@[ -x '$(PE_CACHE)/bin/staticcheck' ] || { echo 'no staticcheck: make setup LEVEL=test'; exit 1; }
	'$(PE_CACHE)/bin/staticcheck' $(PKG)
	@command -v shellcheck >/dev/null || { echo 'no shellcheck: make setup LEVEL=test'; exit 1; }
	shellcheck $(SCRIPTS)

.PHONY: build
build: ## Build bin/pe, bin/ped and the guest's init for each architecture
	@mkdir -p bin
	$(GOBUILD) -o bin/ ./cmd/pe ./cmd/ped
	@for arch in $(ARCHS); do GOOS=linux GOARCH=$$arch $(GOBUILD) -o bin/guestrd-$$arch ./cmd/guestrd || exit 1; done

.PHONY: setup
setup: build ## Install for LEVEL: run, demo, up, test or bench (deploy/setup.sh --help)
	@deploy/setup.sh --for '$(LEVEL)'

# The guests for one architecture: each kernel in the cache and an initramfs, as QEMU boots them.
.PHONY: $(ARCHS:%=guest-%)
$(ARCHS:%=guest-%): guest-%: $(PE_CACHE)/guest/%/.made

.SECONDEXPANSION:
$(PE_CACHE)/guest/%/.made: bin/guestrd-% $(PE_CACHE)/kernels/%/package $$(wildcard $(PE_CACHE)/kernels/$$*-*/package)
	@for kernel in $(patsubst %/package,'%',$(filter %/package,$^)); do \
		bin/ped kernel add --guest-dir '$(PE_CACHE)/guest' --arch '$*' --init 'bin/guestrd-$*' "$$kernel" || exit 1; done
	@touch '$@'

$(PE_CACHE)/kernels/%/package:
	deploy/kernels.sh '$(subst -,:,$*)'

.PHONY: bench
bench: build ## Measure against podman and runc; BENCH_FILTER=regexp picks rows
	@deploy/setup.sh --for bench
	go run ./bench -filter '$(BENCH_FILTER)'

.PHONY: bench-soak
bench-soak: build ## Restore 10,000 machines, run 220,000 jobs, queue 100,000, and look for what is left behind
	@deploy/setup.sh --for bench
	go run ./bench -filter '^(soak|control\.(rss|queue))' -out bench/out/soak.json

CHAOS := go test -count=1 -v -timeout 120m -run '^TestChaos$$' ./e2e/chaos

.PHONY: chaos
chaos: build ## Break everything in the middle of every step of 10,000 jobs: 50 minutes (docs/chaos.md)
	@deploy/setup.sh --for test
	PE_REQUIRE_ALL=1 $(CHAOS) -chaos.long -chaos.out '$(CURDIR)/bench/out/chaos' -chaos.anew $(CHAOS_FLAGS)

.PHONY: chaos-short
chaos-short: build ## The same for two minutes, as make test has it, too
	@deploy/setup.sh --for test
	PE_REQUIRE_ALL=1 $(CHAOS) $(CHAOS_FLAGS)

.PHONY: fuzz
fuzz: ## Fuzz each decoder for FUZZTIME (60s)
	@for package in $$(git grep -lE '^func Fuzz' -- '*_test.go' | xargs -n 1 dirname | sort -u); do \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/p' $$package/*_test.go); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime '$(FUZZTIME)' -fuzzminimizetime 10x "./$$package" || exit 1; \
		done; \
	done

.PHONY: cross
cross: ## Build for every platform that is supported
	@for arch in $(ARCHS); do echo "linux/$$arch"; GOOS=linux GOARCH=$$arch CGO_ENABLED=0 go build ./... || exit 1; done
	@echo darwin/arm64; GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go build -o /dev/null ./cmd/pe && \
		GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go build -o /dev/null ./cmd/ped

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin bench/out

.PHONY: clean-all
clean-all: clean ## Remove also all that was fetched
	rm -rf '$(PE_CACHE)'
