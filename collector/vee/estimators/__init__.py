"""One estimation method a file; importing this package registers them all."""

from collector.vee.estimators import (
    aemo,
    balance,
    check,
    conservative,
    de_7day,
    eei,
    elexon,
    ieso,
    knn,
    like_day,
    like_day_avg,
    linear,
    ridge,
    sym_bridge,
)

__all__ = [
    "aemo", "balance", "check", "conservative", "de_7day", "eei", "elexon", "ieso", "knn", "like_day", "like_day_avg",
    "linear", "ridge", "sym_bridge",
]  # fmt: skip
