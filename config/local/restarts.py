"""Restart processes that have ended, with growing waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from config.local.process_manager import ProcessManager

FIRST_WAIT_S = 1.0
MAX_WAIT_S = 30.0
# A process that ran this long was healthy, so the next wait is the first one again.
HEALTHY_S = 60.0


@dataclass
class _State:
    started: float
    next_wait: float = FIRST_WAIT_S
    due: float | None = None


class Restarts:
    """Restarts each process of a manager 1, 2, 4 ... 30 seconds after its end."""

    def __init__(
        self, children: ProcessManager, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._children = children
        self._clock = clock
        self._created = clock()
        self._states: dict[str, _State] = {}

    def check(self) -> None:
        """Announce the processes that have ended, and start those whose wait is over."""
        now = self._clock()
        for name, code in self._children.collect_exits():
            state = self._states.setdefault(name, _State(self._created))
            if now - state.started >= HEALTHY_S:
                state.next_wait = FIRST_WAIT_S
            state.due = now + state.next_wait
            self._children.print(
                f"{name} has ended with code {code} and starts again in {state.next_wait:g} s."
            )
            state.next_wait = min(2 * state.next_wait, MAX_WAIT_S)
        for name, state in self._states.items():
            if state.due is not None and now >= state.due:
                state.started, state.due = now, None
                self._children.restart(name)
