# make test   everything that CI runs: one debug build, Swift tests, client tests, rule tests, linkage
# make demo   guardd before a mock model, with requests that show what it does (KEEP=1: stays up)
# make bench  overhead against nginx and Envoy as plain proxies (release build, some minutes)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: build client-test demo bench format linkage-test packages rules-test swift-test test

bin := .build/debug

test: swift-test linkage-test client-test rules-test
	@echo "make test: all passed"

packages:
	@.ci/packages

# Executables and tests in one go, so that nothing is built twice.
build: packages
	swift build --build-tests

swift-test: build
	swift test --skip-build

linkage-test: build
	@Tests/linkage/run $(bin)/guardd

client-test: build .venv/stamp
	.venv/bin/python -m unittest discover -s Tests/clients

rules-test: build
	$(bin)/guardctl test rules
	$(bin)/guardctl lint rules

.venv/stamp: Tests/clients/requirements.txt | packages
	python3 -m venv .venv
	.venv/bin/pip install --quiet --requirement $<
	@touch $@

demo: packages
	@swift build --product guardd
	@swift build --product guardctl
	@deploy/demo/run

bench: packages
	Benchmarks/overhead/run

format:
	swift format --in-place --recursive Sources Tests Package.swift
