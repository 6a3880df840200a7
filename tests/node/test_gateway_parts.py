"""The bank's door, header by header: what is refused before any flow runs, what is handed on, what is told back."""

import asyncio
import json
import logging
import uuid
from collections.abc import MutableMapping
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.errors import Invalid, NotGranted, Refusal, Unauthenticated
from consent.period import Period
from consent.scope import Scope
from node import logs
from node.flows.admission import Presented
from node.flows.loading import Remembered
from node.flows.query import MAX_FIELDS, asked_scope, new_id, parse_query
from node.journal.act import JournalUnavailable
from node.metrics import Metrics
from node.routes.front import Front, read_body
from node.routes.gateway import DEFAULT_WAIT_S, MAX_BODY, MAX_WAIT_S, Gateway, Header, HttpAnswer
from tests.consent.agreed import POWER, VAT, item

PATH = "/v1/queries"
BODY = b'{"subject":{"uscc":"91000000000000019G"},"purpose":"LOAN_APPLICATION"}'
AUTHORIZATION, KEY, MEDIA = (
    (b"authorization", b"DPoP xat_1"),
    (b"idempotency-key", b"k-1"),
    (b"content-type", b"application/json"),
)
GOOD: list[Header] = [AUTHORIZATION, (b"dpop", b"proof"), KEY, MEDIA]
ANSWER = b'{"data":{},"receipt":{}}'


class Door:
    """A gateway with one flow behind it, which notes what it was handed and does as it is told."""

    def __init__(self, raising: Exception | None = None, longest_s: float = MAX_WAIT_S) -> None:
        self.calls: list[tuple[Presented, bytes, float]] = []
        self.metrics = Metrics()
        self.gateway = Gateway({PATH: self._flow}, self.metrics, longest_s=longest_s)
        self._raising = raising

    async def _flow(self, presented: Presented, body: bytes, wait_s: float) -> bytes:
        self.calls.append((presented, body, wait_s))
        if self._raising is not None:
            raise self._raising
        return ANSWER

    def knock(self, headers: list[Header], body: bytes = BODY) -> HttpAnswer:
        """One call."""
        return asyncio.run(self.gateway.handle(PATH, headers, body))


def refused(headers: list[Header], body: bytes = BODY) -> tuple[int, str]:
    """Status and code of a call that no flow may see."""
    door = Door()
    answer = door.knock(headers, body)
    told = json.loads(answer.body)
    assert not door.calls and told["status"] == answer.status
    assert dict(answer.headers)[b"content-type"] == b"application/problem+json"
    assert told["interaction_id"].encode() == dict(answer.headers)[b"x-interaction-id"]
    return answer.status, told["code"]


def handed(*more: Header, without: bytes = b"", body: bytes = BODY) -> tuple[Presented, bytes, float]:
    """What the flow gets."""
    door = Door()
    answer = door.knock([each for each in GOOD if each[0] != without] + list(more), body)
    assert (answer.status, answer.body) == (200, ANSWER)
    (call,) = door.calls
    return call


def test_a_whole_call_is_handed_on_as_it_came() -> None:
    presented, body, wait_s = handed((b"x-interaction-id", b"bank-0001"))
    digest = sha256(PATH.encode() + b"\n" + BODY).hexdigest()
    assert presented == Presented(PATH, "DPoP xat_1", ("proof",), "k-1", digest, "bank-0001")
    assert body == BODY and wait_s == DEFAULT_WAIT_S


@pytest.mark.parametrize("name", [b"authorization", b"idempotency-key", b"content-type"])
@pytest.mark.parametrize("same", [True, False])
def test_a_header_that_stands_twice_is_refused_even_when_both_agree(name: bytes, same: bool) -> None:
    value = dict(GOOD)[name]
    assert refused([*GOOD, (name, value if same else value + b"x")]) == (400, "request.invalid")


def test_several_proofs_reach_the_admission_which_counts_them() -> None:
    assert handed((b"dpop", b"second"))[0].proofs == ("proof", "second")
    assert handed(without=b"dpop")[0].proofs == ()


@pytest.mark.parametrize("value", [None, b"", "DPoP ключ".encode(), b"DPoP xat_\xff"])
def test_without_a_token_in_ascii_nobody_is_admitted(value: bytes | None) -> None:
    rest: list[Header] = [each for each in GOOD if each[0] != b"authorization"]
    assert refused(rest if value is None else [*rest, (b"authorization", value)]) == (401, "token.invalid")


