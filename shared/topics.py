"""MQTT topics (WIRE.md section 4)."""

from shared.errors import Malformed

ROOT = "wattseal/v1"
ALL_BATCHES = f"{ROOT}/+/up/batch"
ALL_STATES = f"{ROOT}/+/up/state"
#: User property (MQTT 5) of a batch that was compressed for the way (RFC 1950); the signature covers the long form.
COMPRESSED = ("ce", "zlib")


def batch(agent: str) -> str:
    """Return the topic of an agent's batches."""
    return f"{ROOT}/{agent}/up/batch"


def state(agent: str) -> str:
    """Return the topic of an agent's birth and will (retained JSON)."""
    return f"{ROOT}/{agent}/up/state"


def receipt(agent: str) -> str:
    """Return the topic of the receipts for an agent (retained)."""
    return f"{ROOT}/{agent}/down/receipt"


def records(agent: str) -> str:
    """Return the topic of the records that an agent must know of (retained): a restored log, a new collector key."""
    return f"{ROOT}/{agent}/down/records"


def is_state(topic: str) -> bool:
    """Return whether a topic is that of a birth or will."""
    return topic.endswith("/up/state")


def agent_of(topic: str) -> str:
    """Return the agent that a topic belongs to.

    >>> agent_of("wattseal/v1/dc1-gw1/up/batch")
    'dc1-gw1'

    Raises:
        Malformed: not a topic of ours.
    """
    parts = topic.split("/")
    if len(parts) != 5 or parts[:2] != ROOT.split("/"):
        raise Malformed(f"not a Wattseal topic: {topic[:80]!r}")
    return parts[2]
