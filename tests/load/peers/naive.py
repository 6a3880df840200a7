"""Naive: the same duties in the ordinary way: joserfc for token and proof, an ORM session and a commit a query, httpx.

No caches, no group commit, no transparency log: one audit row. Everything is what the documentation of each library
shows first.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64encode
from pydantic import BaseModel
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.catalogue import load
from consent.grant import Grant, terms
from consent.scope import ScopeItem


class NaiveAudit(SQLModel, table=True):
    """Who looked at what."""

    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    client_id: str = Field(index=True)
    grant_id: str = Field(index=True)
    uscc: str = Field(index=True)
    datasets: str
    jti: str


class Item(BaseModel):
    """One dataset."""

    dataset: str
    period: dict[str, str]


class Asked(BaseModel):
    """A query's body."""

    subject: dict[str, str]
    purpose: str
    items: list[Item]


class Leg(BaseModel):
    """One department's answer."""

    uscc: str
    dataset: str
    as_of: date
    provenance: str
    records: list[dict[str, str | int | bool]]


class Answer(BaseModel):
    """The answer to a query."""

    grant_id: str
    legs: list[Leg]


class Caller(BaseModel):
    """Who calls, proven."""

    client_id: str
    grant_id: str
    jti: str


def build(place: dict[str, Any]) -> FastAPI:
    """The application. `place` tells where everything is, the issuer and its public key."""
    engine = create_async_engine(place["naive_database"])
    client = httpx.AsyncClient(base_url=place["departments"], headers={"X-Api-Key": place["key"]})
    redis = Redis.from_url(place["valkey"])
    issuer_key = ECKey.import_key(place["issuer_jwk"])
    claims_rules = jwt.JWTClaimsRegistry(iss={"essential": True, "value": place["issuer"]}, exp={"essential": True})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.tables["naiveaudit"].create, checkfirst=True)
        yield
        await client.aclose()

    app = FastAPI(lifespan=lifespan)

    async def session() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine) as opened:
            yield opened

    async def caller(authorization: Annotated[str, Header()], dpop: Annotated[str, Header()]) -> Caller:
        value = authorization.removeprefix("DPoP ")
        try:
            token = jwt.decode(value, issuer_key, algorithms=["ES256"])
            claims_rules.validate(token.claims)
            unverified = jwt.decode(dpop, lambda proof: ECKey.import_key(proof.headers()["jwk"]), algorithms=["ES256"])
        except (JoseError, ValueError) as error:
            raise HTTPException(401, "the token or the proof does not hold") from error
        claims, key = unverified.claims, ECKey.import_key(unverified.header["jwk"])
        ath = urlsafe_b64encode(hashlib.sha256(value.encode()).digest()).decode()
        expected = ("POST", place["issuer"] + "/v1/queries", ath, token.claims["cnf"]["jkt"])
        stated = (claims["htm"], claims["htu"], claims["ath"], key.thumbprint())
        if stated != expected or claims["iat"] < time.time() - 60:
            raise HTTPException(401, "the proof is for something else")
        if not await redis.set(f"naive:{claims['jti']}", 1, nx=True, ex=90):
            raise HTTPException(401, "the proof was used before")
        return Caller(client_id=token.claims["client_id"], grant_id=token.claims["grant_id"], jti=claims["jti"])

    async def ask(uscc: str, item: Item, granted: ScopeItem) -> Leg:
        question = {"dataset": item.dataset, "uscc": uscc, "fields": granted.fields, **item.period}
        answer = await client.post("/v1/records", json=question)
        answer.raise_for_status()
        leg = Leg.model_validate_json(answer.content)
        first, last = item.period["from"], item.period["to"]
        leg.records = [
            {name: value for name, value in record.items() if name in granted.fields}
            for record in leg.records
            if first <= str(record["period"]) <= last
        ]
        return leg

    @app.post("/v1/queries")
    async def query(
        asked: Asked, who: Annotated[Caller, Depends(caller)], db: Annotated[AsyncSession, Depends(session)]
    ) -> Answer:
        row = (await db.exec(select(Grant).where(Grant.id == who.grant_id))).first()
        if row is None or row.client_id != who.client_id or row.enterprise != asked.subject["uscc"]:
            raise HTTPException(403, "no consent")
        grant = terms(row, load())
        grant.live(int(time.time() * 1000))
        granted = grant.scope.by_dataset
        legs = await asyncio.gather(*[ask(row.enterprise, item, granted[item.dataset]) for item in asked.items])
        names = ",".join(item.dataset for item in asked.items)
        at = datetime.now(UTC)
        db.add(NaiveAudit(at=at, **who.model_dump(), uscc=row.enterprise, datasets=names))
        await db.commit()
        return Answer(grant_id=who.grant_id, legs=list(legs))

    return app
