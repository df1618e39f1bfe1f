"""The description of the API is frozen: a change of it is seen, and meant."""

import json
import os
from pathlib import Path
from typing import Any

from collector.office.app import create
from collector.store.engine import open_store
from collector.store.migrate import migrate
from tests.collector.conftest import Centre
from tests.collector.office.conftest import Bureau

FROZEN = Path(__file__).parents[2] / "cases" / "openapi.json"


def differences(old: Any, new: Any, at: str = "") -> list[str]:  # noqa: ANN401 - any JSON
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{at}/{key}")]
    return [] if old == new else [f"{at}: {json.dumps(old)[:80]} became {json.dumps(new)[:80]}"]


def test_the_description_is_the_frozen_one(tmp_path: Path) -> None:
    """Run with WATTSEAL_FREEZE=1 to write the file anew, once every difference is meant."""
    store = open_store("sqlite", tmp_path)
    migrate(store)
    now = create(Bureau(Centre(store)).parts).openapi()
    store.close()
    if os.environ.get("WATTSEAL_FREEZE") == "1":
        FROZEN.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    found = differences(json.loads(FROZEN.read_text(encoding="utf-8")), now)
    assert not found, "the API changed:\n" + "\n".join(found[:20])
    assert now["openapi"].startswith("3.1")
