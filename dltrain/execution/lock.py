"""The lock of a session: one run at a time, and none while the process forks."""

from __future__ import annotations

import os
from threading import Lock, RLock, get_ident
from weakref import WeakSet

_fork = Lock()  # held by the thread that forks
_locks: WeakSet[SessionLock] = WeakSet()


class SessionLock:
    """What a thread holds while it uses a session's memory; it may take it again.

    A fork waits until no run goes on: OpenBLAS, asked to fork within a product, never returns, and a child
    would wait for a lock whose thread it does not have.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self._owner, self._depth = 0, 0  # the thread that holds it, and how many times
        _locks.add(self)

    def __enter__(self) -> None:
        # Not to take the lock again and again before the thread that forks has it; which waits for the owner.
        if _fork.locked() and self._owner != get_ident():
            with _fork:
                pass
        self.lock.acquire()
        self._owner = get_ident()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = 0
        self.lock.release()


_held: list[SessionLock] = []


def _before_fork() -> None:
    _fork.acquire()
    _held.extend(_locks)
    for lock in _held:
        lock.lock.acquire()


def _after_fork() -> None:
    while _held:
        _held.pop().lock.release()
    _fork.release()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
