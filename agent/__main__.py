"""The daemon as a program of its own: what `wattseal agent run` becomes once it has understood its words.

It is the same process with what the daemon needs and nothing else: no command parser, no second heap.
"""

import sys
from pathlib import Path

from agent.field.run import run_until_stopped
from agent.sitefile import load
from shared.exits import ended

if __name__ == "__main__":
    ended(lambda: run_until_stopped(*load(Path(sys.argv[1]))))
