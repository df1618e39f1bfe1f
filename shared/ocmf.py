"""OCMF fiscal records: a meter's register in a form that tools of the charging trade can check.

A record is ``OCMF|<payload>|<signature>`` (OCMF 1.4.1, SAFE-eV); the signature covers the exact bytes of the payload.
The format version is written as 1.3, because the S.A.F.E. parser refuses 1.4 (facts/trust.md section 2). The gateway
signs what it read: such a record is no proof that a meter signed, and not conform to Eichrecht.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from shared.errors import ConfigError
from shared.keys import Signer, Verifier
from shared.quantity import QUANTITIES

VERSION = "1.3"
#: Table 20 has units of active energy only.
UNIT = "kWh"
_DIGITS = 6  # decimals of a kWh in mWh


@dataclass(frozen=True, slots=True)
class Reading:
    """One register of a meter as it was read."""

    quantity: str  # energy_active_import or energy_active_export
    value: Fraction  # [mWh]
    step: int | None  # resolution [mWh]
    at: int  # [UTC us]
    clock: str  # S, I, U, R: Table 19
    exchanged: bool  # another meter or a reset register since the reading before: Table 10, X


def record(
    *, gateway: str, software: str, serial: str, page: int, readings: Sequence[Reading], signer: Signer
) -> str:  # fmt: skip
    """Return a signed fiscal record of one meter.

    Args:
        gateway: Id of the agent.
        software: Its version.
        serial: The meter's serial number.
        page: Pagination in the fiscal context (`F`), one more than that of the record before.
        readings: In the order of their channels.
        signer: The agent's key, on P-256.

    Raises:
        ConfigError: the key is of another kind, or a name holds the separator of the format.
    """
    if signer.alg != "ES256":
        raise ConfigError(f"OCMF knows ECDSA alone; the key {signer.kid} is for {signer.alg}")
    if any("|" in text for text in (gateway, software, serial)):
        raise ConfigError(f"meter serial {serial!r}: OCMF cannot hold a | in a name")
    head = {"FV": VERSION, "GI": gateway, "GV": software, "PG": f"F{page}", "MS": serial, "IS": False}
    members = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in head.items())
    payload = f'{{{members},"RD":[{",".join(_reading(one) for one in readings)}]}}'
    raw = signer.sign(payload.encode("ascii"))
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    return f'OCMF|{payload}|{{"SA":"ECDSA-secp256r1-SHA256","SD":"{der.hex()}"}}'


def _reading(one: Reading) -> str:
    """Return a reading; its value is written digit by digit, since digits are metrology."""
    members = {
        "TM": f'"{_time(one.at)} {one.clock}"', "RV": number(one.value, one.step),
        "RI": f'"{obis(one.quantity)}"', "RU": f'"{UNIT}"', "RT": '"AC"',
        "EF": '""' if one.clock == "S" else '"t"', "ST": '"X"' if one.exchanged else '"G"',
    }  # fmt: skip
    return "{" + ",".join(f'"{key}":{value}' for key, value in members.items()) + "}"


def _time(at: int) -> str:
    moment = datetime.fromtimestamp(at // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S},{at // 1000 % 1000:03d}+0000"


def number(value: Fraction, step: int | None) -> str:
    """Return kWh with as many decimals as the register has.

    >>> number(Fraction(8_123_651_940_000), 1000)
    '8123651.940'
    """
    coarse = len(str(step)) - 1 if step and step == 10 ** (len(str(step)) - 1) else 0
    decimals = max(0, _DIGITS - coarse)
    scaled = round(value / 10 ** (_DIGITS - decimals))
    digits = f"{abs(scaled):0{decimals + 1}d}"
    sign = "-" if scaled < 0 else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"


def obis(quantity: str) -> str:
    """Return the OBIS code in the form of OCMF.

    >>> obis("energy_active_import")
    '01-00:01.08.00*FF'

    Raises:
        ConfigError: the quantity is no active energy.
    """
    found = QUANTITIES[quantity]
    if found.unit != "mWh" or found.obis is None:
        raise ConfigError(f"{quantity}: OCMF has units of active energy only")
    c, d, e = (int(part) for part in found.obis.split("."))
    return f"01-00:{c:02X}.{d:02X}.{e:02X}*FF"


def public_key(verifier: Verifier) -> str:
    """Return a public key as OCMF tools take it: SubjectPublicKeyInfo, DER, in hex."""
    return verifier.key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ).hex()  # fmt: skip
