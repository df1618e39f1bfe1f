"""A site whose disk somebody else fills and empties again: run on a small filesystem, says what it saw."""

import json
import logging
import sys
from pathlib import Path

from agent.daemon import Agent
from shared.batch import Gap
from tests.site_bench import Bench

METER = "m0"


class Said(logging.Handler):
    """Keeps what was said, and when by the site's clock."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench, self.lines = bench, list[tuple[str, int]]()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), self.bench.clock.boot() // 1_000_000))


class Somebody:
    """Another program of the machine, which takes all room that is left."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "somebody-elses"
        self.at = 0

    def take(self, agent: Agent) -> None:
        self.at = agent.clock.boot() // 1_000_000
        with self.file.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def give(self, _agent: Agent) -> None:
        self.file.unlink()


def run(folder: Path) -> dict[str, object]:
    bench = Bench(folder, **{METER: "", "m1": ""})  # type: ignore[arg-type] # meters by name
    said, somebody = Said(bench), Somebody(folder)
    logging.getLogger("agent").addHandler(said)
    logging.getLogger("agent").setLevel(logging.INFO)

    def few(agent: Agent) -> None:
        agent.unsealed.most = 6

    bench.run(650, few, somebody.take, *[300] * 60, somebody.give, 900)
    values, gaps = bench.values(METER), [gap for gap in bench.gaps() if gap.meter == METER]
    blocks = bench.blocks(METER)
    first, last = blocks[0].registers["energy_active_import"], blocks[-1].registers["energy_active_import"]
    assert first.raw[0] is not None
    assert last.raw[-1] is not None
    return {
        "alarm_s": next((at for what, at in said.lines if what in ("outbox_tight", "outbox_full")), 0) - somebody.at,
        "said": [what for what, _ in said.lines], "values": {str(start): value for start, value in values.items()},
        "gaps": [[gap.start, gap.stop, gap.reason] for gap in gaps if isinstance(gap, Gap)],
        "advance": int((last.raw[-1][0] - first.raw[0][0]) * 1000),  # type: ignore[operator] # one register
        "ballast": (folder / "ballast").stat().st_size,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
