"""Every source keeps the contract of `adapters.source`, over both transports, whatever the departments do."""

import asyncio
import json

import pytest

from adapters import errors
from adapters.excess import excess
from adapters.registry import load_registry
from adapters.source import Departments
from adapters.transport import Endpoint, Transport
from consent.enterprise import issue_fictitious
from consent.period import Period
from tests.adapters.asking import GOOD, MONTHS, POWER, THIN, VAT, WATER_DOWN, item, permit, soon
from tests.adapters.conftest import Sandbox

FAILING = {
    "garbage": errors.Malformed,
    "half": errors.Unreachable,
    "other_firm": errors.WrongSubject,
    "nan": errors.Malformed,
    "huge": errors.Oversize,
    "down": errors.Unreachable,
    "reset": errors.Unreachable,
    "wrong_type": errors.Malformed,
    "double_member": errors.Malformed,
    "redirect": errors.Refused,
}
SURVIVED = {
    "extra_fields": "extra_fields_dropped:3",
    "outside_months": "outside_period_removed:3",
    "duplicate_rows": "duplicate_rows:2",
}


async def test_a_sound_answer_is_ready_and_says_where_it_comes_from(departments: Departments) -> None:
    asked = permit(GOOD, item(VAT), item("tax.tax_arrears"))
    invoices = await departments.fetch(asked, asked.items[1], soon())
    assert (invoices.state, invoices.source, invoices.count, invoices.quality) == ("READY", "tax", 48, ())
    assert invoices.provenance == "real:cumcm-2020c months shifted +81"
    assert invoices.months == tuple(str(MONTHS.first.shift(n)) for n in range(24))
    arrears = await departments.fetch(asked, asked.items[0], soon())
    assert (arrears.state, arrears.count, arrears.records) == ("READY", 0, b"[]")
    assert arrears.provenance == "simulated:seed=20261123"


async def test_an_unknown_firm_is_a_state_and_not_an_empty_success(departments: Departments) -> None:
    asked = permit(THIN, item("social_insurance.si_contributions"))
    fetched = await departments.fetch(asked, asked.items[0], soon())
    assert (fetched.state, fetched.count, fetched.as_of) == ("NO_RECORD", 0, "")
    stranger = permit(99_999, item(VAT))
    assert (await departments.fetch(stranger, stranger.items[0], soon())).state == "NO_RECORD"


@pytest.mark.parametrize("mode", FAILING)
async def test_a_fault_ends_the_leg_in_its_typed_state(mode: str, departments: Departments, sandbox: Sandbox) -> None:
    asked = permit(GOOD, item(POWER))
    sandbox.fault(POWER, mode)
    with pytest.raises(FAILING[mode]) as failed:
        await departments.fetch(asked, asked.items[0], soon())
    assert issue_fictitious(GOOD) not in failed.value.detail + failed.value.cause
    sandbox.fault(POWER, "none")
    assert (await departments.fetch(asked, asked.items[0], soon())).quality == ()


@pytest.mark.parametrize("mode", SURVIVED)
async def test_what_was_not_asked_for_is_cut_and_flagged(mode: str, departments: Departments, sandbox: Sandbox) -> None:
    asked = permit(GOOD, item(POWER, ("uscc", "period", "account_no_digest", "usage")))
    sound = await departments.fetch(asked, asked.items[0], soon())
    sandbox.fault(POWER, mode)
    fetched = await departments.fetch(asked, asked.items[0], soon())
    assert fetched.quality == (SURVIVED[mode],)
    assert excess(fetched.records, asked.items[0]) == ()
    assert json.loads(fetched.records)[: sound.count] == json.loads(sound.records)
    assert fetched.count == (sound.count + 2 if mode == "duplicate_rows" else sound.count)


@pytest.mark.parametrize("mode", ["slow", "drip"])
async def test_a_deadline_holds_whatever_the_department_does(
    mode: str, departments: Departments, sandbox: Sandbox
) -> None:
    asked = permit(GOOD, item(POWER), item("water.water_usage"))
    sandbox.fault(POWER, mode, seconds=20)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(errors.TimedOut):
        await departments.fetch(asked, asked.items[0], begun + 0.3)
    assert asyncio.get_running_loop().time() - begun < 5
    # The late answer must not turn up as the answer to the next question on the same transport.
    assert (await departments.fetch(asked, asked.items[1], soon())).dataset == "water.water_usage"


