"""Every rule over one series, in the order of the catalogue (vee.md section 4)."""

from collections.abc import Sequence

import collector.vee.rules  # noqa: F401 - importing it registers the rules
from collector.vee.registry import RULES
from collector.vee.series import Finding, Series


def validate(series: Series, rules: Sequence[str] | None = None) -> list[Finding]:
    """Return what the rules object to, by rule and then by time.

    A rule that makes no sense for the kind of channel (a negative value of a net flow) is passed over.

    Args:
        series: The channel to look at.
        rules: Rule ids in the order wanted, or None for all.

    Raises:
        ValueError: no such rule.
    """
    entries = [RULES.get(name) for name in (RULES.names() if rules is None else rules)]
    return [finding for entry in entries if entry.fits(series) for finding in entry.work(series)]
