# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network full of boards that announce themselves, made of raw frames: for tests and benchmarks of the discovery.

It shares no code with what it tests, python-zeroconf included, and misbehaves on request.
"""
