"""Simulated meters on a real Modbus link, many units on one. Reads only: every other function is refused with 01.

This and `simulate_opcua` are the only servers of the agent; the daemon never imports them.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

from pymodbus.constants import ExcCodes
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.simulator import DataType, SimData, SimDevice

from agent.acquire.points import Part, Point
from agent.buses import Modbus, ModbusRtu
from agent.field import simulate_encode as encode
from agent.field import simulate_links
from agent.field.simulate_meter import Simulated
from shared.clock import Clock

_READS = (3, 4)
_NOBODY = 0  # pymodbus gives a unit that no meter has to device 0
_BRIDGED = 125  # registers between two points exist where a block may span them

Spans = list[tuple[int, int]]


class ModbusPort:
    """One link with its meters by unit id."""

    def __init__(self, bus: Modbus, meters: Mapping[int, Simulated], clock: Clock) -> None:
        # What pymodbus logs of refused requests is what a person asked for.
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        self._bus = bus
        self._meters = meters
        self._clock = clock
        self._spans = {unit: _spans(meter) for unit, meter in meters.items()}
        self._open = AsyncExitStack()

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the link is in use or not ours, or a serial number does not fit its registers.
        """
        for meter in self._meters.values():
            _check_serial(meter)
        devices = [self._device(unit, spans) for unit, spans in self._spans.items()]
        if _NOBODY not in self._meters:
            devices.append(SimDevice(_NOBODY, simdata=SimData(0, datatype=DataType.REGISTERS, readonly=True)))
        await self._open.enter_async_context(simulate_links.serving(self._bus, devices, self._pdu, self._clock))

    async def stop(self) -> None:
        """Close every connection."""
        await self._open.aclose()

    def _device(self, unit: int, spans: Mapping[int, Spans]) -> SimDevice:
        merged = _merged(sorted(span for one in spans.values() for span in one), 0)
        blocks = [
            SimData(start, count=end - start, datatype=DataType.REGISTERS, readonly=True) for start, end in merged
        ]
        return SimDevice(unit, simdata=blocks, action=partial(self._answer, unit))

    async def _answer(
        self,
        unit: int,
        function: int,
        first: int,
        address: int,
        count: int,
        registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Put what the meter shows now into ``registers``, or say why not."""
        meter, now = self._meters[unit], self._clock.wall()
        if (delay := meter.delay_s(now)) > 0:
            await self._clock.sleep(delay)
        if (code := meter.refusal(now)) is not None:
            return ExcCodes(code)
        known = self._spans[unit].get(function, [])
        if written is not None or not any(start <= address and address + count <= end for start, end in known):
            return ExcCodes.ILLEGAL_ADDRESS
        for place, word in meter.beside(now).get(function, {}).items():
            if address <= place < address + count:
                registers[place - first] = word
        for part, words in _shown(meter, function, address, address + count, now):
            registers[part.address - first : part.end - first] = words
        return None

    def _pdu(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:  # noqa: FBT001 - pymodbus calls it so
        """Drop requests to silent meters; refuse whatever is no read, and units that no meter has.

        On a serial line nobody answers for a unit that is not there.
        """
        meter = self._meters.get(pdu.dev_id)
        if not sending:
            silent = isinstance(self._bus, ModbusRtu) if meter is None else meter.silent(self._clock.wall())
            return None if silent else pdu  # type: ignore[return-value] # pymodbus drops what is empty
        function = pdu.function_code & 0x7F
        if function not in _READS:
            return _refusal(pdu, function, ExcCodes.ILLEGAL_FUNCTION)
        return pdu if meter is not None else _refusal(pdu, function, ExcCodes.GATEWAY_NO_RESPONSE)


def _refusal(pdu: ModbusPDU, function: int, code: ExcCodes) -> ModbusPDU:
    return ExceptionResponse(function, code, pdu.dev_id, pdu.transaction_id)


def _points(meter: Simulated) -> list[Point]:
    serial = meter.profile.serial
    return [*meter.profile.points, *([serial] if serial else [])]


def _spans(meter: Simulated) -> dict[int, Spans]:
    """Return by function the address ranges that exist: what stands there, and short holes between."""
    by_function: dict[int, Spans] = {}
    for point in _points(meter):
        for part in point.parts:
            by_function.setdefault(part.function, []).append((part.address, part.end))
    for function, beside in meter.beside(0).items():
        by_function.setdefault(function, []).extend((address, address + 1) for address in beside)
    forbidden = meter.meter.profile.forbidden
    return {function: _merged(sorted(spans), _BRIDGED, forbidden) for function, spans in by_function.items()}


def _merged(spans: Spans, bridged: int, forbidden: Sequence[tuple[int, int]] = ()) -> Spans:
    merged: Spans = []
    for start, end in spans:
        last = merged[-1][1] if merged else start
        barred = any(last < stop and first < start for first, stop in forbidden)
        if merged and start - last <= bridged and not barred:
            merged[-1] = (merged[-1][0], max(last, end))
        else:
            merged.append((start, end))
    return merged


def _shown(meter: Simulated, function: int, start: int, end: int, now: int) -> list[tuple[Part, list[int]]]:
    """Return the parts of a meter inside a request and their words."""
    found = []
    for point in _points(meter):
        inside = [n for n, p in enumerate(point.parts) if p.function == function and start < p.end and p.address < end]
        if inside:
            words = _serial(meter, now) if point.quantity == "serial" else meter.words(point, now)
            found += [(point.parts[n], words[n]) for n in inside]
    return found


def _serial(meter: Simulated, now: int) -> list[list[int]]:
    point = meter.profile.serial
    return [] if point is None else [encode.serial(meter.serial(now), point, meter.meter.id)]


def _check_serial(meter: Simulated) -> None:
    _serial(meter, 0)
