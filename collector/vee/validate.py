"""Every rule over one series or over a block of them, in the order of the catalogue (vee.md section 4)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

import collector.vee.rules  # noqa: F401 - importing it registers the rules
from collector.vee.block import Block, single
from collector.vee.catalogue import RULES, Limits, Rule
from collector.vee.heap import keep_freed
from collector.vee.marks import Marks, Spans, sentences
from collector.vee.series import Finding, Series, Severity


@dataclass(frozen=True, slots=True)
class Setting:
    """How a rule is applied from an instant on."""

    since: int = 0  # [UTC s]
    on: bool = True
    severity: Severity | None = None  # instead of the rule's own
    limits: Limits | None = None  # instead of the rule's defaults


#: By rule id, ordered by time: what differs from the defaults.
Settings = Mapping[str, Sequence[Setting]]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one rule objects to in a block."""

    rule: Rule
    marks: tuple[Marks, ...]

    def __len__(self) -> int:
        """Return how many findings these are."""
        return sum(len(one) for one in self.marks)


def validate(series: Series, rules: Sequence[str] | None = None, settings: Settings | None = None) -> list[Finding]:
    """Return what the rules object to, by rule and then by time.

    A rule that makes no sense for the kind of channel (a negative value of a net flow), or whose inputs the series
    does not have (a check meter, a rating), is passed over.

    >>> import numpy as np
    >>> from collector.vee import Series, validate
    >>> hour = np.array([250, 251, -3, 249], dtype=np.int64)  # Wh in a quarter-hour each, of a load
    >>> good = np.ones(4, dtype=np.uint8)
    >>> load = Series(start=1767225600, length=900, values=hour, status=good, timezone="UTC", kind="load")
    >>> [(one.rule, one.severity, one.first, one.stop, one.observed) for one in validate(load, ["E1"])]
    [('E1', 'E', 2, 3, -3)]

    Args:
        series: The channel to look at.
        rules: Rule ids in the order wanted, or None for all.
        settings: What a site has set otherwise, by rule id; see `Setting`.

    Raises:
        ValueError: no such rule.
    """
    return next(_findings(single(series), validate_block(single(series), rules, settings)))


def validate_block(
    block: Block, rules: Sequence[str] | None = None, settings: Settings | None = None
) -> list[Found]:  # fmt: skip
    """Return what the rules object to in a block of channels, as columns; `findings` makes sentences of them.

    Raises:
        ValueError: no such rule.
    """
    keep_freed()
    wanted = [RULES.get(name) for name in (RULES.names() if rules is None else rules)]
    views = {sources: block.seeing(sources) for sources in {rule.sources for rule in wanted}}
    found = [Found(rule, tuple(_look(rule, views[rule.sources], (settings or {}).get(rule.id, ())))) for rule in wanted]
    return [one for one in found if one.marks]


def findings(block: Block, found: Sequence[Found]) -> list[list[Finding]]:
    """Return what was found in a block as findings, a list for each row."""
    return list(_findings(block, found))


def _look(rule: Rule, block: Block, settings: Sequence[Setting]) -> Iterator[Marks]:
    """Give marks of a rule under its settings: each is in force from its instant until the next."""
    if not settings:
        yield from rule.look(block)
        return
    ordered = sorted([Setting(-(2**62)), *settings], key=lambda one: one.since)
    for at, setting in enumerate(ordered):
        until = ordered[at + 1].since if at + 1 < len(ordered) else 2**62
        first, stop = (-(-(edge - block.start) // block.length) for edge in (setting.since, until))
        if setting.on and first < block.n and stop > 0:
            yield from _within(rule.look(block, setting.limits), first, stop, setting.severity)


def _within(found: Sequence[Marks], first: int, stop: int, severity: Severity | None) -> Iterator[Marks]:
    """Give what lies in [first, stop); what reaches beyond is cut there, for other settings may hold."""
    for one in found:
        kept = one.only((one.spans.stop > first) & (one.spans.first < stop))
        if len(kept):
            row, begins, ends = kept.spans
            cut = Spans(row, np.maximum(begins, first), np.minimum(ends, stop))
            yield replace(kept, spans=cut, severity=severity or kept.severity)


def _findings(block: Block, found: Sequence[Found]) -> Iterator[list[Finding]]:
    rows: list[list[tuple[int, int, Finding]]] = [[] for _ in range(block.rows)]
    for order, one in enumerate(found):
        for part in one.marks:
            for row, finding in _told(one.rule, part, block):
                rows[row].append((order, finding.first, finding))
    for own in rows:
        yield [finding for _, _, finding in sorted(own, key=lambda item: item[:2])]


def _told(rule: Rule, part: Marks, block: Block) -> Iterator[tuple[int, Finding]]:
    """Give the findings of one kind with their rows."""
    count = len(part)
    nothing = np.full(count, None)
    columns = (
        part.spans.row, part.spans.first, part.spans.stop,
        nothing if part.observed is None else part.observed, nothing if part.limit is None else part.limit,
    )  # fmt: skip
    told = zip(*(one.tolist() for one in columns), sentences(part, block.grid), strict=True)
    for row, first, stop, observed, limit, text in told:
        yield row, Finding(rule.id, part.severity, first, stop, observed, limit, text, rule.version)
