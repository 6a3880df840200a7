"""The authorization server's four doors: load → decide (Authlib, in `consent.oauth`) → claim → append → reply.

A code is claimed in Valkey by compare-and-set before its tokens are appended: a crash between the two burns the code
and issues nothing. A token answer exists only with the appender's receipt of its TOKEN entry in hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from consent.errors import Refusal
from consent.grant import Terms
from consent.oauth import decide
from consent.oauth.code import TOMBSTONE_S, AuthCode
from consent.oauth.effects import Authenticated, CodeReplayed, Issue, Loaded
from consent.oauth.effects import EndTokens as Ending
from consent.oauth.errors import InvalidGrantError, OAuth2Error, Reply, ServerBusy, reply_of_error
from consent.oauth.issuer import Rules
from consent.oauth.onetime import replayed
from consent.oauth.request import Endpoint, FapiRequest, RawRequest, parse
from node.clock import Clock, to_ms
from node.errors import StoreUnavailable
from node.flows.admission import EPOCH_SLACK_MS
from node.flows.loading import Loader
from node.journal.act import Act, EndTokens, GrantLive, GuardFailed, Insert, JournalUnavailable
from node.journal.appender import Appender
from node.state import Claims, StateUnavailable

_COMPARE_AND_SET = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
  return 1
end
return 0
"""


@dataclass(frozen=True, slots=True)
class OAuth:
    """See the module."""

    rules: Rules
    loader: Loader
    claims: Claims
    valkey: Redis
    appender: Appender
    clock: Clock

    async def answer(self, endpoint: Endpoint, raw: RawRequest) -> Reply:
        """One call at one door. Never raises for what a caller can cause; outages are 503 with
        `temporarily_unavailable`.
        """
        try:
            return await self._answer(endpoint, raw)
        except CodeReplayed as replay:
            return await self._end_then(replay.ends, reply_of_error(replay))
        except (StateUnavailable, StoreUnavailable, RedisError, OSError, TimeoutError):
            return reply_of_error(ServerBusy())
        except (OAuth2Error, Refusal) as error:
            return reply_of_error(error)

    async def _answer(self, endpoint: Endpoint, raw: RawRequest) -> Reply:
        request = parse(self.rules.issuer, endpoint, raw)
        client = await self.loader.bank.get(request.claimed_client_id)
        who = decide.authenticate(self.rules, request, client, now=self.clock())
        await self._burn(who)
        match endpoint:
            case Endpoint.PUSHED:
                return await self._push(request, who)
            case Endpoint.TOKEN:
                return await self._token(request, who)
            case Endpoint.INTROSPECT:
                loaded = await self._load(request)
                return decide.decide_introspect(self.rules, request, who, loaded, now=self.clock())
            case Endpoint.REVOKE:
                return await self._revoke(request, who)

    async def _burn(self, who: Authenticated) -> None:
        """Each assertion and proof is accepted once, and none older than the memory of them."""
        claimed = await self.claims.burn([(each.key, each.expires_ms) for each in who.replays])
        stale = [each for each in who.replays if each.issued_ms < claimed.epoch_ms - EPOCH_SLACK_MS]
        if stale or claimed.seen:
            raise replayed(stale[0] if stale else who.replays[claimed.seen - 1])

    async def _push(self, request: FapiRequest, who: Authenticated) -> Reply:
        pushing = decide.decide_push(self.rules, request, who, now=self.clock())
        await self.valkey.set(pushing.key, pushing.pushed.dump(self.rules.catalogue), pxat=pushing.pushed.expires_ms)
        return pushing.reply

    async def _load(self, request: FapiRequest) -> Loaded:
        wanted = decide.what_to_load(request)
        code = token = grant = None
        if wanted.code_key:
            text = await self.valkey.get(wanted.code_key)
            code = None if text is None else AuthCode.load(text)
        if wanted.token_hash:
            token = await self.loader.fresh_token(wanted.token_hash)
        named = code.grant_id if code is not None else token.grant_id if token is not None else ""
        if named:
            grant = await self.loader.fresh_grant(named)
        return Loaded(code=code, token=token, grant=grant)

    async def _token(self, request: FapiRequest, who: Authenticated) -> Reply:
        """Code or refresh token for tokens. A replay of the code is remembered before the grant's tokens are ended, and
        the first user of the code looks for that after its own tokens were appended: whichever comes last ends them.
        """
        flag = f"replayed:{decide.what_to_load(request).code_key}"
        try:
            reply, code, grant = await self._redeem(request, who)
        except CodeReplayed:
            await self.valkey.set(flag, 1, ex=TOMBSTONE_S)
            raise
        if code and grant and await self.valkey.get(flag):
            raise decide.lost_code(grant)
        return reply

    async def _redeem(self, request: FapiRequest, who: Authenticated) -> tuple[Reply, AuthCode | None, Terms | None]:
        loaded = await self._load(request)
        issue = decide.decide_token(self.rules, request, who, loaded, now=self.clock())
        code, grant = loaded.code, loaded.grant
        if issue.code_key and code and grant and not await self._claim_code(issue.code_key, code):
            raise decide.lost_code(grant)
        return await self._issue(issue, loaded), code, grant

    async def _claim_code(self, key: str, code: AuthCode) -> bool:
        """Mark the code used, exactly once: the stored text must still be the one the decision was made on."""
        used = code.used(to_ms(self.clock()))
        script = self.valkey.register_script(_COMPARE_AND_SET)
        return bool(await script(keys=[key], args=[code.dump(), used.dump(), TOMBSTONE_S]))

    async def _issue(self, issue: Issue, loaded: Loaded) -> Reply:
        if loaded.grant is None:
            raise InvalidGrantError
        guard = GrantLive(loaded.grant.id, loaded.grant.version)
        effects = tuple(Insert(token) for token in issue.tokens)
        try:
            await self.appender.append(Act((issue.evidence,), (guard,), effects))
        except GuardFailed:
            raise InvalidGrantError from None
        return issue.reply

    async def _revoke(self, request: FapiRequest, who: Authenticated) -> Reply:
        loaded = await self._load(request)
        revocation = decide.decide_revoke(self.rules, request, who, loaded, now=self.clock())
        if revocation.ends is None:
            return revocation.reply
        return await self._end_then(revocation.ends, revocation.reply)

    async def _end_then(self, ends: Ending, reply: Reply) -> Reply:
        """End the grant's tokens, in the journal and in the store, then answer."""
        try:
            await self.appender.append(Act((ends.evidence,), (), (EndTokens(ends.grant_id),)))
        except JournalUnavailable:
            return reply_of_error(ServerBusy())
        return reply
