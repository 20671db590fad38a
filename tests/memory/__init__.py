"""The front door, one file for one behaviour."""
