"""A proxy that speaks the OpenAI protocol, adds what is remembered to a chat, and remembers the chat."""
