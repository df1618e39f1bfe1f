"""Validation and estimation: pure functions over arrays, without database and configuration (DESIGN.md section 7.3)."""

from collector.vee.block import Block, stacked
from collector.vee.estimate import estimate
from collector.vee.series import Estimate, Finding, Series
from collector.vee.validate import Setting, findings, validate, validate_block

__all__ = [
    "Block", "Estimate", "Finding", "Series", "Setting", "estimate", "findings", "stacked", "validate",
    "validate_block",
]  # fmt: skip
