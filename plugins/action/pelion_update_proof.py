# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ..plugin_utils.board.description import BoardStatus
from ..plugin_utils.credentials.update_resources import UpdateResources
from ..plugin_utils.errors import PelionError
from ..plugin_utils.fleet.memory import Remembered, note_update_proofs, read_fleet
from ..plugin_utils.fleet.proving import Candidate, Inquiry, Verdict, inquire, proofs_of, proven_by_log
from ..plugin_utils.fleet.readiness import Holding
from ..plugin_utils.reasons import Reason
from ..plugin_utils.report.failure import Failure
from ..plugin_utils.report.reasons import KINDS
from ..plugin_utils.report.status import Answer
from ..plugin_utils.task.action import Action
from ..plugin_utils.task.pelion_options import PELION_ARGUMENTS, open_api
from ..plugin_utils.task.readiness_options import TERMS_ARGUMENTS, terms_of
from ..plugin_utils.task.reporting import answers_of
from ..plugin_utils.task.store_options import STORE_ARGUMENTS, open_stores


class ActionModule(Action):
    ARGUMENTS = {
        **PELION_ARGUMENTS,
        **STORE_ARGUMENTS,
        **TERMS_ARGUMENTS,
        "boards": {"type": "dict"},
        "timeout": {"type": "int", "default": 600},
        "counterpart": {"type": "bool", "default": False},
        "again": {"type": "bool", "default": False},
        "require": {"type": "dict"},
        "log": {"type": "list", "elements": "dict", "default": []},
    }
    RULES = {
        "mutually_exclusive": [["boards", "require"]],
        "required_one_of": [["boards", "require"]],
    }

    def perform(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments["require"] is not None:
            return self._require(arguments)
        if arguments["timeout"] < 1:
            raise PelionError(f"timeout is {arguments['timeout']}, but must be at least 1 second.")
        answers = answers_of(arguments["boards"])
        stores = open_stores(self, arguments, only_read=True)
        remembered = read_fleet(stores.team)
        found = list(stores.team.entries(UpdateResources))
        entries = [(one.name or "", one.entry) for one in found if one.entry is not None]
        with open_api(self, arguments, stores) as api:
            candidates = [_candidate(name, answer, remembered.get(name)) for name, answer in answers.items()]
            inquiry = inquire(
                api,
                candidates,
                entries,
                lambda ahead: terms_of(arguments, ahead),
                whole=len(entries) == len(found),
                again=arguments["again"],
            )
            verdicts = dict(inquiry.settled)
            if not self.check_mode:
                inquiry.clear(api)
                for question in inquiry.questions:
                    now = datetime.now(timezone.utc)
                    said = question.ask(api, arguments["timeout"], now, self.warn, counterpart=arguments["counterpart"])
                    # At once: what follows may fail.
                    note_update_proofs(stores.team, dict(proofs_of(said)))
                    verdicts |= said
        return self._result(inquiry, verdicts, remembered, counterpart=arguments["counterpart"])

    def _require(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Fails for a board that did not prove it, with its reason as the task's."""
        board = arguments["require"]
        if board.get("outcome") == "proven":
            return {"changed": False}
        if proof := proven_by_log(board, arguments["log"], datetime.now(timezone.utc)):
            if not self.check_mode:
                team = open_stores(self, arguments, only_read=True).team
                note_update_proofs(team, {str(self._task_vars["inventory_hostname"]): proof})
            return {"changed": True}
        facts = {name: board[name] for name in ("reason", "reason_facts", "outcome", "result") if name in board}
        raise PelionError(str(board.get("message") or "The board was not asked."), **facts)

    def _result(
        self,
        inquiry: Inquiry,
        verdicts: Mapping[str, Verdict],
        remembered: Mapping[str, Remembered],
        *,
        counterpart: bool,
    ) -> dict[str, Any]:
        asked = [board for question in inquiry.questions for board in question.boards]
        before = {board: _proven_at(remembered.get(board)) for board in asked}
        after = {
            board: verdicts[board].proof.proven_at if board in verdicts and verdicts[board].proof else None
            for board in asked
        }
        return {
            "changed": bool(asked or inquiry.left_over),
            "boards": {name: _told(verdict) for name, verdict in sorted(verdicts.items())},
            "asked": sorted(asked),
            "gets": {
                **dict.fromkeys(asked, "asked to prove that it takes updates"),
                **{name: f"not asked: {why.text(KINDS)}" for name, why in inquiry.obstacles.items()},
            },
            "proven": sorted(name for name, verdict in verdicts.items() if verdict.outcome == "proven"),
            "campaigns": inquiry.campaigns(counterpart=counterpart),
            "left_over": list(inquiry.left_over),
            "diff": {"before": {"proven_at": before}, "after": {"proven_at": before if self.check_mode else after}},
        }


def _candidate(name: str, answer: Answer, remembered: Remembered | None) -> Candidate:
    if isinstance(answer, BoardStatus):
        return Candidate.of(name, answer, remembered.update_proof if remembered else None)
    reason = answer.reason if isinstance(answer, Failure) else None
    return Candidate(name, Holding(None, timedelta(0)), obstacle=reason or Reason("failed"))


def _told(verdict: Verdict) -> dict[str, Any]:
    told = verdict.to_json()
    reason = verdict.reason
    return {**told, "message": "" if reason is None else reason.message(KINDS)}


def _proven_at(remembered: Remembered | None) -> str | None:
    return remembered.update_proof.proven_at if remembered and remembered.update_proof else None
