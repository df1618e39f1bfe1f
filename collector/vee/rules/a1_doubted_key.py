"""A1: signed by a key that may have been in other hands."""

from collections.abc import Iterator

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, spans


@RULES.add("A1", "E", needs=("doubted",), sources=EVERY)
def doubted_key(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to intervals whose signature proves nothing, because the key was lost; admission judges the rest."""
    text = "{many} signed by a key that may have been in other hands; a person decides."
    yield marks("E", text, spans(block.masks["doubted"]), None, None)