def test_a_401_says_which_scheme_is_wanted() -> None:
    challenge = dict(Door().knock(GOOD[1:]).headers)[b"www-authenticate"]
    assert challenge.startswith(b"DPoP ") and b'error="invalid_token"' in challenge and b"ES256" in challenge
    assert b"www-authenticate" not in dict(Door(NotGranted("no")).knock(GOOD).headers)


BAD_KEYS = [None, b"", b" ", b"a b", b"x" * 65, b"\x7f", b"tab\t", "键".encode(), b"k\xff"]


@pytest.mark.parametrize("value", BAD_KEYS, ids=repr)
def test_a_key_is_1_to_64_printable_ascii_characters(value: bytes | None) -> None:
    rest: list[Header] = [each for each in GOOD if each[0] != b"idempotency-key"]
    given_headers = rest if value is None else [*rest, (b"idempotency-key", value)]
    assert refused(given_headers) == (400, "idempotency.key_missing")


@pytest.mark.parametrize("value", [b"x", b"x" * 64, b"!~", b'"quoted-key"', str(uuid.UUID(int=7)).encode()])
def test_a_printable_key_is_handed_on(value: bytes) -> None:
    assert handed((b"idempotency-key", value), without=b"idempotency-key")[0].key == value.decode()


@pytest.mark.parametrize(
    "value",
    [
        *(None, b"", b"text/plain", b"application/jsonp", b"application/json-patch+json", b"application/x-json"),
        *(
            b"text/json",
            b"json",
            b"application/x-www-form-urlencoded",
            b"multipart/form-data",
            b"*/*",
            b";application/json",
        ),
        b"application/json, text/plain",
    ],
)
def test_any_other_media_type_is_refused(value: bytes | None) -> None:
    rest: list[Header] = [each for each in GOOD if each[0] != b"content-type"]
    given_headers = rest if value is None else [*rest, (b"content-type", value)]
    assert refused(given_headers) == (415, "request.media")


@pytest.mark.parametrize(
    "value", [b"application/json", b"Application/JSON", b"application/json; charset=utf-8", b" application/json ;q"]
)
def test_json_may_be_named_with_parameters_and_in_capitals(value: bytes) -> None:
    assert handed((b"content-type", value), without=b"content-type")


def test_a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not() -> None:
    assert handed(body=b" " * MAX_BODY)[1] == b" " * MAX_BODY
    assert refused(GOOD, b" " * (MAX_BODY + 1)) == (413, "request.too_large")
    told = json.loads(Door().knock(GOOD, b" " * (MAX_BODY + 1)).body)
    assert told["errors"] == [{"limit": "body_bytes", "max": MAX_BODY}]


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        *((b"wait=1", 1.0), (b"wait=60", 60.0), (b"wait=61", MAX_WAIT_S), (b"wait=999", MAX_WAIT_S), (b"wait=0", 0.1)),
        *((b"respond-async, wait=7", 7.0), (b"wait=7, respond-async", 7.0), (b"respond-async;wait=7", 7.0)),
        *((b"return=minimal,wait=7", 7.0), (b"  wait=7  ", 7.0)),
    ],
)
def test_a_preference_to_wait_is_kept_within_bounds(value: bytes, wait_s: float) -> None:
    door = Door()
    answer = door.knock([*GOOD, (b"prefer", value)])
    assert door.calls[0][2] == wait_s
    assert dict(answer.headers)[b"preference-applied"] == b"wait=%d" % int(wait_s)


def test_the_wait_that_was_applied_is_told_not_the_one_that_was_asked_for() -> None:
    door = Door(longest_s=4.0)
    answer = door.knock([*GOOD, (b"prefer", b'Wait="60"')])
    assert door.calls[0][2] == 4.0
    assert dict(answer.headers)[b"preference-applied"] == b"wait=4"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"wait",
        b"wait=",
        b"wait=x",
        b"wait=-1",
        b"wait=1000",
        b"wait=99999999999",
        b"await=7",
        b"wait=7x",
        b"wait=7.5",
        b"\xff",
    ],
)
def test_a_preference_we_do_not_understand_is_ignored(value: bytes) -> None:
    door = Door()
    answer = door.knock([*GOOD, (b"prefer", value)])
    assert door.calls[0][2] == DEFAULT_WAIT_S and b"preference-applied" not in dict(answer.headers)


