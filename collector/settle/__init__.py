"""From channels to what is settled (DESIGN.md section 7.4).

- What is settled: `points` (the file), `points_text` (the file had back), `allocations`, `parties`.
- A release made: `making` (all of it), `release`; `computing` (point by point), `sources` (its channels), `evaluation`
  (formulas), `sharing`, `rounding`, `rows`, `behind` (evidence), `columns` and `written` (lines), `gate`, `renewal`.
- Looked at again: `changes`, `proposals`, `replay`, `trace`, `lines` (rows as they are kept), `plainly` (units).
- Billed by: `billing`, `determine`, `terms_file`, `balance`, `balance_file`, `spread`, `uncertainty`, `doubt`.
- Handed over: `folder`, `export`, `formats`, `causes`; when: `schedule` (dates), `scheduled` (what is due).
- Of others: `outside`.
"""

from collector.settle.determine.catalogue import determinants
from collector.settle.evaluation import evaluate
from collector.settle.rounding import carry_round
from shared.allocation import allocate

__all__ = ["allocate", "carry_round", "determinants", "evaluate"]
