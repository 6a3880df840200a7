"""The request layer, and noise against every door: typed OAuth errors only, and answers that are plain ASCII JSON."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consent.errors import GrantEnded, OverBound
from consent.oauth.errors import (
    InvalidRequestError,
    OAuth2Error,
    ServerBusy,
    UnsupportedGrantTypeError,
    WrongVerb,
    reply_of_error,
)
from consent.oauth.pushed import Visit
from consent.oauth.request import MAX_BODY, Endpoint, RawRequest, parse
from tests.consent.oauth.people import CALLBACK, RULES, VERIFIER, Desk, Person, raw, refusal

FORM = (b"content-type", b"application/x-www-form-urlencoded")


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE", "post"])
def test_rfc9126_2_only_post(method: str) -> None:
    with pytest.raises(WrongVerb) as caught:
        parse(RULES.issuer, Endpoint.PUSHED, RawRequest(method, (FORM,), b""))
    reply = reply_of_error(caught.value)
    assert reply.status == 405 and dict(reply.headers)["Allow"] == "POST"


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"content-type", b"application/json"),),
        ((b"content-type", b"multipart/form-data"),),
        ((b"content-type", b"application/x-www-form-urlencoded; charset=gbk"),),
        (FORM, FORM),
    ],
)
def test_rfc6749_b_only_form_encoding_in_utf8(headers: Any) -> None:
    with pytest.raises(InvalidRequestError):
        parse(RULES.issuer, Endpoint.TOKEN, RawRequest("POST", headers, b"a=b"))


def test_the_charset_may_be_named() -> None:
    for kind in (b"application/x-www-form-urlencoded;charset=UTF-8", b"APPLICATION/x-www-form-urlencoded"):
        request = parse(
            RULES.issuer, Endpoint.TOKEN, RawRequest("POST", ((b"Content-Type", kind),), b"a=b&c=%E4%BF%A1")
        )
        assert request.form == {"a": "b", "c": "信"}


@pytest.mark.parametrize(
    "body",
    [
        b"a", b"a=b&&c", b"a=%ff", b"\xff=1", b"a=%00", b"a=b%0d%0ac", b"a=%c2%85", b"%01=a", b"a=1&a=2", b"a=1&%61=2",
        b"a=&a=", b"a=" + b"x" * MAX_BODY, b"&".join(b"p%d=1" % n for n in range(65)), b"authorization_details=%00",
    ],
)  # fmt: skip
def test_malformed_oversized_doubled_and_control_characters_are_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse(RULES.issuer, Endpoint.TOKEN, raw(body))
    assert refusal(caught.value) == (400, "invalid_request")


def test_rfc6749_3_1_an_empty_parameter_counts_as_omitted() -> None:
    assert parse(RULES.issuer, Endpoint.TOKEN, raw(b"a=&b=1")).form == {"b": "1"}


def test_errors_are_rendered_without_the_callers_words() -> None:
    reply = reply_of_error(UnsupportedGrantTypeError('口令"'))
    assert reply.content.isascii() and "口令" not in reply.content.decode("unicode_escape")
    assert reply_of_error(ServerBusy("try again")).status == 503
    bound = reply_of_error(OverBound("over the bound", extra={"limit": "validity_days", "max": 90, "asked": 91})).body
    assert bound is not None and (bound["limit"], bound["max"], bound["asked"]) == ("validity_days", 90, 91)
    assert "validity_days" in str(bound["error_description"])
    assert reply_of_error(GrantEnded("已撤销")).content.isascii()


TEXT = st.text(st.characters(codec="utf-8"), max_size=24) | st.sampled_from(
    ["", "授权", "\x00", "\r\n", '"', "\\", "\u202e", "🏦", "a" * 600, "https://银行", "[]", "{}", "%", "+", "=", "&"]
)
NAMES = st.sampled_from(
    [
        "client_id", "client_assertion", "client_assertion_type", "client_secret", "response_type", "response_mode",
        "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "authorization_details",
        "dpop_jkt", "request", "request_uri",
        "grant_type", "code", "code_verifier", "refresh_token", "token", "token_type_hint", "nonce", "prompt", "信用",
    ]
)  # fmt: skip
SLOW = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answered(call: Any) -> None:
    try:
        call()
    except OAuth2Error as error:
        reply = reply_of_error(error)
        assert 400 <= reply.status < 500 and reply.content.isascii() and json.loads(reply.content)["error"]


def door(desk: Desk, endpoint: Endpoint) -> Any:
    return {
        Endpoint.PUSHED: desk.push,
        Endpoint.TOKEN: desk.token,
        Endpoint.INTROSPECT: desk.introspect,
        Endpoint.REVOKE: desk.revoke,
    }[endpoint]


@SLOW
@given(endpoint=st.sampled_from(Endpoint), changes=st.dictionaries(NAMES, TEXT, max_size=5), proof=st.none() | TEXT)
@example(endpoint=Endpoint.PUSHED, changes={"response_type": '"'}, proof=None)
@example(endpoint=Endpoint.PUSHED, changes={"redirect_uri": "\u0130"}, proof=None)
def test_noise_in_authenticated_forms_is_never_anything_but_a_typed_error(
    endpoint: Endpoint, changes: dict[str, str], proof: str | None
) -> None:
    person = Person("bank-alpha")
    desk = Desk({"bank-alpha": person})
    form = person.push_form() if endpoint is Endpoint.PUSHED else person.authenticated(
        grant_type="authorization_code", code="c", redirect_uri=CALLBACK, code_verifier=VERIFIER, token="t"
    )  # fmt: skip
    header = person.proof(RULES.issuer.token_url) if proof is None and endpoint is Endpoint.TOKEN else proof
    headers = () if header is None else ((b"dpop", header.encode("utf-8", "surrogatepass")),)
    answered(lambda: door(desk, endpoint)(raw(form | changes, headers=headers)))


@SLOW
@given(
    endpoint=st.sampled_from(Endpoint),
    body=st.binary(max_size=300),
    headers=st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=40)), max_size=3),
)
def test_noise_as_a_whole_request_is_never_anything_but_a_typed_error(
    endpoint: Endpoint, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    answered(lambda: door(Desk({}), endpoint)(RawRequest("POST", [FORM, *headers], body)))


@SLOW
@given(st.binary(max_size=200) | st.dictionaries(NAMES, TEXT, max_size=4).map(lambda pairs: urlencode(pairs).encode()))
def test_noise_at_the_authorization_endpoint_is_a_page_error(query: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        Visit.parse(query)
