"""The contract of both sides: values, wire format, proofs. Pure, save `cli`, `keys` and `clock`."""

__version__ = "0.1.0"
