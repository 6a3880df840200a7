"""Every page, rendered without a node: what must stand on it, what must never."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources

import pytest

from consent import catalogue as catalogues
from consent.purpose import templates
from node.faces.render import Faces
from node.faces.texts import LANGS, Lang, texts
from node.faces.views import Page, brand, moment, money
from tests.phone import samples

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"
BUDGET_BYTES = 60_000


@pytest.fixture(scope="module")
def faces() -> Faces:
    return samples.faces()


def each_page(hostile: str = "") -> Iterator[tuple[samples.Sample, Lang]]:
    for sample in samples.samples(hostile):
        for lang in LANGS:
            yield sample, lang


class Elements(HTMLParser):
    """Start tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


@pytest.mark.parametrize(("sample", "lang"), list(each_page()), ids=lambda value: getattr(value, "name", value))
def test_a_page_keeps_to_the_policy(faces: Faces, sample: samples.Sample, lang: Lang) -> None:
    html = samples.render(faces, sample, Page(lang=lang, csrf="t" * 64, signed_in=sample.signed_in))
    assert html.startswith("<!doctype html>")
    assert len(html.encode()) < BUDGET_BYTES
    for tag, attributes in Elements(html).tags:
        assert tag != "style" and "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "script":
            assert attributes["src"].startswith("/static/") and attributes["type"] == "module"
        for name in ("src", "href", "action"):
            assert not attributes.get(name, "").startswith(("//", "javascript:", "data:"))
    assert "undefined" not in html.lower()


@pytest.mark.parametrize(("sample", "lang"), list(each_page(HOSTILE)), ids=lambda value: getattr(value, "name", value))
def test_names_from_outside_stay_text(faces: Faces, sample: samples.Sample, lang: Lang) -> None:
    who = samples.acting(HOSTILE)
    html = samples.render(faces, sample, Page(lang=lang, csrf="t" * 64, signed_in=sample.signed_in), who)
    tags = [tag for tag, _ in Elements(html).tags]
    assert "img" not in tags
    assert "<script>alert" not in html
    assert html.count("alert(1)") == 0 or "{{7*7}}" in html


@pytest.mark.parametrize("sample", samples.samples(), ids=lambda sample: sample.name)
def test_every_form_carries_the_token(faces: Faces, sample: samples.Sample) -> None:
    html = samples.render(faces, sample)
    posts = re.findall(r'<form[^>]*method="post".*?</form>', html, re.DOTALL)
    assert all('name="csrf" value="' + "t" * 64 in form for form in posts)


def test_the_review_shows_what_the_law_asks(faces: Faces) -> None:
    sample = next(each for each in samples.samples() if each.name == "review")
    html = samples.render(faces, sample)
    order = [
        "查看贵公司信息？",
        "江州农村商业银行股份有限公司",
        "持牌并已核验",
        "B0234H332010001",
        str(samples.ENTERPRISE),
        "仅用于审查贵公司提出的这笔贷款申请",
        "最多 3 次",
        "不同意不影响贵公司",
        "必需信息 3 类",
        "每张发票、客户和供应商名称",
        "可选信息 2 类",
        "2027年\u200b2月21日",
        "随时撤销",
        "最多留存 31 天",
        'name="declare"',
        'id="sum"',
        "不同意</button>",
        "同意，去签署",
    ]
    places = [html.index(text) for text in order]
    assert places == sorted(places)


def test_nothing_is_ticked_for_the_signatory(faces: Faces) -> None:
    sample = next(each for each in samples.samples() if each.name == "review")
    boxes = [a for tag, a in Elements(samples.render(faces, sample)).tags if a.get("type") == "checkbox"]
    assert len(boxes) == 3
    assert not [box for box in boxes if "checked" in box]
    assert [box["role"] for box in boxes if box["name"] == "optional"] == ["switch", "switch"]


def test_the_sign_page_shows_the_text_that_is_signed(faces: Faces) -> None:
    page = samples.sign_page()
    html = samples.render(faces, samples.Sample("sign", "sign.html", page))
    assert page.code in html
    raw = re.search(r'<pre class="raw"[^>]*>(.*?)</pre>', html, re.DOTALL)
    assert raw is not None
    assert raw[1].replace("&#34;", '"') == page.text


def test_legal_text_in_english_is_marked_a_translation(faces: Faces) -> None:
    sample = next(each for each in samples.samples() if each.name == "review")
    html = samples.render(faces, sample, Page(lang="en", csrf="t" * 64, signed_in=True))
    assert html.count("译文") == 2 + len(samples.sign_page().clauses)


def test_every_text_used_stands_in_both_languages() -> None:
    folder = resources.files("node.faces").joinpath("templates")
    used = set()
    for each in folder.iterdir():
        used |= set(re.findall(r'\bt\(["\']([a-z0-9_.]+)["\'][,)]', each.read_text(encoding="utf-8")))
    assert used
    for key in used:
        chinese, english = texts()[key]
        assert chinese and english, key


def test_no_text_is_without_its_english() -> None:
    assert not [key for key, (_, english) in texts().items() if not english]
    legal = ("clause.", "purpose.", "data.", "provider.", "translated")
    assert not [key for key, (chinese, _) in texts().items() if not chinese and not key.startswith(legal)]


def test_every_place_in_a_text_stands_in_both_languages() -> None:
    places = re.compile(r"\{(\w+)\}")
    for key, (chinese, english) in texts().items():
        if chinese:
            assert set(places.findall(chinese)) == set(places.findall(english)), key


def test_every_item_and_purpose_a_template_opens_has_its_words(faces: Faces) -> None:
    catalogue = catalogues.load()
    for code, template in templates(catalogue).items():
        assert f"purpose.{code}.statement" in texts() and f"purpose.{code}.refusal" in texts()
        for dataset in template.datasets:
            assert f"data.{dataset}" in texts() and f"withheld.{dataset}" in texts()
            assert faces.words("zh").provider(dataset) != faces.words("en").provider(dataset)


def test_static_files_change_their_name_with_their_content(faces: Faces) -> None:
    html = samples.render(faces, samples.samples()[0])
    name = re.search(r"/static/(phone\.[0-9a-f]{12}\.css)", html)
    assert name is not None
    found = faces.static(name[1])
    assert found is not None and found.content.startswith(b"/*")
    assert faces.static("phone.css") is None
    assert faces.static("../texts.json") is None


def test_the_policy_names_the_one_bank_a_form_may_lead_to(faces: Faces) -> None:
    plain, leading = faces.headers(), faces.headers("https://loan.jzrcb.example")
    assert "form-action 'self';" in plain["Content-Security-Policy"]
    assert "form-action 'self' https://loan.jzrcb.example;" in leading["Content-Security-Policy"]
    assert "unsafe" not in leading["Content-Security-Policy"]


def test_small_words() -> None:
    assert money("3000000.00") == "3,000,000" and money("12.50") == "12.50"
    assert brand("江州农村商业银行股份有限公司") == "江州农村商业银行" and brand("有限公司") == "有限公司"
    assert moment("2026-11-23T16:05:00Z", "zh") == "2026年11月24日 00:05"
