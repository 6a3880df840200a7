"""What leaves is canonical: the fast encoder's bytes are RFC 8785's, for every character there is."""

import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.errors import Oversize, SourceFailure, TimedOut, Unreachable, WrongSubject
from adapters.minimise import Fetched
from consent.canonical import canonical
from node.flows import envelope
from node.flows.envelope import Data, FailedLeg, ReadyLeg
from node.journal.act import Receipt

SCALARS = [*range(0xD800), *range(0xE000, 0x110000)]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    st.sampled_from('授权\x00\x08\x0c\n\r\t\x1f\x7f\x80\u2028\ufeff\uffff\U0001f600\U0010ffff"\\/<>&é\ufb33e'),
    max_size=12,
)
RECORDS = st.lists(
    st.dictionaries(TEXT, TEXT | st.integers(0, 2**53 - 1) | st.booleans() | st.none(), max_size=4), max_size=3
)
QUICK = settings(deadline=None, max_examples=100)
FAILURES: list[type[SourceFailure]] = [TimedOut, Unreachable, WrongSubject, Oversize]


def fetched(records: bytes, *texts: str, quality: tuple[str, ...] = ()) -> Fetched:
    """A leg's answer with any texts in it."""
    dataset, source, schema, as_of, provenance = texts
    return Fetched("READY", dataset, source, schema, as_of, provenance, records, 1, (), quality)


@st.composite
def answers(draw: st.DrawFn) -> Data:
    """The data of an answer: any texts, any legs, canonical rows."""
    legs: list[ReadyLeg | FailedLeg] = []
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            texts = [draw(TEXT) for _ in range(5)]
            quality = tuple(draw(st.lists(TEXT, max_size=2)))
            legs.append(envelope.ready(fetched(canonical(draw(RECORDS)), *texts, quality=quality), draw(TEXT)))
        else:
            legs.append(envelope.failed(draw(TEXT), draw(TEXT), draw(st.sampled_from(FAILURES))()))
    return Data(draw(TEXT), legs, draw(TEXT), draw(TEXT), envelope.status_of(legs), draw(TEXT))


def receipt(**other: Any) -> Receipt:
    """A receipt of the right shape; nothing in it is proven here."""
    whole: dict[str, Any] = {
        "origin": "node.example/xyd/2026",
        "index": 7,
        "ts": 1,
        "size": 9,
        "leaf": b'{"v":1}',
        "path": (b"\x01" * 32, b"\xff" * 32),
        "checkpoint": "node.example/xyd/2026\n9\nroot\n\n— node.example sig\n",
        "salt": bytes(range(32)),
        "details": '{"data_sha256":"ab","states":{"税":"READY"}}'.encode(),
    }
    return Receipt(**(whole | other))


@given(answers())
@QUICK
def test_the_bytes_of_data_are_the_canonical_bytes_of_what_they_say(data: Data) -> None:
    body, digest = envelope.encode(data)
    assert body == canonical(json.loads(body))
    assert digest == sha256(body).hexdigest() == envelope.sha256_hex(body)


def test_every_character_is_written_as_rfc_8785_writes_it() -> None:
    for start in range(0, len(SCALARS), 4096):
        text = "".join(map(chr, SCALARS[start : start + 4096]))
        body, _ = envelope.encode(Data(text, [], "", "", "FAILED", ""))
        assert body == canonical(
            {"grant_id": text, "legs": [], "purpose": "", "query_id": "", "status": "FAILED", "uscc": ""}
        )


@given(TEXT | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans())
@example("\u2028\u2029")
@example("\x7f\x80\x9f")
@QUICK
def test_the_encoder_of_rows_and_envelope_agrees_on_every_scalar(value: Any) -> None:
    assert msgspec.json.encode({"a": [value]}) == canonical({"a": [value]})


