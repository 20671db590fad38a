"""Every memory system keeps one contract; some have claims of their own."""
