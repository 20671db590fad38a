"""Derived, always rebuildable from the store: vectors, terms and times of one scope."""
