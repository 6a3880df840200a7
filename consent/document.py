"""The consent document 授权书: everything that is agreed, as canonical bytes that the phone shows, hashes and signs.

The short code on the screen, the receipt and the signed challenge all come from the same bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consent.canonical import canonical, digest, tagged_digest
from consent.catalogue import Catalogue
from consent.enterprise import CreditCode
from consent.purpose import Template
from consent.scope import Scope

TYPE = "urn:xyd:consent-document:1"
CHALLENGE_TAG = "xyd-consent-v1"
CLAUSE_VERSION = "XYD-AUTH-01/1"
CLAUSES = (
    "本授权由企业自愿作出；拒绝不影响企业以其他材料办理业务。",
    "被授权机构只可将信息用于载明的用途，不得向第三方提供，不得用于模型训练。",
    "企业可随时在本服务中撤销授权，撤销后不再提供任何信息，机构须删除已取得的信息；未撤销的，留存期限届满即删除。",
    "每次查询均留有不可篡改的存证记录，企业可逐条查看和核验。",
)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Recipient:
    """The bank as registered with the node; never taken from the request."""

    client_id: str
    name: str
    org_uscc: str
    licence_no: str
    contact: str


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, for which enterprise, by which authority."""

    signatory: str
    name_masked: str
    role: str
    enterprise: CreditCode
    enterprise_name: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreed substance: what, how long, how often, for which product."""

    grant_id: str
    template: Template
    scope: Scope
    not_before: datetime
    not_after: datetime
    max_queries: int
    product: str
    application_no: str
    nonce: str


def build(
    agreement: Agreement, signer: Signer, recipient: Recipient, *, node: str, catalogue: Catalogue
) -> dict[str, Any]:
    """The document as a JSON value (the contents of an 授权书). Canonical bytes by `consent.canonical`.

    Who signed at which assurance, by which device and when stands in the evidence of the signature, not here.
    """
    template = agreement.template
    return {
        "type": TYPE,
        "id": agreement.grant_id,
        "nonce": agreement.nonce,
        "node": node,
        "grantor": {"uscc": str(signer.enterprise), "name": signer.enterprise_name},
        "signer": {"ref": signer.signatory, "name": signer.name_masked, "role": signer.role},
        "recipient": {
            "client_id": recipient.client_id,
            "name": recipient.name,
            "uscc": recipient.org_uscc,
            "licence_no": recipient.licence_no,
            "contact": recipient.contact,
        },
        "purpose": {
            "code": template.code,
            "label": template.label,
            "statement": template.statement,
            "template_version": template.version,
            "template_sha256": template.sha256,
        },
        "product": agreement.product,
        "application_no": agreement.application_no,
        "catalogue": catalogue.version,
        "items": _items(agreement.scope, catalogue),
        "valid_from": _instant(agreement.not_before),
        "valid_until": _instant(agreement.not_after),
        "auto_renewal": False,
        "use": {"fetch": template.fetch, "max_queries": agreement.max_queries},
        "retention": {"days": template.retention_days, "delete_on_withdrawal": True},
        "onward": {"transfer": False, "model_training": False},
        "refusal": template.refusal,
        "clauses": {"version": CLAUSE_VERSION, "lang": "zh-CN", "sha256": digest(list(CLAUSES))},
    }


def _items(scope: Scope, catalogue: Catalogue) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for item in scope:
        entry = catalogue.item(item.dataset)
        labels = {each.name: each.label for each in entry.fields}
        rows.append(
            {
                "dataset": item.dataset,
                "label": entry.label,
                "provider": entry.provider,
                "form": item.form,
                "fields": [{"name": name, "label": labels[name]} for name in item.fields],
                "from": str(item.period.first),
                "to": str(item.period.last),
            }
        )
    return rows


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a document."""
    return canonical(dict(document))


def challenge(data: bytes) -> bytes:
    """The 32 bytes a passkey signs: SHA-256 of `xyd-consent-v1 LF document`."""
    return tagged_digest(CHALLENGE_TAG, data)


def check_code(data: bytes) -> str:
    """内容校验码: 40 bits of the challenge in Crockford base32, `XXXX-XXXX`, for the eye and the telephone."""
    number = int.from_bytes(challenge(data)[:5])
    digits = "".join(_CROCKFORD[number >> shift & 31] for shift in range(35, -5, -5))
    return f"{digits[:4]}-{digits[4:]}"


def challenge_text(data: bytes) -> str:
    """The challenge in base64url without padding, as WebAuthn's clientDataJSON carries it."""
    return base64.urlsafe_b64encode(challenge(data)).rstrip(b"=").decode()
