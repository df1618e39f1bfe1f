"""Batches to ledger: who may speak, what is admitted, the log and its receipts."""
