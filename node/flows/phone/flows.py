"""The phone's flows, joined from their parts: plain constructor calls."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from consent.oauth.issuer import Rules
from consent.signing import RelyingParty
from node.clock import Clock
from node.database import Reader
from node.flows.loading import Loader
from node.flows.phone.account import Account
from node.flows.phone.asks import Asks
from node.flows.phone.people import People
from node.flows.phone.proofs import Proving
from node.flows.phone.returning import Returning
from node.flows.phone.sessions import Sessions
from node.flows.phone.shelf import Shelf
from node.flows.phone.signing import Signing
from node.flows.phone.timeline import Timelines
from node.flows.phone.withdrawal import Withdrawal
from node.journal.appender import Appender
from node.journal.reading import Openings, Proofs


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneParts:
    """What the composition root hands down. `party.origin` is the only origin forms are accepted from."""

    reader: Reader
    valkey: Redis
    loader: Loader
    appender: Appender
    openings: Openings
    proofs: Proofs
    rules: Rules
    party: RelyingParty
    node_id: str
    clock: Clock


@dataclass(frozen=True, slots=True)
class PhoneFlows:
    """Every act a phone can do."""

    party: RelyingParty
    sessions: Sessions
    people: People
    asks: Asks
    signing: Signing
    returning: Returning
    account: Account
    withdrawal: Withdrawal
    timelines: Timelines
    proving: Proving


def phone_flows(parts: PhoneParts) -> PhoneFlows:
    """Join the parts."""
    shelf = Shelf(parts.valkey)
    sessions = Sessions(shelf)
    asks = Asks(shelf, parts.loader, parts.rules, parts.clock)
    signing = Signing(asks, shelf, parts.reader, parts.appender, parts.rules, parts.party, parts.node_id, parts.clock)
    returning = Returning(asks, shelf, parts.loader, parts.appender, parts.rules, parts.clock)
    timelines = Timelines(parts.reader, parts.openings)
    proving = Proving(timelines, parts.openings, parts.proofs)
    account = Account(parts.reader, asks, timelines, proving, returning, parts.rules, parts.clock)
    return PhoneFlows(
        party=parts.party,
        sessions=sessions,
        people=People(parts.reader, shelf, sessions, parts.clock),
        asks=asks,
        signing=signing,
        returning=returning,
        account=account,
        withdrawal=Withdrawal(account, parts.loader, parts.appender, parts.rules, parts.clock),
        timelines=timelines,
        proving=proving,
    )
