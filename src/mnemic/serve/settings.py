"""What a server is told at its start. Nothing is read here: the command line and tests fill it in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mnemic.errors import ParameterError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where a server keeps its data, how it listens, and how much it takes at once."""

    data: Path  # a folder: one file per tenant, the server's own database, uploads under way
    host: str = "127.0.0.1"
    port: int = 8700
    embedder: str | None = None  # as in Memory.open; of new tenants: others keep the one that made their vectors
    max_open_tenants: int = 64
    index_memory_mb: int = 512  # of all open tenants together
    idle_close_s: float = 300.0  # a tenant that nobody asked for so long is closed
    threads: int = 8  # requests that are worked on side by side
    max_body_mb: float = 16.0
    max_import_mb: float = 512.0
    rate_per_s: float | None = None  # requests a second for each key, or each address without keys; None: no limit
    burst: int = 50  # requests that a quiet caller may send at once
    tls_cert: Path | None = None
    tls_key: Path | None = None
    allow_hosts: tuple[str, ...] = ()  # names that this server is reached by, besides those of the loopback
    consolidate_after_s: float | None = (
        60.0  # quiet time after a write before attached systems catch up; None: on request
    )
    job_workers: int = 1

    def __post_init__(self) -> None:
        least = {"max_open_tenants": 1, "index_memory_mb": 1, "threads": 1, "burst": 1, "job_workers": 1}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ParameterError(f"{name}={getattr(self, name)!r}: give at least {smallest}.")
        for name in ("max_body_mb", "max_import_mb", "rate_per_s", "idle_close_s"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise ParameterError(f"{name}={value!r}: give more than 0.")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ParameterError("TLS needs both a certificate and its key: --tls-cert FILE --tls-key FILE.")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK
