"""What a run has to look at grows with what is new, and not with what is kept."""

from pathlib import Path

from sqlalchemy import text

from collector.store.engine import open_store
from collector.store.migrate import migrate
from collector.vee.agenda import new_segments


def test_new_segments_are_found_by_their_position(tmp_path: Path) -> None:
    store = open_store("sqlite", tmp_path)
    migrate(store)
    with store.read() as connection:
        query = new_segments(7).compile(connection, compile_kwargs={"literal_binds": True})
        plan = [row[-1] for row in connection.execute(text(f"explain query plan {query}"))]
    store.close()
    assert "SEARCH raw_segment USING INDEX raw_segment_position_ix (position>?)" in plan
    assert not any(step.startswith("SCAN") for step in plan)
