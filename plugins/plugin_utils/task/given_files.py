# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a task names, found where Ansible's own modules would find them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ansible.errors import AnsibleError

from ..credentials.c_source import read_small_file
from ..credentials.manifest_tool import find_signing_key
from ..credentials.signing_key import signing_key
from ..credentials.update_resources import UpdateResources
from ..errors import PelionError
from ..store.vault import VAULT_HEADER, NoSecretError, Vault, VaultError
from .action import Action


@dataclass(frozen=True)
class GivenResources:
    """Update resources of a C file. ``key_beside`` is where their key was found, when no task named it."""

    resources: UpdateResources
    key_beside: Path | None = None


def read_update_resources(
    action: Action, src: str, private_key_src: str | None, options: tuple[str, str] = ("src", "private_key_src")
) -> GivenResources:
    """The update resources in the C file ``src`` with their private key: that of ``private_key_src``, else that which
    the manifest tool left beside the file. ``options`` are the names of both, for errors.

    Raises as read_given_file does, and CredentialError.
    """
    found, text = read_given_file(action, options[0], src)
    resources = UpdateResources.from_c_source(text, str(found))
    if private_key_src:
        path, content = read_given_file(action, options[1], private_key_src)
        return GivenResources(replace(resources, private_key=signing_key(content, str(path), resources.der)))
    beside = find_signing_key(found, resources.der)
    return GivenResources(replace(resources, private_key=beside[1]), beside[0]) if beside else GivenResources(resources)


def read_given_file(action: Action, option: str, path: str) -> tuple[Path, bytes]:
    """Where the file is that ``option`` names as ``path``, and its content, decrypted if it is in Ansible Vault.

    A relative path is looked for in the role's and the playbook's ``files`` and beside them, as copy's
    ``src`` is, and last in the directory that the command was given in. Raises PelionError when there is none,
    CSourceError when it cannot be a small file.
    """
    try:
        found = _find(action, path)
    except AnsibleError as error:
        text = f"{option}: there is no file {path!r}."
        if not Path(path).is_absolute():
            places = [*(action._task.get_search_path() or []), action._loader.get_basedir(), str(Path().absolute())]
            text += (
                f" Searched in files/ and next to it: {', '.join(dict.fromkeys(places))}. An absolute path is found "
                "from "
                "anywhere."
            )
        raise PelionError(text) from error
    content = read_small_file(found)
    if content.startswith(VAULT_HEADER):
        try:
            content = Vault.of_this_run(action._loader).decrypt(content)
        except NoSecretError:
            raise PelionError(f"{option}: {found} is in Ansible Vault, but this run was given no secret.") from None
        except VaultError as error:
            raise VaultError(f"{option}: {found} {error}.") from error
    return found, content


def is_given_file(action: Action, path: str) -> bool:
    """Whether ``read_given_file`` finds one."""
    try:
        return bool(_find(action, path))
    except AnsibleError:
        return False


def _find(action: Action, path: str) -> Path:
    try:
        return Path(action._find_needle("files", path))
    except AnsibleError:
        # The playbooks of an installed collection lie elsewhere than the user, who names a file with -e.
        here = Path(path).absolute()
        if here.exists():
            return here
        raise
