# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One task for many hosts in one process: each host's own task, carried out by Ansible's executor in a thread.

Ansible makes a process for each host and task, ``forks`` of them at a time. Boards are slow, and nearly all of that
time is waiting. There is no public API for this, so all that is private is used in this file, and tests/versions
tries it with each ansible-core. What it finds to be other than it knows raises NotAtOnceError before any host is
reached; the role then has Ansible do the work in its own way.
"""

from __future__ import annotations

import inspect
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ansible.executor.process import worker as worker_process
from ansible.executor.task_executor import TaskExecutor
from ansible.playbook.block import Block
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from jinja2 import Environment

try:  # since ansible-core 2.19
    from ansible._internal._task import TaskContext
except ImportError:
    TaskContext = None

from .action import plain
from .turns import in_turn

Result = dict[str, Any]

_A_WHILE = 0.5
"""Seconds."""


class NotAtOnceError(Exception):
    """Why it cannot be done here, as the end of a sentence."""


class HostsAtOnce:
    """The hosts that take part in the task of ``action``, one with BYPASS_HOST_LOOP: those that are left of the batch.

    Raises NotAtOnceError where it may be others.
    """

    def __init__(self, action: ActionBase, task_vars: Mapping[str, Any]) -> None:
        self._task: Task = action._task
        self._task_vars = task_vars
        self._worker = worker_process.current_worker
        _require_known_api(self._worker)
        _require_known_participants(self._task)
        self._file_loader = action._loader

    def results(
        self, task_file: str, names: Sequence[str], parallel: int, waiting_still: Callable[[int], None]
    ) -> Iterator[tuple[str, Result]]:
        """Carry out the one task of ``task_file`` for each host of ``names``, at most ``parallel`` at a time. Yields
        each name with the result of its task, in the order in which they end. Those for which the task's conditions do
        not hold are left out. ``waiting_still`` is called now and then, with how many have ended.
        """
        compile_templates_once()  # in this process, which ends with the task
        content = _load(self._file_loader, task_file)
        waiting = list(reversed(names))
        ended: queue.SimpleQueue[tuple[str, Result]] = queue.SimpleQueue()
        turn = threading.Lock()

        def work() -> None:
            while True:
                try:
                    name = waiting.pop()
                except IndexError:
                    return
                try:
                    with in_turn(turn):
                        result = self._carry_out(content, name)
                except Exception as error:  # one host's, whatever it is
                    result = {"failed": True, "msg": f"{type(error).__name__}: {error}"}
                ended.put((name, result))

        for _number in range(min(parallel, len(names))):
            # Daemons, so that an interrupt or a timeout of the task ends the process at once.
            threading.Thread(target=work, daemon=True).start()
        number = 0
        while number < len(names):
            try:
                name, result = ended.get(timeout=_A_WHILE)
            except queue.Empty:
                waiting_still(number)
                continue
            number += 1
            if not result.get("skipped"):
                yield name, result

    def _carry_out(self, content: Any, name: str) -> Result:
        parent, play = self._task._parent, self._task.get_play()
        variable_manager = self._worker._variable_manager
        # One of its own, since the executor puts the values of this host into it. An alarm would be the process's.
        task = Task.load(
            {**content, "timeout": 0},
            block=parent,
            role=self._task._role,
            variable_manager=variable_manager,
            loader=self._worker._loader,
        )
        host = variable_manager._inventory.get_host(name)
        batch, play_hosts = (list(self._task_vars[f"ansible_play_{kind}"]) for kind in ("batch", "hosts_all"))
        variables = variable_manager.get_vars(play=play, host=host, task=task, _hosts=batch, _hosts_all=play_hosts)
        for added in ("ansible_current_hosts", "ansible_failed_hosts"):
            if added in self._task_vars:
                variables[added] = self._task_vars[added]
        # Files are not copied here, and Ansible fills in the templates of a connection's every option.
        for program in ("scp", "sftp"):
            variables.pop(f"ansible_{program}_extra_args", None)
        return _plain_result(self._execute(host, task, variables))

    def _execute(self, host: Any, task: Task, variables: dict[str, Any]) -> Result:
        worker = self._worker
        common = (worker._loader, worker._shared_loader_obj, worker._final_q, worker._variable_manager)
        if TaskContext is None:  # before 2.19
            executor = TaskExecutor(host, task, variables, worker._play_context, worker._new_stdin, *common)
            return dict(executor.run())
        if not hasattr(TaskContext, "create"):  # before 2.21
            with TaskContext(task):
                return dict(TaskExecutor(host, task, variables, worker._play_context, *common).run())
        with TaskContext.create(task=task, task_vars=variables, host_name=host.name):
            task.squash()
            return dict(TaskExecutor(host, worker._play_context, *common).run().as_result_dict())


def compile_templates_once() -> None:
    """Hosts have most templates in common, those of their connections' options above all, and compiling them anew for
    each took a quarter of the time. Known by the object, not by its text, since Ansible notes with the object whether
    to trust it, and where it is from."""
    compile_one = Environment.compile
    compiled: dict[tuple[type, bool, int], tuple[str, Any]] = {}

    def compile_once(environment: Environment, source: Any, *more: Any, **options: Any) -> Any:
        if not isinstance(source, str) or more or options:
            return compile_one(environment, source, *more, **options)
        key = type(environment), environment.keep_trailing_newline, id(source)
        if key not in compiled:
            compiled[key] = source, compile_one(environment, source)  # it stays, so that no other gets its id
        return compiled[key][1]

    Environment.compile = compile_once  # type: ignore[assignment]


def _require_known_api(worker: Any) -> None:
    own, context = ["host", "play_context"], ["task", "task_vars", "host_name"]
    if TaskContext is None:
        own, context = ["host", "task", "job_vars", "play_context", "new_stdin"], []
    elif not hasattr(TaskContext, "create"):
        own, context = ["host", "task", "job_vars", "play_context"], []
    expected = {TaskExecutor: [*own, "loader", "shared_loader_obj", "final_q", "variable_manager"]}
    if context:
        expected[TaskContext.create] = context
    attributes = ("_play_context", "_loader", "_shared_loader_obj", "_final_q", "_variable_manager")
    if not all(map(partial(hasattr, worker), attributes)) or any(
        list(inspect.signature(call).parameters) != parameters for call, parameters in expected.items()
    ):
        raise NotAtOnceError("this ansible-core is not known well enough")


def _require_known_participants(task: Task) -> None:
    """Ansible does not tell a task which hosts are at it: only which ones are left in the play."""
    parent = task._parent
    while parent is not None:
        if isinstance(parent, Block):
            if parent.rescue or parent.always:
                raise NotAtOnceError("hosts that failed before may be in another part of the block around it")
        elif not getattr(parent, "statically_loaded", True) and (parent.when or parent.loop is not None):
            raise NotAtOnceError("it is included under a condition or in a loop")
        parent = parent._parent


def _load(loader: Any, task_file: str) -> Any:
    trusted = "trusted_as_template" in inspect.signature(loader.load_from_file).parameters
    (content,) = loader.load_from_file(task_file, **({"trusted_as_template": True} if trusted else {}))
    return content


def _plain_result(result: Mapping[str, Any]) -> Result:
    """Without what Ansible adds for itself; warnings as texts."""
    drawn = {name: value for name, value in result.items() if not name.startswith("_ansible") and name != "invocation"}
    drawn.pop("exception", None)
    drawn.pop("deprecations", None)
    if warnings := drawn.get("warnings"):
        drawn["warnings"] = [warning if isinstance(warning, str) else warning.event.msg for warning in warnings]
    return dict(plain(drawn))
