"""The page: rendered here, styled by one file, without a script."""
