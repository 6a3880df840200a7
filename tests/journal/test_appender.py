"""The appender on SQLite and PostgreSQL: entries, receipts, guards and effects. The log is re-derived after each
test.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlmodel import select

from consent.enterprise import issue_fictitious
from consent.evidence import Evidence, Kind
from consent.grant import Grant, Terms
from consent.oauth.bank import Bank as BankRow
from consent.oauth.token import AccessToken, digest
from consent.signatory import Enterprise as EnterpriseRow
from consent.signing import Passkey
from node.clock import to_ms
from node.database import Reader, make_engine
from node.flows.envelope import receipt_json
from node.journal.act import (
    Act,
    CountPasskey,
    EndGrant,
    EndTokens,
    GrantLive,
    Guard,
    GuardFailed,
    Insert,
    KeepAnswer,
    KeyNew,
    SetBank,
    TokenLive,
    UseGrant,
)
from node.journal.appender import Appender
from node.journal.leaf import Deny, Open
from node.journal.receipt_check import verify_receipt
from node.journal.tables import KeptAnswer, Subject
from tests.faults.journal import NAMES, StillClock, appending, check_log
from tests.people import CATALOGUE, PURPOSE, Bank, Enterprise


@dataclass
class Desk:
    """An appender, a grant with a token, and a look at the tables."""

    appender: Appender
    reader: Reader
    clock: StillClock
    bank: Bank
    enterprise: Enterprise
    grant: Terms
    token: str

    def ask(self, name: str, *guards: Guard, refusable: bool = True) -> Act:
        """A query's REQ with its guards; a DENY when one fails."""
        items = self.grant.scope.encode(CATALOGUE)
        public = {
            "req": name,
            "grant": self.grant.id,
            "ver": 1,
            "purpose": PURPOSE,
            "items": items,
            "ground": "consent",
        }
        asked = Evidence(Kind.REQ, self.bank.client_id, self.enterprise.code, public, {"interaction": name})
        denied = Evidence(Kind.DENY, "bank-a", self.enterprise.code, {"req": name, "grant": self.grant.id, "why": ""})
        return Act((asked,), guards or (self.live,), (UseGrant(self.grant.id),), denied if refusable else None)

    def release(self, name: str) -> Act:
        """The REL of a query."""
        items = self.grant.scope.encode(CATALOGUE)
        public = {
            "req": name,
            "grant": self.grant.id,
            "ver": 1,
            "purpose": PURPOSE,
            "items": items,
            "n": 24,
            "retry_of": "",
        }
        denied = Evidence(Kind.DENY, "bank-a", self.enterprise.code, {"req": name, "grant": self.grant.id, "why": ""})
        return Act((Evidence(Kind.REL, "bank-a", self.enterprise.code, public),), (self.live,), (), denied)

    @property
    def live(self) -> GrantLive:
        """The guard that stands before everything under the grant."""
        return GrantLive(self.grant.id, 1)

    def key(self, name: str = "k1") -> KeyNew:
        """An Idempotency-Key."""
        return KeyNew(self.bank.client_id, name, "0" * 64, "qry_1", to_ms(self.clock()) + 60_000)

    async def refused(self, act: Act) -> GuardFailed:
        """The refusal of an act."""
        with pytest.raises(GuardFailed) as caught:
            await self.appender.append(act)
        return caught.value

    async def row(self) -> Grant:
        """The grant at rest."""
        found = await self.reader.first(select(Grant).where(Grant.id == self.grant.id))
        assert found is not None
        return found


@pytest.fixture
async def desk(database: str, clock: StillClock, bank: Bank, enterprise: Enterprise) -> AsyncIterator[Desk]:
    engine = make_engine(database)
    async with appending(database, clock) as appender:
        await appender.append(bank.admitted(clock()))
        grant, given = enterprise.gives(bank, clock(), most=3, days=10)
        await appender.append(given)
        token, issued = bank.token(grant, clock())
        await appender.append(issued)
        yield Desk(appender, Reader(engine), clock, bank, enterprise, grant, token)
    await engine.dispose()
    await check_log(database)


