"""Where the signing key lives: a file of this user, or a token that never gives it away."""
