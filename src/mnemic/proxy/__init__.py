"""A proxy that speaks the OpenAI protocol, adds what is remembered to a chat, and remembers the chat.

    from mnemic import Memory
    from mnemic.proxy import proxy_app

    app = proxy_app(Memory.open("agent.db").scope, upstream="https://api.openai.com/v1")

The app is ASGI. It needs httpx, and a server such as uvicorn: `pip install "mnemic[server]"`.
"""

from mnemic.proxy.app import Proxy, proxy_app
from mnemic.proxy.settings import Settings

__all__ = ["Proxy", "Settings", "proxy_app"]
