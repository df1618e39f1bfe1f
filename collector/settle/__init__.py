"""From channels to what is settled: pure functions over arrays and integers (DESIGN.md section 7.4)."""

from collector.settle.determine.catalogue import determinants
from collector.settle.evaluation import evaluate
from collector.settle.rounding import carry_round
from shared.allocation import allocate

__all__ = ["allocate", "carry_round", "determinants", "evaluate"]
