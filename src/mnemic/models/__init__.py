"""Models behind small seams: embedders. Heavy packages are imported where they are used."""