@pytest.mark.parametrize("half", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_half_a_character_is_never_written(half: int) -> None:
    with pytest.raises(UnicodeEncodeError):
        envelope.encode(Data("税" + chr(half), [], "", "", "FAILED", ""))
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(b'"\\u%04x"' % half)


@pytest.mark.parametrize("struct", [Data, ReadyLeg, FailedLeg, envelope._Receipt, envelope._Opening])
def test_members_are_declared_in_the_order_in_which_they_are_sorted(struct: type[msgspec.Struct]) -> None:
    names = [each.encode_name for each in msgspec.structs.fields(struct)]
    assert names == sorted(names, key=lambda name: name.encode("utf-16-be"))
    assert not {"float", "object", "Any"} & {
        getattr(each.type, "__name__", "") for each in msgspec.structs.fields(struct)
    }


@given(answers())
@QUICK
def test_the_data_stand_in_the_answer_byte_for_byte(data: Data) -> None:
    body, digest = envelope.encode(data)
    answer = envelope.answer(body, receipt())
    assert answer.startswith(b'{"data":' + body + b',"receipt":{')
    parsed = json.loads(answer)
    assert set(parsed) == {"data", "receipt"}
    # What a bank does that kept only the parsed answer: the canonical form leads back to the committed digest.
    assert sha256(canonical(parsed["data"])).hexdigest() == digest


def test_the_receipt_gives_everything_the_verifier_needs() -> None:
    told = json.loads(envelope.receipt_json(receipt()))
    assert told == {
        "log": "node.example/xyd/2026",
        "index": 7,
        "size": 9,
        "leaf": "eyJ2IjoxfQ==",
        "path": ["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "/" * 42 + "8="],
        "checkpoint": receipt().checkpoint,
        "opening": {"salt": bytes(range(32)).hex(), "details": {"data_sha256": "ab", "states": {"税": "READY"}}},
    }


def test_the_details_are_handed_out_as_the_very_bytes_that_were_committed() -> None:
    details = canonical({"b": "\U0001f600", "a": ["税", 1]})
    assert b'"details":' + details + b"," in envelope.receipt_json(receipt(details=details))


READY = envelope.ready(fetched(b"[]", "d", "s", "d@1", "2026-11-20", "simulated"), "2026-11-23T08:00:00Z")


@pytest.mark.parametrize("failure", FAILURES)
def test_a_department_that_failed_is_a_state_with_its_reason(failure: type[SourceFailure]) -> None:
    leg = envelope.failed("tax.vat_invoice_summary", "tax", failure(cause="secret host 10.0.0.1"))
    assert (leg.state, leg.reason, leg.retryable) == (failure.state, failure.code, failure.retryable)
    assert "secret" not in msgspec.json.encode(leg).decode() and not hasattr(leg, "records")
    assert envelope.status_of([leg]) == "FAILED"
    assert envelope.status_of([leg, READY]) == envelope.status_of([READY, leg]) == "PARTIAL"
    assert envelope.status_of([READY, READY]) == "COMPLETE"


def test_the_shape_of_a_query_answer_is_frozen() -> None:
    leg = envelope.ready(fetched(b'[{"a":"1.00"}]', "d.x", "tax", "d.x@1", "2026-11-20", "p", quality=("q:1",)), "t")
    down = envelope.failed("d.y", "power", TimedOut())
    body, _ = envelope.encode(Data("grt", [leg, down], "P", "qry", "PARTIAL", "u"))
    assert body == (
        b'{"grant_id":"grt","legs":[{"as_of":"2026-11-20","dataset":"d.x","fetched_at":"t","provenance":"p",'
        b'"quality":["q:1"],"records":[{"a":"1.00"}],"schema":"d.x@1","source":"tax","state":"READY"},'
        b'{"dataset":"d.y","reason":"source.timeout","retryable":true,"source":"power","state":"TIMEOUT"}],'
        b'"purpose":"P","query_id":"qry","status":"PARTIAL","uscc":"u"}'
    )
