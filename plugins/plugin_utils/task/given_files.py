# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a task names, found where Ansible's own modules would find them."""

from __future__ import annotations

from pathlib import Path

from ansible.errors import AnsibleError

from ..credentials.c_source import read_c_file
from ..errors import PelionError
from ..store.vault import VAULT_HEADER, NoSecretError, Vault, VaultError
from .action import Action


def read_given_file(action: Action, option: str, path: str) -> tuple[Path, bytes]:
    """Where the file is that ``option`` names as ``path``, and its content, decrypted if it is in Ansible Vault.

    A relative path is looked for in the role's and the playbook's ``files`` and beside them, as copy's
    ``src`` is. Raises PelionError when there is none, CSourceError when it cannot be a small file.
    """
    try:
        found = Path(action._find_needle("files", path))
    except AnsibleError as error:
        text = f"{option}: there is no file {path!r}."
        if not Path(path).is_absolute():
            places = dict.fromkeys([*(action._task.get_search_path() or []), action._loader.get_basedir()])
            text += f" Searched in files/ and beside: {', '.join(places)}. An absolute path is found from anywhere."
        raise PelionError(text) from error
    content = read_c_file(found)
    if content.startswith(VAULT_HEADER):
        try:
            content = Vault.of_this_run(action._loader).decrypt(content)
        except NoSecretError:
            raise PelionError(f"{option}: {found} is in Ansible Vault, but this run was given no secret.") from None
        except VaultError as error:
            raise VaultError(f"{option}: {found} {error}.") from error
    return found, content
