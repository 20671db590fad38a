"""The log and the records: one contract, and SQLite behind it."""
