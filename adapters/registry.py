"""The declarative sources: `sources.yaml` read and validated. A new source is a line there, not a class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any

import msgspec
import yaml

from consent.catalogue import Catalogue, load
from consent.errors import Invalid

MAX_BODY_BYTES = 4 * 1024 * 1024
"""No answer of any source is read beyond this: 24 months of everything are under 0.1 MB."""


class RegistryError(ValueError):
    """The file breaks its own rules; the message names the place."""


class SourceEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line: the department that states the dataset, the path it is asked at, and the two bounds."""

    department: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    path: Annotated[str, msgspec.Meta(pattern=r"^/[A-Za-z0-9._~/-]{1,200}$")]
    deadline_ms: Annotated[int, msgspec.Meta(ge=50, le=30_000)]
    max_bytes: Annotated[int, msgspec.Meta(ge=1024, le=MAX_BODY_BYTES)]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    sources: dict[str, SourceEntry]


@cache
def load_registry() -> Mapping[str, SourceEntry]:
    """The shipped registry against the current catalogue. Raises RegistryError."""
    text = resources.files("adapters").joinpath("sources.yaml").read_text(encoding="utf-8")
    return build_registry(yaml.safe_load(text), load())


def build_registry(raw: Any, catalogue: Catalogue) -> Mapping[str, SourceEntry]:
    """Validate a parsed file. Raises RegistryError for an unknown key, dataset, bound, or a dataset without subject."""
    try:
        entries = msgspec.convert(raw, _File).sources
    except msgspec.ValidationError as error:
        raise RegistryError(str(error)) from None
    for dataset in entries:
        try:
            item = catalogue.item(dataset)
        except Invalid:
            raise RegistryError(f"{dataset}: not in the catalogue") from None
        if "uscc" not in item.bits:
            raise RegistryError(f"{dataset}: its records do not name an enterprise, so no permit can bound them")
    return entries
