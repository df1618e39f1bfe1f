"""`python -m tests.simulation --seed N`: runs the whole line in simulated time, and replays a failure."""

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.simulation.faults import Faults
from tests.simulation.line import Line, Plan
from tests.simulation.world import BrokenLawError


def main() -> int:
    """Return 0 where every law held, 1 where one broke."""
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(prog="./dev simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1, help="so many seeds, one after the other")
    parser.add_argument("--days", type=float, default=3)
    parser.add_argument("--poll", type=int, default=300, help="seconds; 900 is fastest")
    parser.add_argument("--release-every", type=int, default=1, help="days")
    parser.add_argument("--faults", default="all", help="all, none, or name[=rate],...")
    asked = parser.parse_args()
    faults = {"all": Faults(), "none": Faults.none()}.get(asked.faults) or Faults.named(asked.faults.split(","))
    for seed in range(asked.seed, asked.seed + asked.count):
        if not _one(Plan(seed, asked.days, faults, asked.poll, asked.release_every)):
            return 1
    return 0


def _one(plan: Plan) -> bool:
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="wattseal-simulation-") as folder:
        line = Line(plan, Path(folder))
        try:
            line.run()
        except BrokenLawError as error:
            sys.stdout.write(f"BROKEN {error}\n{line.world.happened}\n")
            sys.stdout.flush()
            return False
    wall = time.perf_counter() - begin
    sealed = sum(len(one.sealing.texts) for one in line.gateways)
    sys.stdout.write(
        f"seed {plan.seed}: {line.world.day:.1f} days in {wall:.1f} s ({line.world.day * 86_400 / wall:,.0f} x),"
        f" {line.world.steps} steps, {sealed} batches, {line.releases} releases, trace {line.world.trace[:16]}\n"
    )
    sys.stdout.flush()
    for what, count in sorted(line.world.happened.items()):
        sys.stdout.write(f"  {count:7} {what}\n")
    return True


if __name__ == "__main__":
    sys.exit(main())
