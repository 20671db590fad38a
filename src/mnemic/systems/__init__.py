"""Memory designs, one file each, and the registry of them."""
