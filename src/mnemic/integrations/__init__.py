"""Doors for the frameworks that people already use; each module imports its framework, and none is imported from here."""
