"""Mnemic: a durable, explainable, measurable memory for AI agents and models."""

from mnemic._version import __version__

__all__ = ["__version__"]
