# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible Vault with the secrets that the user gave to this run.

Ansible documents no way for a plugin to reach them, so this file is the only one that touches
what is not documented; tests/integration runs it on each supported ansible-core.
"""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.vault import PromptVaultSecret, VaultLib, match_encrypt_secret, parse_vaulttext_envelope

from ..errors import PelionError

VAULT_HEADER = b"$ANSIBLE_VAULT;"
"""How every vault text begins."""


class VaultError(PelionError):
    """A text could not be encrypted or decrypted."""


class NoSecretError(VaultError):
    """The run was given no vault secret at all."""


class Vault:
    """Encrypts and decrypts with a list of ``(vault id, secret)`` pairs.

    ``vault_id`` names the secret that new texts are encrypted with, ``identity`` the one without it: what Ansible's
    setting vault_encrypt_identity says. Without either, secrets of several ids are not chosen from, as `ansible-vault
    encrypt` does not: the first may be known to more people than may open the text.
    """

    def __init__(
        self, secrets: list[tuple[str, Any]], vault_id: str | None = None, identity: str | None = None
    ) -> None:
        self._secrets = secrets
        self._library = VaultLib(secrets)
        self._vault_id = vault_id
        self._identity = identity

    @classmethod
    def of_this_run(cls, loader: Any, vault_id: str | None = None) -> Vault:
        """The vault of the running playbook; ``loader`` is an action plugin's ``self._loader``."""
        identity = constants.DEFAULT_VAULT_ENCRYPT_IDENTITY
        try:
            from ansible.parsing.vault import VaultSecretsContext  # ansible-core 2.19 and newer
        except ImportError:
            return cls(list(loader._vault.secrets or []), vault_id, identity)
        context = VaultSecretsContext.current(optional=True)
        return cls(list(context.secrets if context else []), vault_id, identity)

    def encrypt(self, plain: bytes) -> bytes:
        """Vault text of ``plain``.

        Raises VaultError when the run has no vault secret, none of the wanted id, or several and nothing chooses.
        """
        found_id, secret = self._choice()
        # The id "default" is how Ansible calls a secret that was given without an id: such files carry none.
        return bytes(self._library.encrypt(plain, secret=secret, vault_id=None if found_id == "default" else found_id))

    def chosen_id(self) -> str:
        """The vault id of the secret that ``encrypt`` takes. Raises VaultError as that does."""
        return self._choice()[0]

    def was_typed(self) -> bool:
        """Whether the secret that ``encrypt`` takes was typed at a prompt. Raises VaultError as that does."""
        return isinstance(self._choice()[1], PromptVaultSecret)

    def opens(self, text: bytes) -> bool:
        """Whether the secret that ``encrypt`` takes opens the vault text ``text``. Raises VaultError as that does."""
        try:
            Vault([self._choice()]).decrypt(text)
        except NoSecretError:
            raise
        except VaultError:
            return False
        return True

    def decrypt(self, text: bytes) -> bytes:
        """The plain bytes of a vault text. Raises VaultError when no secret of this run opens it."""
        return self._open(text)[0]

    def replace(self, old_text: bytes, plain: bytes) -> bytes:
        """Vault text of ``plain`` under the secret and the vault id of ``old_text``.

        Raises VaultError when no secret of this run opens ``old_text``.
        """
        _old_plain, label, secret = self._open(old_text)
        return bytes(self._library.encrypt(plain, secret=secret, vault_id=label))

    def _choice(self) -> tuple[str, Any]:
        wanted = self._vault_id or self._identity
        self.require_secrets()
        ids = sorted({name for name, _secret in self._secrets})
        if not wanted and len(ids) > 1:
            raise VaultError(
                f"This run has secrets of several vault IDs ({', '.join(ids)}), and nothing says which one encrypts "
                "new entries. Set vault_id (in the role and the playbooks: provision_pelion_vault_id), or "
                "vault_encrypt_identity in ansible.cfg."
            )
        try:
            found_id, secret = match_encrypt_secret(self._secrets, encrypt_vault_id=wanted)
            return str(found_id), secret
        except AnsibleError as error:
            setting = "vault_id, in the role provision_pelion_vault_id" if self._vault_id else "vault_encrypt_identity"
            raise VaultError(
                f"No vault secret with the id {wanted!r} ({setting}) was given to this run (it has: {', '.join(ids)}). "
                f"Give it with --vault-id {wanted}@SOURCE, or choose another ID."
            ) from error

    def _open(self, text: bytes) -> tuple[bytes, str | None, Any]:
        """A vault text's content, the vault id that it is labelled with, and the secret that opens it."""
        self.require_secrets()
        label = None
        try:
            _ciphertext, _version, _cipher, found = parse_vaulttext_envelope(text, default_vault_id="default")
            label = None if found == "default" else found
            plain, _secret_id, secret = self._library.decrypt_and_get_vault_id(text)
        except (AnsibleError, ValueError, IndexError, TypeError) as error:  # the latter for damaged headers
            written = f" (it was written with the vault id {label!r})" if label else ""
            raise VaultError(
                f"cannot be opened with any of this run's vault secrets{written}, or is damaged"
            ) from error
        return bytes(plain), label, secret

    def require_secrets(self) -> None:
        """Raise NoSecretError when the run was given no secret."""
        if not self._secrets:
            raise NoSecretError(
                "The stores hold keys and are kept in Ansible Vault, but this run was given no vault secret. "
                "Add --ask-vault-pass, --vault-password-file FILE or --vault-id ID@SOURCE, "
                "or set vault_password_file in ansible.cfg."
            )
