# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab on one machine: boards that run Mbed Linux OS as far as provisioning sees it, and a cloud."""
