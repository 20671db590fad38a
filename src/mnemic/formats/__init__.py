"""Readers of other people's files: each turns one format into messages, streaming."""

from mnemic.formats.limits import Limits
from mnemic.formats.message import Message, Problem
from mnemic.formats.registry import FORMATS, Format, read, sniff

__all__ = ["FORMATS", "Format", "Limits", "Message", "Problem", "read", "sniff"]
