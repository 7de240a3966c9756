# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# make demo [DEVICES=5]   provision a simulated fleet, twice
# make check              style, types and the unit tests of what has changed since main, before each commit
# make test               all checks and tests
# make release            what is published of the last commit, in dist/
# make clean              end the lab, remove what was made
DEVICES ?= 5

.PHONY: demo check test release clean

demo:
	@tests/setup lab
	@tests/simulator/demo $(DEVICES)

check:
	@tests/setup test
	@tests/run style types changed

test:
	@tests/setup test
	@tests/run

release:
	@tests/setup test
	@.ci/release

clean:
	@tests/clean
