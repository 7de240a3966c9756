# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx makes the pages; .ci/docsite lays ready what they are made of."""

from __future__ import annotations

from pathlib import Path

import yaml

galaxy = yaml.safe_load((Path(__file__).parent / "galaxy.yml").read_text())

project = f"{galaxy['namespace']}.{galaxy['name']}"
copyright = "The contributors"
release = galaxy["version"]
extensions = ["myst_parser", "sphinx_antsibull_ext"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_heading_anchors = 4
myst_links_external_new_tab = False
# Links into Ansible's own documentation and to files that are no pages; tests/unit/test_pages.py checks those of the
# guides, and `tests/run docs` those between modules.
suppress_warnings = ["myst.xref_missing", "ref.ref", "ref.envvar", "misc.highlighting_failure"]
html_theme = "sphinx_ansible_theme"
html_title = f"{project} {release}"
html_theme_options = {"vcs_pageview_mode": "", "display_version": True, "documentation_home_url": "index.html"}
html_show_sphinx = False
highlight_language = "yaml"