async def test_an_empty_database_gets_its_first_log(database: str, clock: StillClock) -> None:
    async with appending(database, clock) as appender:
        assert appender.size == 1
    log = await check_log(database)
    (first,) = log.leaves
    assert isinstance(first, Open)
    assert (first.node, first.prev, first.ts) == (NAMES.node_id, "", to_ms(clock()))
    async with appending(database, clock) as again:
        assert again.size == 1


async def test_every_receipt_proves_its_entry(desk: Desk, database: str) -> None:
    receipts = [r for n in range(3) for r in await desk.appender.append(desk.ask(f"qry_{n}"))]
    vkey = NAMES.signer(NAMES.origin(2026)).vkey
    for receipt in receipts:
        report = verify_receipt(receipt_json(receipt), vkey)
        assert report.ok, [check for check in report.checks if check.ok is False]
    log = await check_log(database)
    assert [receipt.index for receipt in receipts] == [4, 5, 6]
    assert [log.entries[r.index].leaf for r in receipts] == [r.leaf for r in receipts]
    assert [log.entries[r.index].salt for r in receipts] == [r.salt for r in receipts]


async def test_an_act_of_several_entries_gets_a_receipt_for_each_in_order(desk: Desk) -> None:
    one, two = (Evidence(Kind.BANK, "node", None, {"act": name}) for name in ("first", "second"))
    receipts = await desk.appender.append(Act((one, two)))
    assert [b"first" in r.leaf for r in receipts] == [True, False]
    assert receipts[1].index == receipts[0].index + 1


async def test_each_enterprise_counts_its_entries_without_a_gap(desk: Desk, database: str) -> None:
    stranger = Enterprise(issue_fictitious(1))
    grants = [stranger.gives(desk.bank, desk.clock()) for _ in range(3)]
    await asyncio.gather(*[desk.appender.append(act) for _, act in grants], desk.appender.append(desk.ask("qry_1")))
    subjects = {row.code: row.counter for row in await desk.reader.all(select(Subject))}
    assert subjects == {str(desk.enterprise.code): 3, str(stranger.code): 3}
    assert str(desk.enterprise.code).encode() not in b"".join(e.leaf for e in (await check_log(database)).entries)


# ---------------------------------------------------------------------------------------------------- guards


@pytest.mark.parametrize(
    ("reason", "guard"),
    [
        ("consent.unknown", GrantLive("grt_nobody", 1)),
        ("token.ended", TokenLive(digest("xat_nobody"))),
    ],
)
async def test_what_does_not_exist_refuses(desk: Desk, reason: str, guard: Guard) -> None:
    assert (await desk.refused(desk.ask("qry_1", guard))).reason == reason


async def test_a_revoked_grant_refuses_everything_under_it(desk: Desk) -> None:
    await desk.appender.append(desk.enterprise.takes_back(desk.grant))
    assert (await desk.refused(desk.ask("qry_1"))).reason == "consent.revoked"
    assert (await desk.refused(desk.ask("qry_2", TokenLive(digest(desk.token))))).reason == "token.ended"
    row = await desk.row()
    assert (row.status, row.version, row.ended_by, row.ended_ms) == ("revoked", 2, "enterprise", to_ms(desk.clock()))


@pytest.mark.parametrize(("days", "reason"), [(0, ""), (9.999, ""), (10, "consent.expired"), (11, "consent.expired")])
async def test_a_grant_is_in_force_from_its_first_instant_to_before_its_end(
    desk: Desk, days: float, reason: str
) -> None:
    desk.clock.tick(days * 86_400)
    act = desk.ask("qry_1")
    if reason:
        assert (await desk.refused(act)).reason == reason
    else:
        assert len(await desk.appender.append(act)) == 1


async def test_a_grant_that_begins_later_is_not_in_force_yet(desk: Desk, database: str) -> None:
    grant, given = desk.enterprise.gives(desk.bank, desk.clock() + timedelta(hours=1))
    await desk.appender.append(given)
    guard = GrantLive(grant.id, 1)
    assert (await desk.refused(desk.ask("qry_1", guard, refusable=False))).reason == "consent.not_yet"
    desk.clock.tick(3599.999)
    assert (await desk.refused(desk.ask("qry_2", guard, refusable=False))).reason == "consent.not_yet"
    desk.clock.tick(0.001)
    await desk.appender.append(desk.ask("qry_3", guard, desk.live))


