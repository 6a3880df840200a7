"""The wire form of `urn:xyd:enterprise-data:1` (RFC 9396 §2): a JSON array of one closed object, read strictly.

No unknown member, no member twice (a second `subject` would hide behind the first), nothing that is not JSON.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from consent.oauth.errors import InvalidDetails
from consent.scope import MAX_ITEMS

TYPE: Final = "urn:xyd:enterprise-data:1"

Text = Annotated[str, msgspec.Meta(max_length=120)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class _Closed(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object with no member beyond its own."""


class Subject(_Closed):
    """The one enterprise."""

    uscc: Annotated[str, msgspec.Meta(max_length=64)]


class Purpose(_Closed):
    """Why; and the bank's own words for its product, shown to the enterprise as such."""

    code: Name
    text: Text = ""
    product_id: Text = ""
    product: Text = ""
    amount: Annotated[str, msgspec.Meta(pattern=r"^(0|[1-9][0-9]{0,15})\.[0-9]{2}$")] | None = None
    application_no: Text = ""


class Months(_Closed, rename={"first": "from", "last": "to"}):
    """A closed range of months."""

    first: Name
    last: Name | None = None


class Wanted(_Closed):
    """One information item."""

    datatype: Name
    fields: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=100)] | None = None
    form: Literal["read", "model", "verify"] | None = None
    period: Months | None = None
    required: bool = False


class Validity(_Closed):
    """How long: so many days, or until an instant (RFC 3339 with offset). One of the two."""

    days: Annotated[int, msgspec.Meta(ge=1, le=3660)] | None = None
    not_after: datetime | None = None


class Use(_Closed):
    """How often."""

    fetch: Literal["ONETIME", "PERIODIC"] | None = None
    max_queries: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None


class Retention(_Closed):
    """How long the bank keeps a copy: the template's days, or nothing said."""

    days: Annotated[int, msgspec.Meta(ge=1, le=36_600)] | None = None
    delete_on_revoke: bool = True


class Onward(_Closed):
    """Handing on is never part of a consent here."""

    transfer: bool = False
    sub_processing: bool = False
    model_training: bool = False


class Notice(_Closed):
    """The clauses the bank believes will be shown; they must be the ones that are."""

    template: Name | None = None
    version: Name | None = None
    sha256: Name | None = None
    lang: Literal["zh-CN"] | None = None


class EnterpriseData(_Closed):
    """The whole object. Only type, subject, purpose and items are required."""

    type: Literal["urn:xyd:enterprise-data:1"]
    subject: Subject
    purpose: Purpose
    items: Annotated[list[Wanted], msgspec.Meta(min_length=1, max_length=MAX_ITEMS)]
    locations: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=8)] | None = None
    actions: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=8)] | None = None
    validity: Validity = msgspec.field(default_factory=Validity)
    use: Use = msgspec.field(default_factory=Use)
    retention: Retention = msgspec.field(default_factory=Retention)
    onward: Onward = msgspec.field(default_factory=Onward)
    notice: Notice = msgspec.field(default_factory=Notice)


def read(text: str) -> EnterpriseData:
    """The one object of an authorization_details parameter. Raises InvalidDetails, also for a member named twice."""
    try:
        value = json.loads(text, object_pairs_hook=_unique_members, parse_constant=_no_constant)
        return msgspec.convert(value, list[EnterpriseData], strict=True)[_one(value)]
    except msgspec.ValidationError as error:
        raise InvalidDetails("authorization_details do not follow the type", {"member": _place(str(error))}) from None
    except (ValueError, RecursionError):
        raise InvalidDetails("authorization_details must be a JSON array of one object") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidDetails("authorization_details name a member twice")
    return members


def _no_constant(_: str) -> None:
    raise InvalidDetails("authorization_details must be JSON")


def _one(value: object) -> int:
    if not isinstance(value, list) or len(value) != 1:
        raise InvalidDetails("authorization_details must be a JSON array of one object")
    return 0


def _place(message: str) -> str:
    """Where msgspec found the fault, as our own words: its path is made of our member names and indexes."""
    _, _, path = message.rpartition("`$[0]")
    path = path.rstrip("`").lstrip(".") if message.count("`$[0]") else ""
    known = all(char.isalnum() or char in "._[]" for char in path) and path.isascii()
    return path if known and len(path) <= 60 and path else "authorization_details"