@pytest.mark.parametrize("name", [b"x-interaction-id", b"x-fapi-interaction-id"])
@pytest.mark.parametrize("value", [b"12345678", b"a.b_c-D9" * 8, str(uuid.UUID(int=9)).encode()])
def test_a_well_formed_interaction_id_is_echoed(name: bytes, value: bytes) -> None:
    door = Door()
    answer = door.knock([*GOOD, (name, value)])
    assert dict(answer.headers)[b"x-interaction-id"] == value and door.calls[0][0].interaction_id == value.decode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"1234567",
        b"x" * 65,
        b"a b c d e f",
        b"id\r\nset-cookie: a=b",
        b"<script>alert",
        "标识符标识符".encode(),
        b"12345678\n",
    ],
)
def test_any_other_interaction_id_is_replaced_by_a_fresh_one(value: bytes) -> None:
    seen = set()
    for _ in range(2):
        answer = Door().knock([*GOOD, (b"x-interaction-id", value)])
        seen.add(dict(answer.headers)[b"x-interaction-id"])
    assert len(seen) == 2 and all(uuid.UUID(one.decode()).version == 4 for one in seen)


def test_our_own_interaction_header_wins_over_that_of_fapi() -> None:
    both: list[Header] = [(b"x-fapi-interaction-id", b"fapi-0001"), (b"x-interaction-id", b"ours-0001")]
    assert handed(*both)[0].interaction_id == "ours-0001"


def test_the_fingerprint_of_a_call_is_its_path_and_body() -> None:
    first, other = handed()[0].fingerprint, handed(body=BODY + b" ")[0].fingerprint
    assert first != other
    assert handed((b"x-interaction-id", b"bank-0001"), (b"prefer", b"wait=1"))[0].fingerprint == first


def test_an_answer_is_json_and_never_stored() -> None:
    headers = dict(Door().knock(GOOD).headers)
    assert headers[b"content-type"] == b"application/json" and headers[b"cache-control"] == b"no-store"


SECRET = "hunter2-张三"


@pytest.mark.parametrize(
    ("raising", "status", "code"),
    [
        (NotGranted("no such enterprise", cause=SECRET), 404, "resource.unknown"),
        (Unauthenticated("not accepted", cause=SECRET), 401, "token.invalid"),
        (Invalid("bad", code="no.row.for.this", cause=SECRET), 500, "node.internal"),
        (JournalUnavailable(SECRET), 503, "audit.unavailable"),
    ],
)
def test_whatever_a_flow_refuses_becomes_a_problem_without_its_cause(
    raising: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "xyd.request"):
        answer = Door(raising).knock([*GOOD, (b"x-interaction-id", b"bank-0001")])
    told = json.loads(answer.body)
    assert (answer.status, told["code"], told["interaction_id"]) == (status, code, "bank-0001")
    assert SECRET not in answer.body.decode() and b"hunter2" not in answer.body
    assert (b"retry-after" in dict(answer.headers)) is (status == 503)
    (line,) = caplog.records
    fields = line.__dict__["fields"]
    assert set(fields) <= set(logs.FIELDS) and fields["cause"] == SECRET and fields["status"] == status


def test_the_log_of_a_call_holds_neither_token_nor_key_nor_subject(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "xyd.request"):
        Door().knock(GOOD)
    (line,) = caplog.records
    text = json.dumps(line.__dict__["fields"])
    for secret in ("xat_1", "proof", "k-1", "91000000000000019G"):
        assert secret not in text


def test_every_call_is_counted_by_door_status_and_code() -> None:
    door = Door()
    door.knock(GOOD)
    door.knock(GOOD[1:])
    value = door.metrics.registry.get_sample_value
    assert value("xyd_requests_total", {"door": "queries", "status": "200"}) == 1
    assert value("xyd_requests_total", {"door": "queries", "status": "401"}) == 1
    assert value("xyd_refusals_total", {"code": "token.invalid"}) == 1


NAMES = st.sampled_from(
    [b"authorization", b"dpop", b"idempotency-key", b"content-type", b"prefer", b"x-interaction-id"]
)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=30)), max_size=8))
@settings(deadline=None, max_examples=150)
def test_no_headers_whatever_break_the_door(headers: list[Header]) -> None:
    door = Door()
    answer = door.knock(headers)
    assert answer.status in (200, 400, 401, 415) and (answer.status == 200) is bool(door.calls)
    for name, value in answer.headers:
        assert b"\r" not in name + value and b"\n" not in name + value


