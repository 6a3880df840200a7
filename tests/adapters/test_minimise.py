"""The law of the answer: whatever a department sends, what comes out is a subset of the permit, or nothing does."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters import errors
from adapters.excess import excess
from adapters.minimise import MAX_ROWS, Fetched, minimise, reader_for
from adapters.registry import load_registry
from consent.canonical import canonical
from consent.catalogue import Field, load
from consent.enterprise import issue_fictitious
from consent.period import Period
from tests.adapters.asking import MONTHS, POWER, VAT, answer, item

FIRM, OTHER = issue_fictitious(7), issue_fictitious(8)
SAMPLES: dict[str, tuple[Any, ...]] = {
    "uscc": (FIRM,),
    "period": ("2025-01", "2026-10", "2024-10", "2031-12"),
    "date": ("2025-01-31", "2026-10-31", "2024-10-31", "2026-11-01"),
    "year": ("2025", "2019"),
    "money": ("0.00", "-1.50", "9999999999999999.99"),
    "pct": ("12.3456",),
    "int": (0, 7, 2**53 - 1),
    "bool": (True, False),
    "hex64": ("ab" * 32, "0" * 64),
    "region6": ("320500",),
    "industry4": ("C3990",),
    "list<string>": ([], ["旧名"]),
}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=6),
    st.sampled_from(("1.0", "1.00,2.00", "-0.00", "01.00", "+1.00", "１.00", "1e2", "", "2025-13", OTHER, FIRM)),
    st.lists(st.integers(), max_size=2),
)


def sound(field: Field) -> st.SearchStrategy[Any]:
    """A value the catalogue allows for a field."""
    if field.type.startswith("code("):
        return st.sampled_from(sorted(load().code_lists[field.type[5:-1]]))
    if field.type.startswith("decimal("):
        return st.just("5." + "0" * int(field.type[:-1].rpartition(",")[2]))
    return st.sampled_from(SAMPLES.get(field.type, ("文本", 'quote " and \\ and \n', "")))


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[Any, bytes]:
    """A permitted item, and an answer that is mostly sound but holds more, less and other than was asked."""
    dataset = draw(st.sampled_from(sorted(load_registry())))
    fields = load().item(dataset).fields
    names = draw(st.sets(st.sampled_from([each.name for each in fields]), min_size=1))
    junk_rate = draw(st.sampled_from((0, 0, 0, 15)))
    rows = []
    for _ in range(draw(st.integers(0, 4))):
        row = {
            each.name: draw(JUNK if draw(st.integers(1, 100)) <= junk_rate else sound(each))
            for each in fields
            if each.required or draw(st.booleans())
        }
        rows.append(row | draw(st.dictionaries(st.text(max_size=5), JUNK, max_size=2)))
    body = answer(dataset, draw(st.sampled_from((FIRM,) * 9 + (OTHER,))), rows)
    if draw(st.booleans()):
        body = json.dumps(json.loads(body), indent=draw(st.sampled_from((None, 1)))).encode()
    return item(dataset, tuple(names)), body


def read(permitted: Any, body: bytes) -> Fetched | None:
    """What comes out, None when the leg ends in a failure."""
    try:
        return minimise(body, permitted, FIRM, "tax")
    except errors.SourceFailure:
        return None


@settings(max_examples=300, deadline=None)
@given(exchanges())
def test_what_comes_out_is_always_a_subset_of_the_permit(exchange: tuple[Any, bytes]) -> None:
    permitted, body = exchange
    fetched = read(permitted, body)
    if fetched is None:
        return
    rows, sent = json.loads(fetched.records), json.loads(body)
    clock = reader_for(permitted.dataset, permitted.fields).clock
    assert fetched.records == canonical(rows)
    assert fetched.count == len(rows) <= len(sent["records"])
    assert sent["uscc"] == FIRM
    for row in rows:
        assert set(row) <= set(permitted.fields)
        assert row.get("uscc", FIRM) == FIRM
        if clock is not None and clock.field in row:
            width = min(7, len(row[clock.field]))
            assert str(MONTHS.first)[:width] <= row[clock.field][:width] <= str(MONTHS.last)[:width]
        assert any(row.items() <= theirs.items() for theirs in sent["records"])
    assert excess(fetched.records, permitted) == ()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=4), st.integers(0, 400), st.integers(0, 3))
@example(b"NaN", 0, 0)
def test_a_damaged_answer_never_passes_as_another(patch: bytes, at: int, cut: int) -> None:
    permitted = item(VAT, ("period", "direction", "amount_excl_tax", "invoice_count", "tax_amount", "uscc"))
    whole = answer(VAT, FIRM, [vat("2025-01"), vat("2025-02", direction="in")])
    fetched = read(permitted, whole[:at] + patch + whole[at + cut :])
    if fetched is not None:
        assert excess(fetched.records, permitted) == ()
        assert {row["uscc"] for row in json.loads(fetched.records)} <= {FIRM}


def vat(period: str, **other: object) -> dict[str, object]:
    """A sound row of an invoice summary."""
    return {
        "uscc": FIRM,
        "period": period,
        "direction": "out",
        "invoice_count": 3,
        "amount_excl_tax": "100.00",
        "tax_amount": "13.00",
    } | other


def test_fields_come_out_sorted_and_the_rest_is_gone() -> None:
    fetched = minimise(answer(VAT, FIRM, [vat("2025-01")]), item(VAT, ("tax_amount", "period")), FIRM, "tax")
    assert fetched.records == b'[{"period":"2025-01","tax_amount":"13.00"}]'
    assert (fetched.schema, fetched.as_of) == (f"{VAT}@2026.11-r1", "2026-11-20")
    assert fetched.quality == ("extra_fields_dropped:3", "months_missing:23")


def test_months_are_bounded_even_when_the_month_itself_is_not_permitted() -> None:
    rows = [vat("2024-10", tax_amount="1.00"), vat("2024-11"), vat("2026-10"), vat("2026-11", tax_amount="2.00")]
    fetched = minimise(answer(VAT, FIRM, rows), item(VAT, ("tax_amount",)), FIRM, "tax")
    assert fetched.records == b'[{"tax_amount":"13.00"},{"tax_amount":"13.00"}]'
    assert "outside_period_removed:2" in fetched.quality
    assert fetched.months == ("2024-11", "2026-10")


def test_a_date_counts_by_its_month() -> None:
    arrears = {"uscc": FIRM, "tax_kind": "10101", "arrears_amount": "5.00", "is_deferred": False}
    days = ("2026-08-31", "2026-09-01", "2026-10-31", "2026-11-01")
    body = answer("tax.tax_arrears", FIRM, [arrears | {"period_to": day} for day in days])
    narrow = item("tax.tax_arrears", ("period_to",), Period.parse("2026-09", "2026-10"))
    fetched = minimise(body, narrow, FIRM, "tax")
    assert fetched.records == b'[{"period_to":"2026-09-01"},{"period_to":"2026-10-31"}]'


@pytest.mark.parametrize(
    ("rows", "other", "expected"),
    [
        ([vat("2025-01", uscc=OTHER)], {}, errors.WrongSubject),
        ([vat("2025-01"), vat("2025-02", uscc=OTHER)], {}, errors.WrongSubject),
        ([], {"uscc": OTHER}, errors.WrongSubject),
        ([], {"dataset": POWER}, errors.WrongSubject),
        ([vat("2025-1")], {}, errors.Malformed),
        ([vat("2025-13")], {}, errors.Malformed),
        ([vat("2025-01", amount_excl_tax="100.0")], {}, errors.Malformed),
        ([vat("2025-01", amount_excl_tax="1.00,2.00")], {}, errors.Malformed),
        ([vat("2025-01", amount_excl_tax="-0.00")], {}, errors.Malformed),
        ([vat("2025-01", amount_excl_tax="007.00")], {}, errors.Malformed),
        ([vat("2025-01", amount_excl_tax="")], {}, errors.Malformed),
        ([vat("2025-01", amount_excl_tax=None)], {}, errors.Malformed),
        ([vat("2025-01", amount_excl_tax=100)], {}, errors.Malformed),
        ([vat("2025-01", invoice_count=-1)], {}, errors.Malformed),
        ([vat("2025-01", invoice_count=2**53)], {}, errors.Malformed),
        ([vat("2025-01", invoice_count=True)], {}, errors.Malformed),
        ([vat("2025-01", direction="sideways")], {}, errors.Malformed),
        ([{"uscc": FIRM, "period": "2025-01", "direction": "out"}], {}, errors.Malformed),
        ([], {"as_of": "2026-02-30"}, errors.Malformed),
        ([], {"provenance": ""}, errors.Malformed),
        ([vat("2025-01")] * (MAX_ROWS + 1), {}, errors.Oversize),
    ],
)
def test_an_answer_that_breaks_a_rule_ends_the_leg(
    rows: list[dict[str, object]], other: dict[str, object], expected: type[errors.SourceFailure]
) -> None:
    with pytest.raises(expected) as failed:
        minimise(answer(VAT, FIRM, rows, **other), item(VAT), FIRM, "tax")
    assert "sideways" not in failed.value.cause


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("member", ["uscc", "tax_amount", "mobile", "provenance"])
def test_a_member_named_twice_ends_the_leg_wherever_it_stands(member: str, spaced: bool) -> None:
    body = answer(VAT, FIRM, [vat("2025-01", mobile="1")])
    if spaced:
        body = json.dumps(json.loads(body), indent=1).encode()
    at = body.index(b'"%s"' % member.encode())
    with pytest.raises(errors.Malformed):
        minimise(body[:at] + b'"%s":"x",' % member.encode() + body[at:], item(VAT), FIRM, "tax")


def test_a_double_hidden_by_an_escape_is_found() -> None:
    body = answer(VAT, FIRM, [vat("2025-01")]).replace(b'"tax_amount":', b'"tax\\u005famount":"9.00","tax_amount":')
    with pytest.raises(errors.Malformed):
        minimise(body, item(VAT), FIRM, "tax")


def test_a_double_balanced_by_an_escaped_colon_is_found() -> None:
    body = answer(VAT, FIRM, [vat("2025-01")]).replace(b"simulated:seed", b"simulated\\u003aseed")
    spaced = body.replace(b'"tax_amount":', b'"tax_amount" :')
    for each in (body, spaced):
        assert minimise(each, item(VAT), FIRM, "tax").provenance == "simulated:seed=1"
        with pytest.raises(errors.Malformed):
            minimise(each.replace(b'"direction":', b'"direction":"in","direction":'), item(VAT), FIRM, "tax")


def test_doubles_are_told_by_the_whole_key_and_not_without_it() -> None:
    rows = [vat("2025-01"), vat("2025-01", direction="in"), vat("2025-01")]
    body = answer(VAT, FIRM, rows)
    assert "duplicate_rows:1" in minimise(body, item(VAT), FIRM, "tax").quality
    flags = minimise(body, item(VAT, ("period", "tax_amount")), FIRM, "tax").quality
    assert not [flag for flag in flags if flag.startswith("duplicate_rows")]


def test_what_the_node_derives_nobody_must_state() -> None:
    row = {"uscc": FIRM, "period": "2025-01", "insurance_kind": "pension"}
    money = {"contribution_base": "1.00", "unit_paid": "1.00"}
    rows: list[dict[str, object]] = [{**row, **money}]
    body = answer("social_insurance.si_contributions", FIRM, rows)  # is_late is required, but derived
    fetched = minimise(body, item("social_insurance.si_contributions"), FIRM, "social_insurance")
    assert fetched.count == 1


def test_a_field_the_item_does_not_have_is_a_bug() -> None:
    with pytest.raises(ValueError, match="mobile"):
        reader_for(VAT, ("mobile",))


@pytest.mark.parametrize(
    ("records", "found"),
    [
        (b'[{"period":"2026-10","tax_amount":"1.00"}]', ()),
        (b"[]", ()),
        (b'[{"period":"2026-11","tax_amount":"1.00"},{"period":"2020-01"}]', ("2020-01", "2026-11")),
        (b'[{"period":"2026-10","mobile":"1","uscc":"9"}]', ("mobile", "uscc")),
        (b'{"period":"2026-10"}', ("unreadable",)),
        (b'[{"tax_amount":"1.00"}]', ("unreadable",)),
        (b"[", ("unreadable",)),
    ],
)
def test_the_second_pair_of_eyes_names_what_is_beyond_the_permit(records: bytes, found: tuple[str, ...]) -> None:
    assert excess(records, item(VAT, ("period", "tax_amount"))) == found
