# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A developer certificate, kept the same in the cloud and in the team store."""

from __future__ import annotations

import time
from typing import Any

from ..cloud.api_answers import CertificateFile, DeveloperCertificate
from ..cloud.errors import ApiError
from ..cloud.pelion_api import PelionApi
from ..credentials.certified import describe_certificate
from ..credentials.developer_credentials import DeveloperCredentials
from ..errors import PelionError
from ..store.store import Store
from ..times import time_text
from .outcome import Outcome

# The service's limits (its OpenAPI description, DeveloperCertificateRequestData).
LONGEST_NAME = 100
LONGEST_DESCRIPTION = 500
DEVICES_PER_CERTIFICATE = 100
"""How many devices a developer certificate serves (the service's documentation, "Device credentials")."""

# When an answer to "create" was lost, the service may still be at work on it: look this many seconds after it.
LOOK_AGAIN_AFTER = (0, 1, 3)


def check_request(name: str, description: str | None) -> None:
    """Raises PelionError for what the service would refuse as name or description."""
    if not 1 <= len(name) <= LONGEST_NAME or name != name.strip() or not name.isprintable():
        raise PelionError(
            f"A developer certificate's name has 1 to {LONGEST_NAME} printable characters and no space at "
            f"either end; {name!r} does not fit."
        )
    if description is not None and len(description) > LONGEST_DESCRIPTION:
        raise PelionError(
            f"A developer certificate's description has at most {LONGEST_DESCRIPTION} characters; "
            f"the one given has {len(description)}."
        )


def describe_developer(certificate: DeveloperCertificate | DeveloperCredentials) -> dict[str, Any]:
    """What describe_certificate tells, with the ``id`` and the ``name`` that it has in the cloud."""
    return {
        "id": certificate.id if isinstance(certificate, DeveloperCertificate) else certificate.certificate_id,
        "name": certificate.name,
        **describe_certificate(certificate.der),
    }


def from_store(store: Store, name: str) -> Outcome | None:
    """The stored certificate as it is, without asking the cloud; None when there is none."""
    stored = store.read(DeveloperCredentials, name)
    if stored is None:
        return None
    state = {"store": _stored_state(stored)}
    return Outcome(
        source="store",
        facts=describe_developer(stored),
        before=state,
        after=state,
        notices=stored.check(),
        credentials=stored,
    )


