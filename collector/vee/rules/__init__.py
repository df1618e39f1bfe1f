"""One validation rule a file; the ids are those of the rule catalogue A1 to I3. Importing this registers them all."""

from collector.vee.rules import duplicate, gap, limit, monotone, negative, reconcile, spike, zero_run

__all__ = ["duplicate", "gap", "limit", "monotone", "negative", "reconcile", "spike", "zero_run"]
