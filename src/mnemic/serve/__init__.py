"""The server: REST under /v1, MCP under /mcp, the inspector at /."""
