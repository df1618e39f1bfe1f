"""Every error that this system raises on purpose, sorted by who acts.

WattsealError
├── ConfigError      the operator must change a file or an argument; exit code 78, no restart
├── ReadError        a meter gave no usable answer; the next cycle repairs it
├── LinkDown         a broker or collector cannot be reached; it is tried again
├── StoreError       a database or a disk refuses; a person looks at the machine
│   └── Damaged          what a file holds is not what was written; it is moved aside and salvaged
├── Fenced           another collector has taken the log over; this one stops, exit code 78, no restart
└── TrustError       what arrived cannot be believed; the bytes are kept, the content is refused
    ├── Malformed        not in the published form
    │   └── OffGrid          its intervals do not lie on the grid of their length
    ├── UnknownSigner    no key is known for the key id
    ├── BadSignature     the signature does not fit the bytes
    ├── WrongIdentity    signer, topic, site or audience do not agree
    ├── BrokenChain      sequence or previous hash do not fit
    └── BadProof         an inclusion or consistency proof does not lead to the root

Anything else is a bug: the program stops and systemd starts it again.
"""


class WattsealError(Exception):
    """Base of every deliberate error; its text says what happened, to which thing, and what to do."""


class ConfigError(WattsealError):
    """A file or argument must be changed by the operator."""


class ReadError(WattsealError):
    """A meter did not give a usable answer."""


class LinkDown(WattsealError):  # noqa: N818 - it names a state, and reads so where it is raised
    """A network peer cannot be reached now."""


class StoreError(WattsealError):
    """A database or disk does not take or give what it should."""


class Fenced(WattsealError):  # noqa: N818 - it names a state, and reads so where it is raised
    """Another collector has taken the log over; whoever is told so must stop and sign nothing more."""


class Damaged(StoreError):  # noqa: N818 - names what the file is
    """A file does not hold what was written to it."""


class TrustError(WattsealError):
    """Something that arrived cannot be believed."""

    reason = "untrusted"


class Malformed(TrustError):  # noqa: N818 - names what the bytes are
    """The bytes are not in the published form."""

    reason = "malformed"


class OffGrid(Malformed):
    """Intervals do not begin at a multiple of their length."""


class UnknownSigner(TrustError):  # noqa: N818 - names who
    """No key is known for the key id."""

    reason = "unknown_key"


class BadSignature(TrustError):  # noqa: N818 - names what is bad
    """The signature does not fit the bytes."""

    reason = "bad_signature"


class WrongIdentity(TrustError):  # noqa: N818 - names what is wrong
    """Signer, topic, site or audience do not agree."""

    reason = "wrong_identity"


class OtherBranch(WrongIdentity):
    """The collector acknowledges another batch in a place than the one that was sealed here."""


class BrokenChain(TrustError):  # noqa: N818 - names what broke
    """A sequence number or previous hash does not fit."""

    reason = "broken_chain"


class BadProof(TrustError):  # noqa: N818 - names what is bad
    """A Merkle proof does not lead to the signed root."""

    reason = "bad_proof"