class DeveloperCertificateKeeper:
    """Brings the certificate ``name`` in cloud and store to a state; with ``dry_run`` only says how.

    What fails on the way is healed by the next run: the cloud is changed first, and what is there is
    found by its name.
    """

    def __init__(self, api: PelionApi, store: Store, name: str, *, dry_run: bool = False) -> None:
        self._api = api
        self._store = store
        self._name = name
        self._dry_run = dry_run
        self._stored = store.read(DeveloperCredentials, name)
        self._found: DeveloperCertificate | None = None

    def present(self, description: str | None = None, *, create: bool = True, force: bool = False) -> Outcome:
        """In the cloud, active, and in the store. ``force`` activates it when somebody made it inactive.

        The outcome's source is ``store``, ``cloud`` or ``made``.
        """
        if self._stored is None:
            self._store.try_secret()  # before anything is asked for that could then not be kept
        outcome = self._compare()
        if self._found is None:
            return self._make(outcome, description, create)
        changes = {}
        if not self._found.active:
            if not force:
                raise PelionError(
                    f"The developer certificate {self._name!r} is INACTIVE in the cloud, so no board can bootstrap "
                    "with it. Activate it with force: true, or use another name.",
                    id=self._found.id,
                )
            changes["status"] = "ACTIVE"
        if description is not None and description != self._found.description:
            changes["description"] = description
        credentials = self._stored
        if credentials is None or credentials.fingerprint != self._found.fingerprint:
            if credentials is not None:
                outcome.notices.append(
                    f"The stored developer certificate {self._name!r} ({credentials.fingerprint}) is no longer the "
                    f"one of that name in the cloud ({self._found.fingerprint}), which takes its place."
                )
            credentials = self._read(self._api.certificate_file(self._found.id))
            if credentials.fingerprint != self._found.fingerprint:
                raise PelionError(
                    f"The cloud's list and its credentials file disagree on the developer certificate {self._name!r}: "
                    f"{self._found.fingerprint} against {credentials.fingerprint}. Try again.",
                    id=self._found.id,
                )
            outcome.source = "cloud"
        else:
            outcome.source = "store"
        self._update(outcome, self._found, changes)
        return self._keep(outcome, credentials, self._found.account_id)

    def inactive(self, description: str | None = None) -> Outcome:
        """In the cloud, but refused to devices that bootstrap. The store's copy stays."""
        outcome = self._compare()
        if self._found is None:
            raise PelionError(
                f"There is no developer certificate {self._name!r} in the cloud, so it cannot be made inactive."
            )
        outcome.source = "store" if self._stored else "cloud"
        changes = {"status": "INACTIVE"} if self._found.active else {}
        if description is not None and description != self._found.description:
            changes["description"] = description
        self._update(outcome, self._found, changes)
        outcome.facts = describe_developer(self._found)
        return outcome

    def absent(self, *, force: bool = False) -> Outcome:
        """Neither in the cloud nor in the store. Refused while registered devices hold it, unless ``force``.

        The outcome's facts have ``devices``, how many registered devices hold it, where that was asked.
        """
        outcome = self._compare()
        outcome.after = {"cloud": None, "store": None}
        outcome.changed = bool(self._found or self._stored)
        if self._found:
            outcome.facts = describe_developer(self._found)
            devices = self._api.device_count({"ca_id__eq": self._found.id, "state__eq": "registered"})
            outcome.facts["devices"] = devices
            if devices and not force:
                raise PelionError(
                    f"{devices} registered devices hold the developer certificate {self._name!r}: without it "
                    "they cannot bootstrap again. To delete it anyway, set force: true.",
                    id=self._found.id,
                    devices=devices,
                )
            if not self._dry_run:
                self._api.delete_trusted_certificate(self._found.id)
        elif self._stored:
            self._require_account(self._stored, self._api.account().id)
            outcome.facts = describe_developer(self._stored)
        if self._stored and not self._dry_run:
            self._store.remove(DeveloperCredentials, self._name)
        return outcome

    def _compare(self) -> Outcome:
        """Look the certificate up in the cloud; an outcome of nothing done yet."""
        self._found = self._look_up()
        if self._stored and self._found:
            self._require_account(self._stored, self._found.account_id)
        state = {"cloud": _cloud_state(self._found), "store": _stored_state(self._stored)}
        return Outcome(before=state, after=dict(state))

    def _look_up(self) -> DeveloperCertificate | None:
        return next(iter(self._api.developer_certificates(self._name)), None)

    def _require_account(self, stored: DeveloperCredentials, account_id: str) -> None:
        """What is stored for one account must not give way to what a key of another one finds."""
        if stored.account_id and stored.account_id != account_id:
            raise PelionError(
                f"The stored developer certificate {self._name!r} belongs to the account {stored.account_id}, but "
                f"the API key to the account {account_id}. Use a key of the first account, or another name or store."
            )

    def _update(self, outcome: Outcome, found: DeveloperCertificate, changes: dict[str, str]) -> None:
        if changes:
            outcome.changed = True
            outcome.after["cloud"] = {**outcome.before["cloud"], **changes}
            if not self._dry_run:
                self._api.update_trusted_certificate(found.id, changes)

    def _keep(self, outcome: Outcome, credentials: DeveloperCredentials, account_id: str) -> Outcome:
        """``account_id`` is the account that the API key belongs to."""
        outcome.notices += credentials.check(account_id=account_id)
        outcome.credentials = credentials
        outcome.facts = describe_developer(credentials)
        if credentials is not self._stored:
            outcome.after["store"] = _stored_state(credentials)
            # A run for another board of the same play may have stored it by now.
            if self._dry_run or self._store.write(self._name, credentials):
                outcome.changed = True
            else:
                outcome.before["store"] = outcome.after["store"]
        return outcome

    def _make(self, outcome: Outcome, description: str | None, create: bool) -> Outcome:
        if not create:
            raise PelionError(
                f"There is no developer certificate {self._name!r} in the cloud, and create is false, so it is not "
                "made."
            )
        if self._stored:
            self._require_account(self._stored, self._api.account().id)
            outcome.notices.append(
                f"The stored developer certificate {self._name!r} ({self._stored.fingerprint}) was deleted in the "
                "cloud. A new one takes its place."
            )
        outcome.source = "made"
        outcome.after["cloud"] = {"status": "ACTIVE", "description": description or ""}
        if self._dry_run:
            outcome.changed = True
            outcome.after["store"] = {}
            outcome.facts = {"name": self._name}
            return outcome
        # The store is not locked while the cloud is at work: of two runs at once, one is told that the name is taken.
        self._store.require_writable(DeveloperCredentials, self._name)
        file, outcome.source = self._create(description)
        credentials = self._read(file)
        outcome.after["cloud"] |= {"id": file.id, "fingerprint": credentials.fingerprint}
        if outcome.source == "made":
            outcome.changed = True
        else:
            outcome.before["cloud"] = outcome.after["cloud"]
        return self._keep(outcome, credentials, file.account_id)

    def _create(self, description: str | None) -> tuple[CertificateFile, str]:
        try:
            return self._api.create_developer_certificate(self._name, description), "made"
        except ApiError as error:
            if error.status == 409:
                found = self._look_up()
                if found is None:
                    raise PelionError(
                        f"The name {self._name!r} is taken by a trusted certificate that is not a developer "
                        "certificate, or by one that was just deleted. Use another name.",
                        **error.facts,
                    ) from error
                return self._api.certificate_file(found.id), "cloud"  # another run was quicker
            if not error.undecided:
                raise
            found = self._find_again(error)
            return self._api.certificate_file(found.id), "made"

    def _find_again(self, lost: ApiError) -> DeveloperCertificate:
        """The certificate whose creation was asked for, when the answer to that was lost.

        There was none of that name right before, so a developer certificate of that name is what was
        asked for. Asking a second time instead could give an error, or cost the account one more.
        """
        for pause in LOOK_AGAIN_AFTER:
            time.sleep(pause)
            try:
                found = self._look_up()
            except ApiError:
                break
            if found:
                return found
        raise PelionError(
            f"{lost} It is not known whether the developer certificate {self._name!r} was made; if it was, the next "
            "run finds it by name.",
            **lost.facts,
        ) from lost

    def _read(self, file: CertificateFile) -> DeveloperCredentials:
        return DeveloperCredentials.from_c_source(
            file.c_source,
            f"the cloud's credentials file of {self._name!r}",
            name=self._name,
            certificate_id=file.id,
        )


def _cloud_state(certificate: DeveloperCertificate | None) -> dict[str, Any] | None:
    if certificate is None:
        return None
    return {
        "id": certificate.id,
        "status": certificate.status,
        "description": certificate.description,
        "fingerprint": certificate.fingerprint,
    }


def _stored_state(credentials: DeveloperCredentials | None) -> dict[str, Any] | None:
    if credentials is None:
        return None
    return {
        "id": credentials.certificate_id,
        "fingerprint": credentials.fingerprint,
        "not_after": time_text(credentials.not_after),
    }
