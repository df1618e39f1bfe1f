"""Billing determinants of a period, and how far what is missing or estimated could move them (market.md section 2.7).

Rules of this folder: exact integers and fractions, one rounding (half-even) at the end; a determinant that a missing or
estimated interval could change is `provisional`, with both bounds; None as upper bound means: nothing bounds it.
"""