# ------------------------------------------------------------------------------------------------------- the front


class Wire:
    """An ASGI connection made by hand."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = list(chunks) or [b""]
        self.sent: list[MutableMapping[str, Any]] = []
        self.taken = 0

    async def receive(self) -> MutableMapping[str, Any]:
        """The next piece of the body."""
        self.taken += 1
        body = self._chunks.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self._chunks)}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Keep what goes back."""
        self.sent.append(message)


async def through(front: Front, wire: Wire, path: str = PATH, method: str = "POST") -> None:
    """One connection."""
    scope = {"type": "http", "path": path, "method": method, "headers": GOOD}
    await front(scope, wire.receive, wire.send)


async def inner(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """The application behind the front."""
    if scope["path"] == "/broken":
        raise RuntimeError(SECRET)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_the_front_takes_the_hot_paths_and_hands_on_all_others() -> None:
    door = Door()
    front = Front(door.gateway, inner, fast=True)
    wire = Wire(BODY[:10], BODY[10:])
    await through(front, wire)
    assert wire.sent[0]["status"] == 200 and wire.sent[1]["body"] == ANSWER and door.calls[0][1] == BODY
    assert dict(wire.sent[0]["headers"])[b"content-length"] == b"%d" % len(ANSWER)
    for path, method in ((PATH, "GET"), (PATH + "/", "POST"), ("/v1/catalogue", "GET"), ("/V1/queries", "POST")):
        other = Wire()
        await through(front, other, path, method)
        assert other.sent[0]["status"] == 204
    slow = Wire(BODY)
    await through(Front(door.gateway, inner, fast=False), slow)
    assert slow.sent[0]["status"] == 204 and len(door.calls) == 1


async def test_the_front_stops_reading_a_body_that_is_too_large() -> None:
    wire = Wire(*[b"x" * 40_000] * 50)
    await through(Front(Door().gateway, inner, fast=True), wire)
    assert wire.sent[0]["status"] == 413 and wire.taken == 2
    assert len(await read_body(Wire(b"x" * MAX_BODY).receive)) == MAX_BODY


@pytest.mark.parametrize("path", [PATH, "/broken"])
async def test_an_error_nobody_named_is_a_bare_500_with_an_id(path: str, caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(BODY)
    await through(Front(Door(RuntimeError(SECRET)).gateway, inner, fast=True), wire, path)
    told = json.loads(wire.sent[1]["body"])
    assert wire.sent[0]["status"] == told["status"] == 500 and told["code"] == "node.internal"
    assert SECRET not in wire.sent[1]["body"].decode() and "RuntimeError" not in wire.sent[1]["body"].decode()
    (line,) = [each for each in caplog.records if each.name == "xyd.edge"]
    assert told["interaction_id"] in line.getMessage()
    printed = logs.JsonLine().format(line)
    assert SECRET not in printed and json.loads(printed)["error"] == "RuntimeError"


# ------------------------------------------------------------------------------------------------------- the body


def test_a_body_is_read_with_and_without_items() -> None:
    assert parse_query(BODY).items is None
    one = b'{"dataset":"d","fields":["a"],"period":{"from":"f","to":"t"}}'
    (part,) = parse_query(BODY[:-1] + b',"items":[' + one + b"]}").items or []
    assert part.period is not None
    assert (part.dataset, part.fields, part.period.first, part.period.last, part.form) == ("d", ["a"], "f", "t", "read")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"{}", b"{", b"\xff", b'{"purpose":"P"}', b'{"subject":{"uscc":"x"}}', b"[" * 5000),
        *(b'{"subject":"x","purpose":"P"}', b'{"subject":{},"purpose":"P"}', b'{"subject":{"uscc":7},"purpose":"P"}'),
        *(BODY[:-1] + b',"extra":1}', BODY[:-1] + b',"items":{}}', BODY[:-1] + b',"items":[7]}', BODY + b"x", BODY * 2),
        *(BODY[:-1] + b',"items":[{"dataset":"d","fields":"a"}]}', BODY[:-1] + b',"items":[{"fields":["a"]}]}'),
        BODY[:-1] + b',"items":[{"dataset":"d","period":{"from":"2026-01"}}]}',
        BODY[:-1] + b',"items":[{"dataset":"d","hunter2":1}]}',
        b'{"subject":{"uscc":"x","name":"y"},"purpose":"P"}',
        b'{"subject":{"uscc":"\\ud800"},"purpose":"P"}',
    ],
    ids=range(23),
)
def test_any_other_body_is_invalid_and_not_echoed(body: bytes) -> None:
    with pytest.raises(Invalid) as told:
        parse_query(body)
    assert told.value.detail == "the body is not a query" and told.value.extra == {"member": "body"}
    assert told.value.__cause__ is None and "hunter2" not in told.value.cause


