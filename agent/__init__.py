"""The site gateway's side: meter -> readings -> intervals -> sealed batches -> collector. Start reading at `main`."""
