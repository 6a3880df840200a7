"""The catalogue: what ships is whole, every rule refuses its bad sample, masks count in catalogue order."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from consent.catalogue import CURRENT, CatalogueError, Field, build, load
from consent.errors import Invalid
from tests.consent.agreed import CATALOGUE, VAT


def sample() -> dict[str, Any]:
    """A small catalogue that keeps every rule."""
    return {
        "version": "t-1",
        "code_lists": {"kind": {"a": "甲", 1: "乙"}},
        "categories": [
            {
                "name": "tax",
                "items": [
                    {
                        "name": "due",
                        "code": "T-01",
                        "label": "应缴",
                        "provider": "税务",
                        "share_modes": ["api", "verify"],
                        "disclosure": ["consent", "duty"],
                        "consent": "enterprise",
                        "sensitivity": "L3",
                        "grain": "one row per month",
                        "refresh": "monthly",
                        "history_months": 24,
                        "fields": [
                            {"name": "uscc", "label": "代码", "type": "uscc", "unit": "-", "flags": "kr"},
                            {"name": "period", "label": "月", "type": "period", "unit": "-", "flags": "kr"},
                            {"name": "amount", "label": "额", "type": "money", "unit": "CNY", "flags": "s"},
                            {"name": "kind", "label": "类", "type": "code(kind)", "unit": "-", "flags": "p"},
                        ],
                    }
                ],
            }
        ],
    }


def due(raw: dict[str, Any]) -> dict[str, Any]:
    """The one item of the sample."""
    one: dict[str, Any] = raw["categories"][0]["items"][0]
    return one


def test_what_ships_is_62_items_with_519_fields_and_78_code_lists() -> None:
    assert CATALOGUE.version == CURRENT and load() is CATALOGUE
    assert len(CATALOGUE.items) == 62 and len(CATALOGUE.code_lists) == 78
    assert sum(len(each.fields) for each in CATALOGUE.items.values()) == 519
    assert len({name.partition(".")[0] for name in CATALOGUE.items}) == 17


def test_the_digest_of_what_ships_is_frozen() -> None:
    # Changes with any character of the file: then the version must change too, and this line with it.
    assert (CATALOGUE.version, CATALOGUE.sha256[:16]) == ("2026.11-r1", "e68f3271c853abe8")


@pytest.mark.parametrize("name", sorted(CATALOGUE.items))
def test_each_item_has_what_the_law_needs_of_it(name: str) -> None:
    item = CATALOGUE.item(name)
    assert item.name == name and item.label and item.provider and item.forms
    assert item.field_names[0] == "uscc" or "uscc" in item.bits
    assert any("k" in field.flags for field in item.fields)
    # Personal data of an item that is open to banks needs the person's own consent beside the enterprise's.
    if "read" in item.forms:
        assert "model" in item.forms
    assert item.history_months >= 0
    for field in item.fields:
        assert field.label and field.personal is ("p" in field.flags) and field.required is ("r" in field.flags)


@pytest.mark.parametrize("name", sorted(CATALOGUE.items))
def test_bit_n_of_a_mask_is_field_n_of_the_item(name: str) -> None:
    item = CATALOGUE.item(name)
    for bit, field in enumerate(item.field_names):
        assert item.mask(frozenset({field})) == 1 << bit
    assert item.mask(frozenset(item.field_names)) == (1 << len(item.fields)) - 1
    assert item.mask(frozenset()) == 0
    with pytest.raises(Invalid):
        item.mask(frozenset({item.field_names[0], "no_such_field"}))


def test_an_unknown_dataset_is_invalid_and_not_echoed() -> None:
    with pytest.raises(Invalid) as refused:
        CATALOGUE.item("tax.<script>")
    assert "script" not in refused.value.detail + str(refused.value.extra)


def test_the_sample_is_a_catalogue() -> None:
    built = build(sample())
    item = built.item("tax.due")
    assert item.forms == ("read", "verify", "model") and item.monthly and item.channels == ("consent", "duty")
    assert built.code_lists == {"kind": {"a": "甲", "1": "乙"}}
    assert item.fields[2] == Field("amount", "额", "money", "CNY", "s")


def test_the_digest_is_of_the_content_not_of_the_order_of_members() -> None:
    raw, other = sample(), sample()
    other["categories"][0]["items"][0] = dict(reversed(due(other).items()))
    assert build(raw).sha256 == build(other).sha256
    due(other)["label"] = "应缴税"
    assert build(raw).sha256 != build(other).sha256


Spoil = Callable[[dict[str, Any]], object]
BAD: dict[str, Spoil] = {
    "no version": lambda raw: raw.pop("version"),
    "a version that is no text": lambda raw: raw.update(version=2026),
    "no code lists": lambda raw: raw.pop("code_lists"),
    "a code list that is none": lambda raw: raw.update(code_lists={"kind": ["a"]}),
    "no categories": lambda raw: raw.pop("categories"),
    "a category without a name": lambda raw: raw["categories"][0].pop("name"),
    "a category without items": lambda raw: raw["categories"][0].pop("items"),
    "an item declared twice": lambda raw: raw["categories"][0]["items"].append(copy.deepcopy(due(raw))),
    "a category declared twice": lambda raw: raw["categories"].append(copy.deepcopy(raw["categories"][0])),
    "an item that is no mapping": lambda raw: raw["categories"][0]["items"].append("tax"),
    "no fields": lambda raw: due(raw).update(fields=[]),
    "a field named twice": lambda raw: due(raw)["fields"].append(due(raw)["fields"][0]),
    "a field in capitals": lambda raw: due(raw)["fields"][2].update(name="Amount"),
    "a field with a blank": lambda raw: due(raw)["fields"][2].update(name="am ount"),
    "a field that starts with a digit": lambda raw: due(raw)["fields"][2].update(name="1a"),
    "a field with a line break": lambda raw: due(raw)["fields"][2].update(name="amount\n"),
    "an unknown type": lambda raw: due(raw)["fields"][2].update(type="float"),
    "a type with a tail": lambda raw: due(raw)["fields"][2].update(type="money "),
    "a size of five digits": lambda raw: due(raw)["fields"][2].update(type="string(10000)"),
    "a code list nobody declared": lambda raw: due(raw)["fields"][3].update(type="code(kinds)"),
    "a list over an undeclared code list": lambda raw: due(raw)["fields"][3].update(type="list<code(kinds)>"),
    "an unknown flag": lambda raw: due(raw)["fields"][2].update(flags="ks!"),
    "an unknown channel": lambda raw: due(raw)["disclosure"].append("market"),
    "an unknown consent rule": lambda raw: due(raw).update(consent="implied"),
    "an unknown share mode": lambda raw: due(raw)["share_modes"].append("sell"),
    "a look-back that is no number": lambda raw: due(raw).update(history_months="two years"),
    **{
        f"an item without {member}": lambda raw, member=member: due(raw).pop(member)
        for member in set(due(sample())) - {"note"}
    },
    **{
        f"a field without {member}": lambda raw, member=member: due(raw)["fields"][2].pop(member)
        for member in due(sample())["fields"][2]
    },
}


@pytest.mark.parametrize("what", sorted(BAD))
def test_a_catalogue_that_breaks_a_rule_is_refused(what: str) -> None:
    raw = sample()
    BAD[what](raw)
    with pytest.raises(CatalogueError):
        build(raw)


@pytest.mark.parametrize("raw", [None, [], "version: 1", 7])
def test_a_catalogue_is_a_mapping(raw: Any) -> None:
    with pytest.raises(CatalogueError):
        build(raw)


def test_a_refused_catalogue_names_the_place() -> None:
    raw = sample()
    due(raw)["fields"][2]["type"] = "float"
    with pytest.raises(CatalogueError, match=r"tax\.due\.amount"):
        build(raw)


def test_a_version_that_does_not_ship_is_not_found() -> None:
    with pytest.raises(FileNotFoundError):
        load("1999.01-r0")


def test_forms_follow_from_the_modes_in_which_the_source_shares() -> None:
    for modes, forms in {
        ("verify",): ("verify",),
        ("model",): ("model",),
        ("collect",): ("read", "model"),
        ("self", "verify"): ("read", "verify", "model"),
    }.items():
        raw = sample()
        due(raw)["share_modes"] = list(modes)
        assert build(raw).item("tax.due").forms == forms


def test_only_an_item_stated_per_month_is_monthly() -> None:
    raw = sample()
    due(raw)["grain"] = "one row per enterprise"
    assert not build(raw).item("tax.due").monthly
    assert CATALOGUE.item(VAT).monthly and not CATALOGUE.item("registration.basic_registration").monthly
