"""C1: intervals without a value."""

from collections.abc import Iterator

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.inputs import Bools
from collector.vee.marks import Marks, Spans, marks, spans


@RULES.add("C1", "W", sources=EVERY)
def gap(block: Block, _: Limits) -> Iterator[Marks]:
    """Report each run of missing intervals: a warning, or for information where registers know its energy."""
    found = spans(~block.known)
    count = found.stop - found.first
    lacking = "{many} from {when} without a value"
    if "registers" not in block.numbers or not len(count):
        yield marks("W", f"{lacking}.", found, count, 0)
        return
    told, registers = _told(block, found), block.numbers["registers"]
    advance = registers[found.row, found.stop] - registers[found.row, found.first]
    whole = marks("W", f"{lacking}.", found, count, 0)
    yield whole.only(~told)
    text = f"{lacking}; the register advanced by {{advance}} meanwhile."
    yield marks("I", text, found, count, 0, advance=advance).only(told)


def _told(block: Block, found: Spans) -> Bools:
    """Return whether the registers at both ends of each gap are known and of one run."""
    known = block.masks["registers"]
    told: Bools = known[found.row, found.first] & known[found.row, found.stop]
    runs = block.numbers.get("register_runs")
    return told if runs is None else told & (runs[found.row, found.first] == runs[found.row, found.stop])
