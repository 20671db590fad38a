"""What systems are made of: small pure functions to fuse, rank, pack and recognise."""
