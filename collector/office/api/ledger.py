"""The ledger: any entry as it was signed, and proofs that the log holds it and only ever grew."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from collector.office.answers import FOREVER, JOSE, JSON, Answer, Whole, media, moment, tagged, tagged_json
from collector.office.parts import Office
from collector.office.problems import absent
from collector.office.terms import Position
from collector.parts import Parts
from shared.errors import ConfigError
from shared.keys import b64url
from shared.quantity import INT64_MAX

router = APIRouter(prefix="/ledger", tags=["ledger"])
Size = Annotated[int | None, Query(ge=0, le=INT64_MAX, description="of the tree; the newest where left out")]


class Consistency(Answer):
    """Proof (RFC 6962 section 2.1.2) that the log still begins with the tree of size `from_size`."""

    from_size: Whole
    hashes: list[str]


class Head(Answer):
    """The log: `checkpoint` is the C2SP text body; receipts carry it signed."""

    log: str
    size: Whole
    root: str
    checkpoint: str
    consistency: Consistency | None


class Entry(Answer):
    """One leaf; `jws` is the string as it was signed, null where its bytes are gone."""

    position: Whole
    leaf_hash: str
    typ: str
    kind: str
    agent: str | None
    epoch: str | None
    seq: Whole | None
    kid: str
    received_at: str
    state: str
    reason: str | None
    jws: str | None


class Proof(Answer):
    """Inclusion proof (RFC 6962 section 2.1.1) of a leaf in the tree of `size`, hashes in base64url."""

    position: Whole
    leaf_hash: str
    log: str
    size: Whole
    checkpoint: str
    inclusion: list[str]


@router.get("", response_model=Head)
def head(
    office: Office,
    request: Request,
    since: Annotated[int | None, Query(alias="from", ge=0, le=INT64_MAX, description="size seen before")] = None,
    size: Size = None,
) -> Response:
    """Return the checkpoint of the log, with the proof that it continues what was seen before."""
    with office.store.read() as connection:
        point = office.log.checkpoint(connection, _reached(size, office.log.size(connection)))
        if since is not None and since > point.size:
            raise ConfigError(f"from: {since} is beyond the tree of {point.size}")
        proof = (
            None if since is None else [b64url(one) for one in office.log.consistency(connection, since, point.size)]
        )
    consistency = None if since is None or proof is None else Consistency(from_size=since, hashes=proof)
    body = Head(
        log=point.origin, size=point.size, root=b64url(point.root), checkpoint=point.text(), consistency=consistency
    )
    return _fixed(request, body, size)


def _reached(size: int | None, newest: int) -> int:
    if size is not None and size > newest:
        raise ConfigError(f"size: the log has {newest} entries; {size} is not reached yet")
    return newest if size is None else size


def _fixed(request: Request, body: Answer, size: int | None) -> Response:
    """Return a body that never changes once the size of the tree was named."""
    if size is not None:
        return tagged_json(request, body, cache=FOREVER)
    return Response(body.model_dump_json(), media_type=JSON)


@router.get("/{position}", response_model=Entry, responses={200: {"content": {JOSE: {}}}})
def entry(office: Office, request: Request, position: Position) -> Response:
    """Return an entry; with `Accept: application/jose` the signed string alone."""
    found = _entry(office, position)
    if media(request, (JSON, JOSE)) == JSON:
        return tagged_json(request, found)
    if found.jws is None:
        raise absent(f"the bytes of entry {position} are gone; its hash is at /v1/ledger/{position}")
    return tagged(request, found.jws.encode("ascii"), JOSE, cache=FOREVER)


def _entry(office: Parts, position: int) -> Entry:
    with office.store.read() as connection:
        found = office.log.entry(connection, position)
        size = office.log.size(connection)
    if found is None:
        raise absent(f"no entry {position}; the log has {size}")
    return Entry(
        position=found.position, leaf_hash=b64url(bytes(found.leaf_hash)), typ=found.typ, kind=found.kind,
        agent=found.agent, epoch=found.epoch, seq=found.seq, kid=found.kid, received_at=moment(found.received_at),
        state=found.state, reason=found.reason, jws=found.text,
    )  # fmt: skip


@router.get("/{position}/proof", response_model=Proof)
def proof(office: Office, request: Request, position: Position, size: Size = None) -> Response:
    """Return the proof that an entry stands in the tree of a size."""
    leaf_hash = _entry(office, position).leaf_hash
    with office.store.read() as connection:
        reached = _reached(size, office.log.size(connection))
        if position >= reached:
            raise ConfigError(f"size: entry {position} is not in the tree of {reached}")
        point = office.log.checkpoint(connection, reached)
        path = office.log.inclusion(connection, position, reached)
    body = Proof(
        position=position, leaf_hash=leaf_hash, log=point.origin, size=point.size, checkpoint=point.text(),
        inclusion=[b64url(one) for one in path],
    )  # fmt: skip
    return _fixed(request, body, size)
