"""Settings: one TOML file and `XYD_` environment variables. Unknown keys are refused, secrets have no default.

Every key is explained in `deploy/node.toml` by the accident it prevents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Settings(BaseSettings):
    """One frozen object, made once and handed down."""

    model_config = SettingsConfigDict(env_prefix="XYD_", env_nested_delimiter="__", extra="forbid", frozen=True)

    profile: Literal["production", "sandbox"] = "production"
    node_id: str = Field(pattern=r"^[a-z0-9][a-z0-9.\-]{2,80}$")
    node_name: str = Field(min_length=2, max_length=60)
    issuer: str
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    operator_port: int = Field(default=9090, ge=0, le=65535)
    database: str
    valkey: str
    journal_key: Path
    sealing_key: Path
    regulator_token: SecretStr
    metrics_host: str = "127.0.0.1"
    departments: dict[str, str] = Field(default_factory=dict)
    department_keys: dict[str, SecretStr] = Field(default_factory=dict)
    query_deadline_ms: int = Field(default=4000, ge=100, le=60_000)
    answers_kept_s: int = Field(default=86_400, ge=60, le=86_400)
    bank_rate_per_s: int = Field(default=50, ge=1, le=100_000)
    append_queue: int = Field(default=4096, ge=1, le=65_536)
    fast_path: bool = True
    transport: Literal["pooled", "aiohttp"] = "pooled"

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        parts = urlsplit(value)
        loopback = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not (parts.scheme == "https" or loopback) or not parts.hostname:
            raise ValueError("an issuer is https (http only on loopback)")
        if parts.query or parts.fragment or value.endswith("/"):
            raise ValueError("an issuer has no query, fragment or trailing slash (RFC 8414 §2)")
        return value

    @model_validator(mode="after")
    def _stores(self) -> Settings:
        if not self.database.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("database is sqlite:///FILE or postgresql://…")
        if not self.valkey.startswith(("redis://", "rediss://", "unix://", "embedded:")):
            raise ValueError("valkey is unix:///path, redis://…, rediss://… or embedded:FOLDER")
        if self.profile == "production" and urlsplit(self.issuer).scheme != "https":
            raise ValueError("production needs an https issuer")
        return self

    @property
    def rp_id(self) -> str:
        """The WebAuthn relying party: the issuer's host name."""
        return urlsplit(self.issuer).hostname or ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the TOML file; no dotenv."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))


def load(path: Path | None) -> Settings:
    """Read settings from a TOML file and the environment. Raises pydantic.ValidationError naming each bad key."""

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=path)

    from_file: dict[str, Any] = {}  # every value comes from the sources, none from here
    return FromFile(**from_file)


def read_secret(path: Path) -> bytes:
    """A key file's bytes, stripped. Refuses a file that others may read (mode beyond 0600)."""
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path.name} is readable by others; chmod 600 it")
    return path.read_bytes().strip()
