"""A meter that flaps ten times a second for an hour: what happened is told, in a bounded number of bytes."""

from agent.measure.notices import MOST_APART, Notices, merged
from shared import strictjson
from shared.batch import Event

US = 1_000_000
HOUR, A_SECOND = 3600, 10
KINDS = ("meter_lost", "register_reset")


def _storm(seconds: int) -> list[Event]:
    """Return what is sealed of a storm. [s]"""
    notices = Notices()
    for number in range(seconds * A_SECOND):
        at = number * US // A_SECOND
        for kind in KINDS:
            seam: dict[str, object] = {
                "last": [at, 1000 + number],
                "first": [at + 1, number],
                "enc": "int",
                "mult": [[1, 1]],
            }
            notices.note("a", kind, at, {"energy_active_import": seam})
    return notices.take([])


def _bytes(events: list[Event]) -> int:
    return sum(len(strictjson.dumps([one.event, one.first, one.last, one.count, one.detail])) for one in events)


def test_an_hour_of_flapping_makes_no_more_bytes_than_a_minute() -> None:
    minute, hour = _storm(60), _storm(HOUR)
    assert len(hour) == len(minute) == 1 + MOST_APART + 1
    assert _bytes(hour) < 2_000
    for kind in KINDS:
        own = [one for one in hour if one.event == kind]
        assert sum(one.count for one in own) == HOUR * A_SECOND
        assert (own[0].first, own[-1].last) == (0, HOUR * US - US // A_SECOND)


def test_the_reads_around_a_storm_of_resets_are_kept() -> None:
    resets = [one for one in _storm(60) if one.event == "register_reset"]
    first, rest = resets[0].detail["energy_active_import"], resets[-1].detail["energy_active_import"]
    assert isinstance(first, dict)
    assert isinstance(rest, dict)
    assert first["last"] == [0, 1000]
    assert rest["last"] == [MOST_APART * US // A_SECOND, 1000 + MOST_APART]  # before the first that is not told alone
    assert rest["first"] == [599 * US // A_SECOND + 1, 599]  # after the last


def test_merging_what_was_merged_changes_nothing() -> None:
    once = _storm(60)
    assert merged(once) == once
    assert merged([*once, *once])[0].count == 2 * once[0].count
