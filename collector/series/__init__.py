"""Ledger to raw series and versions: packed segments, selection between sources, `as_of`."""
