"""Ingest: one batch over HTTPS instead of MQTT, and its receipt; the signature is what lets it in."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from collector.intake import receipts
from collector.intake.authentic import Arrival
from collector.intake.inflate import inflate
from collector.intake.round import Outcome
from collector.office.answers import JOSE
from collector.office.parts import Office
from collector.office.problems import problem
from collector.parts import Parts

router = APIRouter(prefix="/ingest", tags=["ingest"])
#: Status of a refusal, by its reason (shared.receipt.REASONS).
STATUS = {
    "malformed": 400, "unknown_key": 403, "bad_signature": 403, "wrong_identity": 403, "revoked": 403, "oversize": 413,
    "fork": 409, "quota": 429,
}  # fmt: skip
SAID = {
    "malformed": "not a batch as WIRE.md describes it",
    "unknown_key": "the key is not known or waits for approval; run: wattseal collector agents list",
    "bad_signature": "the signature does not fit the bytes",
    "wrong_identity": "agent, site or audience are not those of the key",
    "revoked": "the key is revoked; enrol again with a new one",
    "oversize": "a batch may have 262,144 bytes",
    "fork": "another batch stands in its place",
    "quota": "too many batches wait for their predecessors; send the missing ones first",
}
_BODY = {"requestBody": {"required": True, "content": {JOSE: {"schema": {"type": "string"}}}}}


@router.post("", response_class=Response, responses={200: {"content": {JOSE: {}}}}, openapi_extra=_BODY)
async def ingest(office: Office, request: Request) -> Response:
    """Take one batch; the answer is the receipt, given once the batch is durable."""
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != JOSE:
        raise HTTPException(415, f"send one batch as {JOSE}")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "deflate"):
        raise HTTPException(415, "Content-Encoding: send it as it is, or deflate (RFC 1950)")
    octets = await request.body()
    return await run_in_threadpool(_take, office, inflate(octets) if encoding == "deflate" else octets)


def _take(office: Parts, octets: bytes) -> Response:
    taken = office.ledger.take([Arrival(None, octets)])
    outcome = taken.outcomes[0]
    if outcome.verdict == "refused":
        return _refusal(outcome.reason or "malformed")
    receipt = next((text for agent, text in taken.receipts if agent == outcome.agent), None)
    return Response(receipt or _newest(office, outcome), media_type=JOSE)


def _refusal(reason: str) -> Response:
    answer = problem(STATUS.get(reason, 400), SAID.get(reason, reason), reason=reason)
    if reason == "quota":
        answer.headers["Retry-After"] = "30"
    return answer


def _newest(office: Parts, outcome: Outcome) -> str:
    """Return the receipt of an agent whose batch does not say where in its chain it stands.

    Raises:
        ConfigError: nothing else of that agent has arrived.
    """
    with office.store.read() as connection:
        return receipts.newest(connection, office.log, outcome.agent or "", office.clock.wall())
