"""The centre's side: batches -> ledger -> series -> VEE -> points -> releases. Start reading at `main`."""
