"""Readers of other people's files: each turns one format into messages, streaming."""

from mnemic.formats.message import Message, Problem
from mnemic.formats.registry import FORMATS, Format, read, sniff

__all__ = ["FORMATS", "Format", "Message", "Problem", "read", "sniff"]
