"""`wattseal collector ...`: what runs at the centre; one file a group of commands in `collector.commands`."""

import click

from collector.commands.agents import agents
from collector.commands.backup import backup, restore
from collector.commands.base import check, import_file, init, serve
from collector.commands.calendar import calendar
from collector.commands.deliver import deliver
from collector.commands.keys import keys
from collector.commands.ledger import ledger
from collector.commands.meters import meters
from collector.commands.outside import outside
from collector.commands.points import points
from collector.commands.release import release
from collector.commands.rotate import rotate
from collector.commands.rules import rules
from collector.commands.vee import vee


@click.group()
def collector() -> None:
    """The centre: ledger, validation, releases."""


for command in (
    init, check, serve, import_file, backup, restore, rotate, keys, agents, meters, rules, calendar,
    points, outside, vee, release, deliver, ledger,
):  # fmt: skip
    collector.add_command(command)
