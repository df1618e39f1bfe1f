"""What the engineer on site runs."""
