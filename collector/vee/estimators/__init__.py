"""One estimation method a file; importing this package registers them all."""

from collector.vee.estimators import check, conservative, like_day, like_day_avg, linear, sym_bridge

__all__ = ["check", "conservative", "like_day", "like_day_avg", "linear", "sym_bridge"]