GRANTED = Scope.of([item(VAT), item(POWER, form="model")])


def asked(*parts: dict[str, Any]) -> Scope:
    """The scope of items in a body."""
    whole = {"subject": {"uscc": "x"}, "purpose": "P", "items": list(parts)}
    return asked_scope(parse_query(json.dumps(whole).encode()).items or [], GRANTED)


def test_fields_and_months_that_are_not_named_are_those_of_the_grant() -> None:
    assert asked({"dataset": VAT}) == Scope.of([item(VAT)])
    months = {"from": "2026-01", "to": "2026-02"}
    (one,) = asked({"dataset": VAT, "fields": ["tax_amount", "period", "period"], "period": months})
    assert one == item(VAT, "period tax_amount", months="2026-01/2026-02")


def test_a_dataset_that_was_not_granted_keeps_its_name_to_be_refused_on_record() -> None:
    months = {"from": "2026-01", "to": "2026-02"}
    (one,) = asked({"dataset": "tax.nothing", "period": months})
    assert one.dataset == "tax.nothing" and one.period == Period.parse("2026-01", "2026-02")
    assert not Scope((one,)).within(GRANTED)


@pytest.mark.parametrize(
    "part",
    [
        {"dataset": VAT, "form": "model"},
        {"dataset": VAT, "form": "verify"},
        {"dataset": VAT, "form": ""},
        {"dataset": VAT, "fields": []},
        {"dataset": VAT, "fields": ["f"] * (MAX_FIELDS + 1)},
        {"dataset": VAT, "period": {"from": "2026-02", "to": "2026-01"}},
        {"dataset": VAT, "period": {"from": "2026-2", "to": "2026-03"}},
    ],
)
def test_an_item_that_says_nothing_lawful_is_invalid(part: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        asked(part)


def test_a_dataset_named_twice_is_invalid() -> None:
    with pytest.raises(Invalid):
        asked({"dataset": VAT}, {"dataset": VAT, "fields": ["period"]})


def test_ids_carry_their_prefix_and_are_never_the_same() -> None:
    ids = {new_id("qry_") for _ in range(100)}
    assert len(ids) == 100 and all(one.startswith("qry_") and len(one) == 28 for one in ids)


# ------------------------------------------------------------------------------------------------------- memory


class Shelf:
    """Where values are loaded from; counts how often."""

    def __init__(self, **values: int) -> None:
        self.values, self.loads = dict(values), 0

    async def load(self, key: str) -> int | None:
        """A value by its key."""
        self.loads += 1
        return self.values.get(key)


async def test_a_value_is_remembered_until_it_is_old_or_forgotten() -> None:
    shelf = Shelf(a=1)
    memory = Remembered(shelf.load, 60.0)
    assert [await memory.get("a") for _ in range(3)] == [1, 1, 1] and shelf.loads == 1
    shelf.values["a"] = 2
    memory.forget("a")
    assert await memory.get("a") == 2 and shelf.loads == 2
    short = Remembered(shelf.load, 0.0)
    assert [await short.get("a"), await short.get("a")] == [2, 2] and shelf.loads == 4


async def test_that_something_is_missing_is_never_remembered() -> None:
    shelf = Shelf()
    memory = Remembered(shelf.load, 60.0)
    assert await memory.get("a") is None
    shelf.values["a"] = 1
    assert await memory.get("a") == 1
    memory.forget("unknown")


def test_a_refusal_is_named_by_its_code_when_it_has_no_words() -> None:
    assert str(Refusal()) == "refused" and Refusal().detail == "" and Refusal().extra == {}
    assert str(NotGranted(cause=SECRET)) == "resource.unknown"
