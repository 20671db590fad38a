"""The pure functions that systems are made of."""
