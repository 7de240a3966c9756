# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of docs/: links lead somewhere, what they name exists, and the CI files are what their servers take."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")), *sorted(DOCS.glob("*.md"))]
PARTS = {
    *(
        path.stem
        for kind in ("playbooks", "plugins/*", "extensions/eda/plugins/*")
        for path in ROOT.glob(f"{kind}/*.*")
    ),
    *(path.name for path in ROOT.glob("roles/*")),
    *yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"],
}
"""All that is called `pelion.mbl.…`."""
CI_FILES = ("gitlab-ci.yml", "github-actions.yml")


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        name, _hash, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_playbooks_and_variables_that_pages_name_exist(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"playbooks/(\w+)\.yml", text):
        assert (ROOT / "playbooks" / f"{name}.yml").is_file(), name
    for name in re.findall(r"pelion\.mbl\.([a-z]\w+)", text):
        assert name in PARTS, name
    options = yaml.safe_load((ROOT / "roles/provision_pelion/meta/argument_specs.yml").read_text())
    known = options["argument_specs"]["main"]["options"]
    for name in re.findall(r"\b(provision_pelion_\w+)", text):
        assert name in known, name


def test_the_site_has_every_page() -> None:
    listed = set((DOCS / "docsite/index.md").read_text().splitlines())
    assert {str(page.relative_to(ROOT).with_suffix("")) for page in PAGES} <= listed


def snippets() -> Iterator[tuple[str, str]]:
    """The YAML that pages and files for users show, with where it stands: blocks of their own, and in commands that
    write a file."""
    for page in [*PAGES, ROOT / "roles/provision_pelion/README.md"]:
        text = page.read_text()
        blocks = re.findall(r"^ *```yaml\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
        blocks += re.findall(r"^.*\.yml <<'END'\n(.*?)^ *END$", text, re.MULTILINE | re.DOTALL)
        yield from ((f"{page.name}-{number}", textwrap.dedent(block)) for number, block in enumerate(blocks))
    yield "group_vars", (ROOT / "inventory/group_vars/mbl.yml").read_text()


@pytest.mark.parametrize(("name", "text"), list(snippets()))
def test_snippets_are_yaml_with_and_without_what_they_leave_to_choose(name: str, text: str) -> None:
    """A line such as `# name: value` is there to be used without its `#`."""
    chosen = re.sub(r"^( *)# (\w+: \S.*)$", r"\1\2", text, flags=re.MULTILINE)
    for variant in (text, chosen):
        list(yaml.safe_load_all(variant))
    for variable, _value in re.findall(r"^ *(?:# )?(provision_pelion_\w+):(.*)$", text, re.MULTILINE):
        assert re.search(rf"^ *(- )?{variable}:", chosen, re.MULTILINE), f"{variable} cannot be chosen by a line"


def test_the_files_for_variables_leave_a_choice() -> None:
    """The test above is about something."""
    left = [name for name, text in snippets() if re.search(r"^# provision_pelion_\w+: ", text, re.MULTILINE)]
    assert left == ["README.md-1", "group_vars"]


@pytest.mark.parametrize("name", CI_FILES)
def test_ci_files_are_clean_yaml_and_run_playbooks_that_exist(name: str) -> None:
    file = DOCS / name
    done = subprocess.run(
        ["yamllint", "-s", "-d", "{extends: default, rules: {line-length: {max: 120}}}", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    playbooks = re.findall(r"pelion\.mbl\.(\w+)", file.read_text())
    assert playbooks
    for playbook in playbooks:
        assert (ROOT / "playbooks" / f"{playbook}.yml").is_file(), playbook


def test_the_ci_files_have_the_parts_that_their_servers_want() -> None:
    gitlab, github = (yaml.safe_load((DOCS / name).read_text()) for name in CI_FILES)
    for job in ("provision", "nightly"):
        assert gitlab[job]["script"] and gitlab[job]["artifacts"]["reports"]["junit"] == "reports/fleet.junit.xml"
        assert gitlab[job]["resource_group"] == "bench"
    for step in github["jobs"]["fleet"]["steps"]:
        assert ("run" in step) != ("uses" in step)


@pytest.mark.parametrize("name", CI_FILES)
def test_a_ci_job_gives_back_what_it_proved_whatever_others_push_meanwhile(tmp_path: Path, name: str) -> None:
    document = yaml.safe_load((DOCS / name).read_text())
    if "jobs" in document:
        [give_back] = [
            step["run"] for step in document["jobs"]["fleet"]["steps"] if "Give back" in step.get("name", "")
        ]
    else:
        give_back = document[".give-back"]
        assert give_back in document["provision"]["script"]
    variables = {"CI_DEFAULT_BRANCH": "main", "GITHUB_REF_NAME": "main", "CI_SERVER_HOST": "example.com"}

    def run(place: str, script: str) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
        command = ["bash", "-e", "-c", script]
        done = subprocess.run(
            command, cwd=tmp_path / place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(
        "",
        "git init --quiet --bare --initial-branch main shared; git clone --quiet shared north; mkdir north/team-store",
    )
    run("north", "git config user.name me; git config user.email me@example.com; touch team-store/.gitignore")
    run(
        "north",
        "git checkout --quiet -B main; git add --all; git commit --quiet -m begin; git push --quiet origin main",
    )
    # As servers check a job's commit out: without history, on no branch.
    run("", "git clone --quiet --depth 1 file://$PWD/shared south; git -C south checkout --quiet --detach")
    run("north", f"echo 1 >team-store/fleet.north.json; {give_back}")
    run("south", f"echo 2 >team-store/fleet.south.json; echo secret >vault-password; {give_back}")
    run("south", give_back)  # nothing new
    run("north", "git pull --quiet")
    assert (
        run("north", "git ls-files")
        == "team-store/.gitignore\nteam-store/fleet.north.json\nteam-store/fleet.south.json\n"
    )
    assert run("north", "git log --oneline | wc -l").strip() == "3"


def test_the_commands_of_the_team_store_page(tmp_path: Path) -> None:
    """In one shell, as a reader would; the store has one entry."""
    text = (DOCS / "team-store.md").read_text()
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    (tmp_path / "vault-password").write_text("the former secret\n")
    entry = tmp_path / "shared/team/bench.update-resources.yml"
    make = f"printf 'format: 1\\n' >{entry}; ansible-vault encrypt --vault-password-file ~/vault-password {entry}\n"
    first, rest = script.split("\n", 1)
    done = subprocess.run(
        ["bash", "-e", "-c", f"{first}\n{make}{rest}"],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    view = ["ansible-vault", "view", "--vault-password-file", tmp_path / "new-vault-password", entry]
    assert subprocess.run(view, capture_output=True, text=True, check=True).stdout == "format: 1\n"
    assert (tmp_path / "shared/team").stat().st_mode & 0o7777 == 0o2770
    assert (tmp_path / "team-store.tar.gz").stat().st_size > 0
