# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""mbl_sign_update: see plugins/modules/mbl_sign_update.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..plugin_utils.durable_file import replace_file
from ..plugin_utils.errors import PelionError
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.given_files import read_given_file
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores
from ..plugin_utils.team.signing import UpdateSigner


class ActionModule(Action):
    ARGUMENTS = {
        **STORE_ARGUMENTS,
        # A name, and no secret.
        "key": {"type": "str", "required": True, "no_log": False},
        "src": {"type": "str", "required": True},
        "dest": {"type": "path", "required": True},
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        signer = UpdateSigner(open_stores(self, arguments).team, arguments["key"])
        _path, content = read_given_file(self, "src", arguments["src"])
        dest = Path(self._loader.path_dwim(arguments["dest"]))
        try:
            # Each signature is another one.
            changed = not (dest.is_file() and signer.has_signed(content, dest.read_bytes()))
            if changed and not self.check_mode:
                replace_file(dest, signer.sign(content), 0o644)
        except OSError as error:
            raise PelionError(f"dest: {dest} cannot be written: {error.strerror}.") from error
        return {
            "changed": changed,
            "name": signer.name,
            "fingerprint": signer.resources.fingerprint,
            "dest": str(dest),
        }
