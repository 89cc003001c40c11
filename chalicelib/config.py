"""The only reader of the environment, and the one list of its variables (docs/configuration.md tells them)."""

import os
from pathlib import Path

import msgspec

# Queues by their short names; on AWS each is `<prefix><name>`.
QUEUES = ("rebill", "deliver", "reconcile", "files")


class Config(msgspec.Struct, kw_only=True, frozen=True):
    """``engine``: ``aws``, or ``embedded`` (SQLite in ``data``). ``asks_first``: tables were restored (``Shop``).
    ``bucket``: of private files."""

    engine: str
    prefix: str
    data: Path
    public_url: str
    outbound_allow: frozenset[str]
    sandbox_file: str
    asks_first: bool
    bucket: str

    @property
    def embedded(self) -> bool:
        return self.engine == "embedded"


def read() -> Config:
    """Raises ValueError that names the variable and what is allowed."""
    engine = os.environ.get("BACKROOM_ENGINE", "aws")
    if engine not in ("aws", "embedded"):
        raise ValueError(f"BACKROOM_ENGINE is {engine!r}; allowed are aws and embedded")
    allow = frozenset(part.strip() for part in os.environ.get("OUTBOUND_ALLOW", "").split(",") if part.strip())
    if allow and engine != "embedded":
        raise ValueError("OUTBOUND_ALLOW is honoured by the embedded engine only; remove it")
    asks_first = os.environ.get("BACKROOM_ASK_FIRST", "no")
    if asks_first not in ("yes", "no"):
        raise ValueError(f"BACKROOM_ASK_FIRST is {asks_first!r}; allowed are yes and no")
    return Config(
        engine=engine,
        prefix=os.environ.get("BACKROOM_PREFIX", "backroom-"),
        data=Path(os.environ.get("BACKROOM_DATA", "data")),
        public_url=os.environ.get("BACKROOM_PUBLIC_URL", "http://127.0.0.1:8000"),
        outbound_allow=allow,
        sandbox_file=os.environ.get("BACKROOM_SANDBOX_FILE", ""),
        asks_first=asks_first == "yes",
        bucket=os.environ.get("BACKROOM_BUCKET", ""),
    )
