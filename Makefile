# The doors. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help install build run check test sim drill soak selftest bench-router bench-isolation bench-control-plane

PROGRAMS := target/debug
# What the programs are built from; reports of drills tell. Of sources without a history nothing is known,
# whatever repository they lie in.
export BULKHEAD_REVISION := $(shell GIT_CEILING_DIRECTORIES="$(CURDIR)/.." git describe --always --dirty --abbrev=12 2>/dev/null)
# Passed on to `platform up`, as in `make run UP="--fresh --run-dir /tmp/bulkhead"`.
UP ?=
# The drill of `make drill`; chaos/drills has them.
NAME ?= region-loss
# How long `make soak` goes on.
FOR ?= 30m

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 28

install: ## Install what is missing: etcd, PostgreSQL, build tools
	@scripts/install

build: install ## Build every program
	cargo build --workspace --bins

run: build ## Start the whole platform and say what to try; Ctrl-C stops it
	@$(PROGRAMS)/platform up $(UP)

check: install ## Format, lints, documentation, licences, spelling, regions.yaml
	@scripts/check

test: install ## Every test, the end-to-end ones included
	@scripts/test

# As in `make sim SEEDS=100000`, or `make sim SEED=7` for one seed and everything that happened in it.
sim: install ## A cell in virtual time, with thousands of schedules of faults
	@SEEDS=$(SEEDS) SEED=$(SEED) cargo test --package tests --test sim no_schedule -- --nocapture

drill: build ## Run a drill against the running platform: make drill NAME=region-loss
	@$(PROGRAMS)/chaos run $(NAME)

soak: build ## Half an hour of small troubles, and no cell moves: make soak FOR=3m
	@$(PROGRAMS)/chaos run soak --for $(FOR)

selftest: install ## Programs that are made to do wrong, and the drills' checks that must see it
	@scripts/selftest

# As in `make bench-router ROUNDS=1 SECONDS=1` for a look.
bench-router: install ## What a request costs, beside nginx, HAProxy and Envoy
	@ROUNDS=$(ROUNDS) SECONDS=$(SECONDS) scripts/bench-router

bench-isolation: install ## What a slow and flooded cell costs the users of others
	@ROUNDS=$(ROUNDS) SECONDS=$(SECONDS) scripts/bench-isolation

# As in `make bench-control-plane STEPS="10 100" SECONDS=5` for a look.
bench-control-plane: install ## What many cells cost the control planes and etcd
	@STEPS="$(STEPS)" SECONDS=$(SECONDS) scripts/bench-control-plane
