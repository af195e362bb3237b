# `make demo` and `make test` are all a fresh Debian machine with Python 3.11 needs; see README.md.
# PYTHON=/path/to/python3 chooses the interpreter, VENV=dir where the environment goes, JOBS=n how many tests run at once.

VENV ?= .venv
JOBS ?= 2
export VENV PYTHON
IN := $(VENV)/bin
QUICK := -m "not slow" -n $(JOBS) --dist loadfile

.PHONY: help demo test test-slow test-cluster conformance check chart coverage sanitize wheel other-release lock build bench bench-fleet soak clean

help:
	@echo "make demo       build, start a waypoint with three sample endpoints, say what to type next"
	@echo "make test       build, run every test but the slow ones (TESTS=tests/wire: only those)"
	@echo "make test-slow  run the slow ones (the guide with its own 30 s)"
	@echo "make test-cluster  in a real Kubernetes cluster with istiod, which is built first (20 minutes, once; root; SLOW=1: all)"
	@echo "make conformance  the Gateway API's own suite, in such a cluster (PROFILE=mesh, gateway or experimental; TEST=regular expression)"
	@echo "make check      formatting, lint, types, who imports whom, links of the documents"
	@echo "make coverage   the tests again, and which lines of .py they reach"
	@echo "make sanitize   the compiled part under the address and undefined-behaviour sanitizers"
	@echo "make other-release  build, demo and the quick tests on the other Debian that we support, in a chroot"
	@echo "make wheel      an sdist, and from it a manylinux wheel, tried in a fresh environment (dist/)"
	@echo "make bench      waypointd and Envoy side by side: CPU and requests a second"
	@echo "make bench-fleet  fleets of waypointd and Envoy: errors until an endpoint is out, time, load on Redis"
	@echo "make soak       an hour of everything that can happen to a fleet (SOAK_SECONDS=180 for less)"
	@echo "make lock       write requirements/*.lock anew from the lists in setup.cfg (UPGRADE=1: newest versions)"
	@echo "make chart      write deploy/install.yaml anew from the chart, and check both"
	@echo "make build      build only"
	@echo "make clean      remove everything that make made"

demo:
	@scripts/prepare demo
	@$(IN)/python bin/waypointd -w 2 --demo

test:
	@scripts/prepare test
	@scripts/suite $(IN)/python -m pytest $(QUICK) $(TESTS)

test-slow:
	@scripts/prepare test wheel
	@$(IN)/python -m pytest -m slow

test-cluster:
	@scripts/prepare test cluster chart
	@scripts/cluster scripts/suite $(IN)/python -m pytest $(if $(SLOW),,-m "not slow") $(or $(TESTS),tests/cluster)

conformance:
	@scripts/prepare test cluster
	@status=0; for profile in $(or $(PROFILE),mesh gateway); do \
		scripts/cluster $(IN)/python -m tests.cluster.conformance $$profile $(if $(TEST),--test='$(TEST)') || status=1; \
	done; exit $$status

check:
	@scripts/prepare check
	$(IN)/ruff check .
	$(IN)/ruff format --check .
	$(IN)/mypy
	$(IN)/python -m pytest -q $(addprefix tests/unit/test_,layout.py measures.py documents.py supply.py)

chart:
	@scripts/prepare test chart
	@$(IN)/python scripts/install_yaml.py >deploy/install.yaml
	@$(IN)/python -m pytest -q tests/unit/test_install.py

coverage:
	@scripts/prepare test
	@rm -rf build/coverage && mkdir -p build/coverage
	@scripts/suite $(IN)/coverage run -m pytest $(QUICK) $(TESTS)
	@$(IN)/coverage combine -q
	@$(IN)/coverage report

sanitize:
	@scripts/prepare test
	@scripts/sanitize

other-release:
	@scripts/other-release

wheel:
	@scripts/prepare test wheel
	@scripts/wheel dist
	@WAYPOINTD_DIST=dist $(IN)/python -m pytest -q tests/package

lock:
	@scripts/lock $(if $(UPGRADE),--upgrade)

bench:
	@scripts/prepare bench
	@$(IN)/python -m tests.bench

bench-fleet:
	@scripts/prepare bench
	@$(IN)/python -m tests.bench.fleet

soak:
	@scripts/prepare test
	@mkdir -p build
	@$(IN)/python -m pytest -s -m soak --basetemp build/soak tests/fleet/test_soak.py

build:
	@scripts/prepare

clean:
	find proxy tests/instruments -name '*.so' -delete
	find proxy tests/instruments -name '*.c' -delete
	find proxy state tests scripts -name __pycache__ -prune -exec rm -rf {} +
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis $(VENV)
