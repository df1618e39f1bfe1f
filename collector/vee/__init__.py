"""Validation and estimation: pure functions over arrays, without database and configuration (DESIGN.md section 7.3)."""

from collector.vee.estimate import estimate
from collector.vee.series import Estimate, Finding, Series
from collector.vee.validate import validate

__all__ = ["Estimate", "Finding", "Series", "estimate", "validate"]
