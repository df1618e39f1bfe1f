"""Named steps at which a test may end the process, as a power cut would: `WATTSEAL_FAILPOINT=name[:nth]`.

The variable is read once, when the program starts; without it `reach` does nothing and nothing can end a process here.
A name that is none of these ends the program at once: a test that crashes nowhere proves nothing.
"""

import itertools
import os
from collections.abc import Callable

CRASHED = 137  # as kill -9 leaves it
AGENT = (
    "agent.before_sign", "agent.after_sign", "agent.before_commit", "agent.after_commit", "agent.before_publish",
    "agent.after_publish", "agent.before_mark", "agent.after_mark", "agent.before_prune", "agent.after_prune",
)  # fmt: skip
ROTATION = ("agent.before_rotate", "agent.after_rotate")
COLLECTOR = (
    "collector.before_verify", "collector.after_verify", "collector.before_commit", "collector.after_commit",
    "collector.before_receipt", "collector.after_receipt", "collector.before_puback", "collector.after_puback",
)  # fmt: skip
STEPS = AGENT + ROTATION + COLLECTOR


def armed(text: str | None) -> Callable[[str], None]:
    """Return what is to be called at each step.

    Args:
        text: `name` or `name:nth` (counted from 1); None where nothing may end.

    Raises:
        SystemExit: there is no such step.
    """
    if not text:
        return _pass
    name, _, nth = text.partition(":")
    if name not in STEPS or not (nth or "1").isdecimal():
        raise SystemExit(f"WATTSEAL_FAILPOINT={text}: no such step; write one of {', '.join(STEPS)}")
    count, last = itertools.count(1), int(nth or 1)

    def crash(step: str) -> None:
        if step == name and next(count) == last:
            os._exit(CRASHED)

    return crash


def _pass(step: str) -> None:
    """Do nothing."""


reach = armed(os.environ.get("WATTSEAL_FAILPOINT"))
