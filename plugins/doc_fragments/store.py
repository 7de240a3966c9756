# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that all modules with a store have."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  team_store:
    description:
      - Directory of the team's credentials, one Ansible Vault file for each.
        A relative path is relative to the playbook.
      - Without it, the environment variable E(PELION_TEAM_STORE) says it, else the key C(team) of
        C(~/.mbl-stores.json), else it is C(~/.mbl-store/team). That file is created when nothing says
        where the stores are.
      - It is created when needed, for the group that it then belongs to (mode 2770). A store that everybody
        may write to is refused.
    type: path
  user_store:
    description:
      - Directory of what belongs to one user, the API key above all.
      - Without it, the environment variable E(PELION_USER_STORE) says it, else the key C(user) of
        C(~/.mbl-stores.json), else it is C(~/.mbl-store/user).
    type: path
  vault_id:
    description:
      - The vault id that new entries are encrypted with. An entry that is there keeps the id that it has.
      - Without it, C(vault_encrypt_identity) in C(ansible.cfg) says it. If the run was given secrets of several ids and
        nothing says which, nothing new is written, as with C(ansible-vault encrypt).
    type: str
notes:
  - The stores are encrypted with the vault secret that the run was given by C(--ask-vault-pass),
    C(--vault-password-file), C(--vault-id), or C(vault_password_file) in C(ansible.cfg).
    Read an entry with C(ansible-vault view), give it another secret with C(ansible-vault rekey).
"""
