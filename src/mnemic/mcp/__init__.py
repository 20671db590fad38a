"""The memory as an MCP server: a small set of tools of its own, and those of the reference memory server."""
