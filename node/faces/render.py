"""Rendering: Jinja2 with autoescape, static files under content-hash names, the headers every page bears.

Nothing inline, nothing from elsewhere: the policy of each page allows own files only, and Trusted Types keeps scripts
from writing markup. Widths that come from data are SVG attributes, never styles.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from importlib import resources
from typing import Any, Final

import segno
from jinja2 import Environment, FunctionLoader, StrictUndefined

from consent.catalogue import Catalogue
from node.faces.texts import LANGS, Lang, Words
from node.faces.views import Page, brand, day, look, moment, moment_exact, money, month

TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
IMMUTABLE: Final = "public, max-age=31536000, immutable"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'{origins}; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


@dataclass(frozen=True, slots=True)
class NodeName:
    """The node as pages name it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is served: the bytes never change under its name."""

    name: str
    content: bytes
    media_type: str


class Faces:
    """Renders pages. Made once; reads templates and static files from the package then."""

    def __init__(self, node: NodeName, catalogue: Catalogue, *, secure: bool) -> None:
        self.node = node
        self.secure = secure
        self._static = _static_files()
        self._served = {each.name: each for each in self._static.values()}
        self._words = {lang: Words(lang, catalogue) for lang in LANGS}
        self._pages = {lang: self._environment(words) for lang, words in self._words.items()}

    def page(self, template: str, page: Page, **context: Any) -> str:
        """A page's HTML in the reader's language."""
        return self._pages[page.lang].get_template(template).render(page=page, node=self.node, **context)

    def words(self, lang: Lang) -> Words:
        """The words of a language."""
        return self._words[lang]

    def static(self, name: str) -> StaticFile | None:
        """The static file served under a content-hash name."""
        return self._served.get(name)

    def headers(self, form_origin: str = "") -> dict[str, str]:
        """The headers of a page. `form_origin` is the one bank a form of this page may lead to.

        Browsers apply form-action to the redirect that follows a form, so the bank must be named where one leads there.
        """
        headers = {
            "Content-Security-Policy": _POLICY.format(origins=f" {form_origin}" if form_origin else ""),
            "X-Content-Type-Options": "nosniff",
            # no-referrer would make browsers send `Origin: null` with our own forms
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        return headers | {"Strict-Transport-Security": "max-age=31536000"} if self.secure else headers

    def _environment(self, words: Words) -> Environment:
        environment = Environment(
            loader=FunctionLoader(_template),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            auto_reload=False,
        )
        environment.globals.update(_globals(words, self._static))
        environment.filters.update(_filters(words))
        return environment


def _template(name: str) -> str:
    return resources.files("node.faces").joinpath("templates", name).read_text(encoding="utf-8")


def _static_files() -> Mapping[str, StaticFile]:
    """Every file of `static/` by its plain name, with the name it is served under: `phone.3f2a9c01d4e5.css`."""
    found = {}
    for each in resources.files("node.faces").joinpath("static").iterdir():
        stem, _, suffix = each.name.rpartition(".")
        if suffix in TYPES:
            content = each.read_bytes()
            served = f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}.{suffix}"
            found[each.name] = StaticFile(served, content, TYPES[suffix])
    return found


def _globals(words: Words, static: Mapping[str, StaticFile]) -> dict[str, Any]:
    return {
        "t": words.t,
        "legal": words.legal,
        "withheld": words.withheld,
        "reason": words.reason,
        "look": lambda line: look(line, words),
        "qr": qr,
        "static": lambda name: "/static/" + static[name].name,
        "sign_texts": lambda: sign_texts(words),
    }


def _filters(words: Words) -> dict[str, Any]:
    lang = words.lang

    def day_long(value: date) -> str:
        return day(datetime(value.year, value.month, value.day, 12), lang)  # noqa: DTZ001 - a date, shown as it is

    return {
        "data_label": words.data_label,
        "field_label": words.field_label,
        "provider": words.provider,
        "refresh": words.refresh,
        "purpose_name": words.purpose_name,
        "purpose_label": lambda template: words.purpose_name(template.code),
        "day": lambda value: day(value, lang),
        # a tile is narrow: the year may stand on a line of its own, nothing else may break
        "day_parted": lambda value: day(value, lang).replace("年", "年\u200b"),
        "day_long": day_long,
        "month": lambda value: month(value, lang),
        "moment": lambda value: moment(value, lang),
        "moment_exact": lambda value: moment_exact(value, lang),
        "money": money,
        "brand": brand,
    }


def sign_texts(words: Words) -> dict[str, str]:
    """The words the signing script may show."""
    names = ("none", "refused", "altered", "registered", "failed")
    pairs = {name: words.t(f"sign.js.{name}") for name in (*names, "busy", "saving", "again")}
    return pairs | {f"{name}.text": words.t(f"sign.js.{name}.text") for name in names}


def qr(address: str) -> str:
    """An address as a QR code: an SVG without style, script or text, dark on the white ground its box gives it."""
    out = io.BytesIO()
    segno.make(address, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, omitsize=True, border=1, title=None, svgclass=None, lineclass=None
    )
    return out.getvalue().decode()
