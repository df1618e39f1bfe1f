"""A finding that no channel, agent or meter tells apart says by a key what it is about: texts may change."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the key, and give it to what stands open."""
    with op.batch_alter_table("finding") as batch:
        batch.add_column(sa.Column("about", sa.Text()))
    found = sa.table(
        "finding", *(sa.column(name) for name in ("id", "rule", "made_by", "position", "text", "resolved_position")),
        sa.column("about"),
    )  # fmt: skip
    connection = op.get_bind()
    is_open = found.c.resolved_position.is_(None)
    for row in connection.execute(sa.select(found).where(is_open, found.c.rule.in_(("delivery", "schedule")))).all():
        about = _about(row.rule, row.made_by, row.text, row.position)
        connection.execute(sa.update(found).where(found.c.id == row.id).values(about=about))


def _about(rule: str, made_by: str, text: str, position: int) -> str:
    """Return the key of a finding of before, by what its text begins with."""
    if rule == "delivery":
        return f"{text.removeprefix('target ').partition(':')[0]}/{position}"
    return f"{made_by}/{'final' if f'{made_by}: the final' in text else 'preliminary'}"