async def test_a_deadline_in_the_past_asks_nobody(departments: Departments, sandbox: Sandbox) -> None:
    asked, before = permit(GOOD, item(VAT)), sandbox.counts()
    with pytest.raises(errors.TimedOut):
        await departments.fetch(asked, asked.items[0], soon(-1))
    assert sandbox.counts() == before


async def test_nothing_but_a_permit_opens_a_source(departments: Departments, sandbox: Sandbox) -> None:
    asked, before = permit(GOOD, item(VAT)), sandbox.counts()
    elsewhere = item(VAT, (), Period.parse("2024-10", "2026-10"))
    for not_a_permit in (None, object(), asked.items[0], {"items": asked.items}):
        with pytest.raises(TypeError, match="Permit"):
            await departments.fetch(not_a_permit, asked.items[0], soon())  # type: ignore[arg-type]
    for foreign in (elsewhere, item(POWER), item(VAT, ("uscc",))):
        with pytest.raises(TypeError, match="does not stand in the permit"):
            await departments.fetch(asked, foreign, soon())
    assert sandbox.counts() == before


async def test_one_fetch_is_one_question(departments: Departments, sandbox: Sandbox) -> None:
    asked, before = permit(GOOD, item(VAT)), sandbox.counts()[VAT]
    for _ in range(3):
        await departments.fetch(asked, asked.items[0], soon())
    assert sandbox.counts()[VAT] == before + 3


async def test_many_legs_at_once_never_mix_their_firms(departments: Departments) -> None:
    permits = [permit(ent, item(POWER)) for ent in range(1, 41)]
    legs = await asyncio.gather(*(departments.fetch(each, each.items[0], soon()) for each in permits))
    for each, leg in zip(permits, legs, strict=True):
        assert {row["uscc"] for row in json.loads(leg.records)} == {each.enterprise}


async def test_a_department_that_is_down_for_one_firm_is_up_for_others(departments: Departments) -> None:
    down, well = (permit(ent, item("water.water_usage"), item(POWER)) for ent in (WATER_DOWN, GOOD))
    with pytest.raises(errors.Unreachable):
        await departments.fetch(down, down.items[1], soon())
    assert (await departments.fetch(down, down.items[0], soon())).state == "READY"
    assert (await departments.fetch(well, well.items[1], soon())).state == "READY"


async def test_a_wrong_key_is_refused(sandbox: Sandbox, making: type[Transport]) -> None:
    wired = Departments.build(load_registry(), sandbox.endpoints("another key"), making)
    await wired.open()
    asked = permit(GOOD, item(VAT))
    with pytest.raises(errors.Refused):
        await wired.fetch(asked, asked.items[0], soon())
    await wired.close()


async def test_a_dataset_without_a_department_is_not_collected(sandbox: Sandbox, making: type[Transport]) -> None:
    wired = Departments.build(load_registry(), {"tax": sandbox.endpoints()["tax"]}, making)
    asked = permit(GOOD, item(POWER))
    assert wired.datasets == {VAT, "tax.tax_arrears", "tax.tax_credit_rating"}
    assert (wired.department_of(VAT), wired.department_of(POWER)) == ("tax", "")
    with pytest.raises(errors.NotCollected):
        await wired.fetch(asked, asked.items[0], soon())


async def test_a_closed_or_unopened_transport_is_unreachable(departments: Departments) -> None:
    asked = permit(GOOD, item(VAT))
    await departments.close()
    with pytest.raises(errors.Unreachable):
        await departments.fetch(asked, asked.items[0], soon())


def test_a_misspelt_department_is_not_silence() -> None:
    with pytest.raises(ValueError, match="texas"):
        Departments.build(load_registry(), {"texas": Endpoint("http://127.0.0.1:9", "k")})


def test_a_key_is_not_shown() -> None:
    assert "hidden" not in repr(Endpoint("http://127.0.0.1:9", "hidden"))
