"""How every command ends: its exit code, and one sentence where it ends for a reason (DESIGN.md 6.3)."""

import sys
from collections.abc import Callable
from typing import NoReturn

from shared.errors import ConfigError, Fenced, WattsealError

GOOD, FINDING, USAGE, CONFIG = 0, 1, 2, 78


def ended(work: Callable[[], object]) -> NoReturn:
    """Do the work of a command, then end; a deliberate error becomes one sentence and its code, never a traceback.

    Raises:
        SystemExit: always.
    """
    try:
        work()
    except (ConfigError, Fenced) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CONFIG)
    except WattsealError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(FINDING)
    sys.exit(GOOD)
