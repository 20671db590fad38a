"""What every integration is built on: a handle on a scope, in this process or on a server."""

from __future__ import annotations

from mnemic.client import Client
from mnemic.memory import Memory

Handle = Memory | Client