async def test_a_token_ends_at_its_instant(desk: Desk) -> None:
    guard = TokenLive(digest(desk.token))
    desk.clock.tick(299.999)
    await desk.appender.append(desk.ask("qry_1", guard))
    desk.clock.tick(0.001)
    assert (await desk.refused(desk.ask("qry_2", guard))).reason == "token.ended"


async def test_another_version_than_the_present_one_refuses(desk: Desk) -> None:
    assert (await desk.refused(desk.ask("qry_1", GrantLive(desk.grant.id, 2)))).reason == "consent.changed"


async def test_the_quota_ends_new_queries_but_not_their_release(desk: Desk) -> None:
    counted = GrantLive(desk.grant.id, 1, quota=True)
    outcomes = await asyncio.gather(
        *[desk.appender.append(desk.ask(f"qry_{n}", counted)) for n in range(5)], return_exceptions=True
    )
    assert [getattr(each, "reason", "") for each in outcomes] == [*[""] * 3, *["consent.consumed"] * 2]
    assert (await desk.row()).used == 3
    await desk.appender.append(desk.release("qry_0"))


async def test_a_key_is_used_once_and_its_second_use_leaves_no_entry(desk: Desk, database: str) -> None:
    first, second = await asyncio.gather(
        *[desk.appender.append(desk.ask(name, desk.key(), desk.live)) for name in ("qry_1", "qry_2")],
        return_exceptions=True,
    )
    assert not isinstance(first, BaseException)
    assert isinstance(second, GuardFailed) and (second.reason, second.receipt) == ("key.used", None)
    assert (await desk.refused(desk.ask("qry_3", desk.key(), desk.live))).reason == "key.used"
    assert (await desk.row()).used == 1
    assert (await check_log(database)).requests("DENY") == set()
    (kept,) = await desk.reader.all(select(KeptAnswer))
    assert (kept.key, kept.query_id, kept.sealed) == ("k1", "qry_1", b"")


async def test_a_refused_act_leaves_a_denial_with_the_reason_found_under_the_lock(desk: Desk, database: str) -> None:
    await desk.appender.append(desk.enterprise.takes_back(desk.grant))
    refusal = await desk.refused(desk.ask("qry_1"))
    assert refusal.receipt is not None
    assert verify_receipt(receipt_json(refusal.receipt), NAMES.signer(NAMES.origin(2026)).vkey).ok
    (denied,) = (await check_log(database)).of("DENY")
    assert isinstance(denied, Deny) and (denied.why, denied.req, denied.grant) == (
        "consent.revoked",
        "qry_1",
        desk.grant.id,
    )
    assert (await desk.row()).used == 0
    silent = await desk.refused(desk.ask("qry_2", refusable=False))
    assert silent.receipt is None


async def test_a_revocation_and_a_release_in_one_batch_have_an_order(desk: Desk, database: str) -> None:
    await desk.appender.append(desk.ask("qry_1"))
    before = desk.appender.size
    outcomes = await asyncio.gather(
        desk.appender.append(desk.release("qry_1")),
        desk.appender.append(desk.enterprise.takes_back(desk.grant)),
        desk.appender.append(desk.release("qry_1")),
        desk.appender.append(desk.ask("qry_2", TokenLive(digest(desk.token)))),
        desk.appender.append(desk.enterprise.takes_back(desk.grant)),
        return_exceptions=True,
    )
    assert [getattr(each, "reason", "") for each in outcomes] == [
        "", "", "consent.revoked", "token.ended", "consent.state_conflict"
    ]  # fmt: skip
    log = await check_log(database)
    assert log.kinds()[before:] == ["REL", "REVOKE", "DENY", "DENY"]
    assert before in log.sizes and log.sizes[-1] == len(log.entries)
    assert len(log.sizes) == log.sizes.index(before) + 2, "all five acts were one batch"


# --------------------------------------------------------------------------------------------------- effects


async def test_effects_stand_with_their_entries(desk: Desk) -> None:
    passkey = Passkey(credential_id="c1", signatory="sig_1", public_key=b"k", sign_count=4, aaguid="", backed_up=False,
                      created_ms=0)  # fmt: skip
    noted = Evidence(Kind.PASSKEY, "node", desk.enterprise.code, {"act": "added"})
    kept = (KeepAnswer("bank-a", "k1", b"sealed"), CountPasskey("c1", 9), SetBank("bank-a", "suspended"))
    await desk.appender.append(Act((noted,), (), (Insert(passkey),)))
    await desk.appender.append(desk.ask("qry_1", desk.key(), desk.live))
    await desk.appender.append(Act((noted,), (), kept))
    await desk.appender.append(Act((noted,), (), (CountPasskey("c1", 5),)))
    assert [row.sealed for row in await desk.reader.all(select(KeptAnswer))] == [b"sealed"]
    assert [row.sign_count for row in await desk.reader.all(select(Passkey))] == [9]
    assert [row.status for row in await desk.reader.all(select(BankRow))] == ["suspended"]
    assert (await desk.row()).used == 1


async def test_ending_the_tokens_leaves_the_grant(desk: Desk) -> None:
    stop = Evidence(Kind.STOP, "bank-a", desk.enterprise.code, {"grant": desk.grant.id, "why": "code_replayed"})
    await desk.appender.append(Act((stop,), (), (EndTokens(desk.grant.id),)))
    assert {row.ended_ms for row in await desk.reader.all(select(AccessToken))} == {to_ms(desk.clock())}
    assert (await desk.refused(desk.ask("qry_1", TokenLive(digest(desk.token))))).reason == "token.ended"
    await desk.appender.append(desk.ask("qry_2"))


@pytest.mark.parametrize("version", [1, 3])
async def test_a_grant_ends_at_its_next_version_only(desk: Desk, version: int) -> None:
    public = {"grant": desk.grant.id, "ver": version, "by": "enterprise", "why": ""}
    evidence = Evidence(Kind.REVOKE, "bank-a", desk.enterprise.code, public)
    act = Act((evidence,), (), (EndGrant(desk.grant.id, version, "enterprise", ""),))
    assert (await desk.refused(act)).reason == "consent.state_conflict"
    assert (await desk.row()).status == "active"


async def test_a_duplicate_row_refuses_its_act_and_no_other(desk: Desk, database: str) -> None:
    before = desk.appender.size
    outcomes = await asyncio.gather(
        desk.appender.append(desk.ask("qry_1")),
        desk.appender.append(desk.bank.admitted(desk.clock())),
        desk.appender.append(Bank("bank-b").admitted(desk.clock())),
        desk.appender.append(Bank("bank-b").admitted(desk.clock())),
        return_exceptions=True,
    )
    assert [getattr(each, "reason", "") for each in outcomes] == ["", "row.exists", "", "row.exists"]
    assert sorted(row.client_id for row in await desk.reader.all(select(BankRow))) == ["bank-a", "bank-b"]
    assert (await check_log(database)).kinds()[before:] == ["REQ", "BANK"]


async def test_an_act_of_two_rows_inserts_both_or_none(desk: Desk) -> None:
    noted = Evidence(Kind.BANK, "node", None, {"act": "enrol-enterprise"})
    fresh, taken = (EnterpriseRow(code=code, name="n") for code in (str(issue_fictitious(1)), str(issue_fictitious(2))))
    await desk.appender.append(Act((noted,), (), (Insert(taken.model_copy()),)))
    found = await asyncio.gather(
        desk.appender.append(Act((noted,), (), (Insert(fresh), Insert(taken)))),
        desk.appender.append(desk.ask("qry_1")),
        return_exceptions=True,
    )
    assert [getattr(each, "reason", "") for each in found] == ["row.exists", ""]
    assert [row.code for row in await desk.reader.all(select(EnterpriseRow))] == [str(issue_fictitious(2))]


async def test_an_act_without_an_entry_is_no_act(desk: Desk) -> None:
    """A change that leaves no entry would be a change nobody can see; it is refused at once, by a plain error."""
    with pytest.raises(ValueError, match="evidence"):
        desk.appender.append(Act((), (), (SetBank("bank-a", "suspended"),)))
    assert [row.status for row in await desk.reader.all(select(BankRow))] == ["active"]
