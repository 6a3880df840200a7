"""Words: every text of the faces, in `texts.json`: key → [zh-CN, en], with `{name}` for what is filled in.

Chinese comes first. Legal text (keys `purpose.*`, `clause.*`) has its authoritative Chinese in `consent`; here stands
only its translation, which says that it is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from consent.catalogue import Catalogue
from consent.purpose import templates

Lang = Literal["zh", "en"]
LANGS: tuple[Lang, ...] = ("zh", "en")


@cache
def texts() -> Mapping[str, tuple[str, str]]:
    """The catalogue: key → (zh, en). Raises ValueError naming a key that is not a pair of texts."""
    raw = json.loads(resources.files("node.faces").joinpath("texts.json").read_text(encoding="utf-8"))
    for key, pair in raw.items():
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, str) for each in pair)):
            raise ValueError(f"{key}: a text is a pair of Chinese and English")
    return {key: (pair[0], pair[1]) for key, pair in raw.items()}


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language, and the names of catalogue things in it."""

    lang: Lang
    catalogue: Catalogue

    def t(self, key: str, **values: object) -> str:
        """The text of a key with its places filled. Raises KeyError for an unknown key: that is a bug, not a state."""
        text = texts()[key][LANGS.index(self.lang)]
        return text.format_map({name: str(value) for name, value in values.items()}) if values else text

    def legal(self, key: str, chinese: str) -> str:
        """Legal text: the Chinese itself, or its marked translation."""
        english = texts().get(key, ("", ""))[1]
        return chinese if self.lang == "zh" or not english else english + texts()["translated"][1]

    def data_label(self, dataset: str) -> str:
        """An information item's name."""
        return self._named(f"data.{dataset}", self.catalogue.item(dataset).label)

    def provider(self, dataset: str) -> str:
        """The department it comes from."""
        category = dataset.partition(".")[0]
        key = f"provider.{category}" if f"provider.{category}" in texts() else "provider.other"
        return self._named(key, self.catalogue.item(dataset).provider)

    def refresh(self, dataset: str) -> str:
        """How often it is brought up to date, in the catalogue's words."""
        return self.t("refresh", when=self.catalogue.item(dataset).refresh)

    def field_label(self, name: str, dataset: str) -> str:
        """A field's name. In English the field's identifier, which the bank's answer bears as well."""
        if self.lang == "en":
            return name.replace("_", " ")
        labels = {each.name: each.label for each in self.catalogue.item(dataset).fields}
        return labels[name]

    def withheld(self, dataset: str) -> str:
        """What a person might fear is given but is not."""
        key = f"withheld.{dataset}"
        return self.t(key if key in texts() else "withheld.other")

    def purpose_name(self, code: str) -> str:
        """A purpose's name; the code itself for one this node does not know."""
        found = templates(self.catalogue).get(code)
        return code if found is None else found.label if self.lang == "zh" else found.label_en

    def reason(self, code: str) -> str:
        """Why something was refused or ended."""
        key = f"reason.{code}"
        return self.t(key) if key in texts() else self.t("reason.other", code=code)

    def _named(self, key: str, chinese: str) -> str:
        return chinese if self.lang == "zh" else texts().get(key, ("", ""))[1] or chinese
