"""Files of another party's meter, loaded beside a line of our own."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from collector.series import channels, versions
from collector.settle.outside import book, offer
from collector.settle.outside.book import Draft
from collector.settle.outside.offer import Offer
from collector.vee.parameters import Check, Parameters
from shared.status import Flags, Status
from tests.collector.settle.test_settle_release import GT1, Office
from tests.collector.vee.test_vee_run import T0
from tests.collector.vee.test_vee_surroundings import put

DAY = 86_400
NEM = datetime.fromtimestamp(T0, UTC) + timedelta(hours=10)  # T0 is a midnight of UTC+10
MARKET = "dc1/pcc-market.energy_active_export"
POINT = replace(GT1, id="pcc-market", formula=MARKET, length=1800, role="grid")


def nem12(values: Sequence[str], *, minutes: int = 30, stamp: str = "20260304060000", words: str = "A,,",
          parts: Sequence[str] = ()) -> bytes:  # fmt: skip
    """Return a file of one day from T0 on."""
    return "".join(
        f"{line}\r\n"
        for line in (
            "100,NEM12,202603040600,MDP1,RETAIL1", f"200,EDGE000001,B1,B1,B1,N1,MTR1,kWh,{minutes},",
            f"300,{NEM:%Y%m%d},{','.join(values)},{words},{stamp},", *parts, "900",
        )
    ).encode()  # fmt: skip


def offered(octets: bytes, name: str = "pcc.csv", quantity: str = "energy_active_export") -> Offer:
    return offer.nem12(octets, name, {"EDGE000001.B1": quantity})


def load(office: Office, given: Offer, *, meter: str = "pcc-market", again: bool = False) -> tuple[Draft, int | None]:
    book.heard(office.centre.store, office.centre.log)
    with office.centre.store.write() as connection:
        now = office.centre.clock.wall()
        return book.load(connection, office.centre.log, "dc1", meter, given, by="anna", now=now, again=again)


def read(office: Office, count: int, length: int = 1800, as_of: int | None = None, name: str = MARKET) -> list[
    tuple[int | None, str, bool, str | None]
]:  # fmt: skip
    """Return value, status, whether it is marked as another's, and method of the first intervals."""
    with office.centre.store.read() as connection:
        number = channels.named(connection, name).id
        seen = versions.read(connection, number, T0, T0 + count * length, length, as_of)
    return [
        (None if status == Status.MISSING else value, Status(status).name, bool(flags & Flags.OUTSIDE),
         seen.methods.get(method))
        for value, status, flags, method in zip(
            seen.values.tolist(), seen.status.tolist(), seen.flags.tolist(), seen.method.tolist(), strict=True
        )
    ]  # fmt: skip


def measured(office: Office, watt_hours: int, count: int = 288) -> None:
    """Let our meter count so much in each five minutes."""
    office.send(0, [100 + watt_hours * at for at in range(count + 1)])


def paired(office: Office) -> None:
    put(office, Parameters(checks=(Check("dc1", "gt1-rev", T0 - 300, "pcc-market"),)))
