"""The SDK's server over one access: tools, resources, prompts and notices of change.

A server is on one memory with certain verbs allowed, and is made anew for each HTTP request; so no request can reach what
another one may. Work on the store runs in threads, beside the protocol. What Mnemic refuses comes back as a tool's error,
which a model can read and act on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError

from mnemic._version import __version__
from mnemic.errors import InvalidInput, MnemicError, NotFound
from mnemic.integrations.handle import Handle
from mnemic.mcp import resources
from mnemic.mcp.access import VERBS, Access, ToolSet, checked_tools
from mnemic.mcp.graph_tools import GRAPH_URI
from mnemic.mcp.prompts import PROMPTS, Prompt
from mnemic.mcp.show import NOTE
from mnemic.mcp.tool import Tool
from mnemic.mcp.toolsets import has_graph, tools_of

log = logging.getLogger("mnemic.mcp")
Result = TypeVar("Result")
Context = Any  # ServerRequestContext, whose type parameters say nothing here

INSTRUCTIONS = (
    "A long-term memory that outlives this conversation. Before answering about the user, their people, projects, preferences "
    "or the past, look there first; when something is said that will matter later, remember it. " + NOTE
)


def build_server(
    handle: Handle | Access,
    *,
    tools: str = "default",
    read_only: bool = False,
    name: str = "mnemic",
    events: InMemorySubscriptionBus | None = None,
    is_one_connection: bool = True,
) -> Server[Any]:
    """The SDK's server on one handle's scope, which no tool can leave.

    tools: "default", "reference" (those of the reference memory server) or "all". read_only: only what reads. An `Access` also
    says which verbs are allowed: other tools are not listed, and are refused. events: where changes are told, for servers that
    are made anew for each request; is_one_connection: False for those. Raises ParameterError.
    """
    access = handle if isinstance(handle, Access) else Access(handle)
    allowed = access.allowed & {"read"} if read_only else access.allowed
    served = _Served(access.handle, checked_tools(tools), allowed, events or InMemorySubscriptionBus())
    reads: dict[str, Any] = {
        "on_list_resources": served.list_resources,
        "on_list_resource_templates": served.list_templates,
        "on_read_resource": served.read_resource,
        "on_list_prompts": served.list_prompts,
        "on_get_prompt": served.get_prompt,
        "on_subscriptions_listen": ListenHandler(served.events),
    }
    if is_one_connection:
        reads |= {"on_subscribe_resource": served.subscribe, "on_unsubscribe_resource": served.unsubscribe}
    return Server(
        name,
        version=__version__,
        title="Mnemic memory",
        instructions=INSTRUCTIONS,
        on_list_tools=served.list_tools,
        on_call_tool=served.call_tool,
        get_tool_input_schema=served.input_schema,
        **(reads if "read" in allowed else {}),
    )


class _Served:
    """What one server answers."""

    def __init__(
        self, handle: Handle, tools: ToolSet, allowed: frozenset[str], events: InMemorySubscriptionBus
    ) -> None:
        self.handle = handle
        self.tools = tools_of(tools, allowed)
        self.refused = tools_of(tools, VERBS - allowed)
        self.with_graph = has_graph(tools)
        self.events = events
        self.subscribed: dict[str, ServerSession] = {}

    # -- tools --------------------------------------------------------------------------------------------

    async def list_tools(self, ctx: Context, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool.model_validate(tool.to_dict()) for tool in self.tools.values()])

    def input_schema(self, name: str) -> dict[str, Any] | None:
        return self.tools[name].input_schema if name in self.tools else None

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = self.tools.get(params.name)
        if tool is None:
            return _error(self._why_not(params.name))
        try:
            outcome = await anyio.to_thread.run_sync(tool.call, self.handle, params.arguments)
        except MnemicError as error:
            return _error(str(error))
        except Exception as error:
            return _error(_unforeseen(tool.name, error))
        if tool.verb != "read":
            await self._tell(tool)
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=outcome.text)], structured_content=outcome.structured
        )

    def _why_not(self, name: str) -> str:
        if name in self.refused:
            return f"{name} is not allowed on this connection: it may not {self.refused[name].verb}. Nothing was done."
        return f"There is no tool {name[:80]!a}. There are: {', '.join(self.tools) or 'none'}."

    # -- resources ----------------------------------------------------------------------------------------

    async def list_resources(self, ctx: Context, params: Any) -> types.ListResourcesResult:
        found = await _in_thread(lambda: resources.listed(self.handle, with_graph=self.with_graph))
        return types.ListResourcesResult(
            resources=[
                types.Resource(
                    uri=one.uri, name=one.name, title=one.title, description=one.description, mime_type=one.mime_type
                )
                for one in found
            ]
        )

    async def list_templates(self, ctx: Context, params: Any) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template=resources.SESSION_TEMPLATE,
            name="session",
            title="One session",
            description="What was said in one session, as text. memory://sessions has the URI of each.",
            mime_type=resources.TEXT,
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        media_type, text = await _in_thread(lambda: resources.read(self.handle, uri, with_graph=self.with_graph))
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=media_type, text=text)])

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        self.subscribed[str(params.uri)] = ctx.session
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        self.subscribed.pop(str(params.uri), None)
        return types.EmptyResult()

    async def _tell(self, tool: Tool) -> None:
        """Those who asked for it learn that something was written."""
        uris = [resources.SUMMARY_URI, resources.SESSIONS_URI]
        if tool.is_of_graph and self.with_graph:
            uris.append(GRAPH_URI)
        for uri in uris:
            await self.events.publish(ResourceUpdated(uri))
            if (session := self.subscribed.get(uri)) is not None:
                await session.send_resource_updated(uri)

    # -- prompts ------------------------------------------------------------------------------------------

    async def list_prompts(self, ctx: Context, params: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=[_as_listed(prompt) for prompt in PROMPTS.values()])

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        prompt = PROMPTS.get(params.name)
        if prompt is None:
            raise MCPError(
                types.INVALID_PARAMS, f"There is no prompt {params.name[:80]!a}. There are: {', '.join(PROMPTS)}."
            )
        text = await _in_thread(lambda: prompt.text(self.handle, params.arguments))
        said = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(description=prompt.description, messages=[said])


def _as_listed(prompt: Prompt) -> types.Prompt:
    return types.Prompt(
        name=prompt.name,
        title=prompt.title,
        description=prompt.description,
        arguments=[
            types.PromptArgument(name=one.name, description=one.description, required=one.is_required)
            for one in prompt.arguments
        ],
    )


def _error(message: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=message)], is_error=True)


async def _in_thread(work: Callable[[], Result]) -> Result:
    """The result of work on the store; what Mnemic refuses becomes an error of the protocol."""
    try:
        return await anyio.to_thread.run_sync(work)
    except (InvalidInput, NotFound) as error:
        raise MCPError(types.INVALID_PARAMS, str(error)) from error
    except MnemicError as error:
        raise MCPError(types.INTERNAL_ERROR, str(error)) from error
    except Exception as error:
        raise MCPError(types.INTERNAL_ERROR, _unforeseen("Reading", error)) from error


def _unforeseen(what: str, error: Exception) -> str:
    """What a client learns of a fault of ours: not its text, which may quote what is remembered. The log has it."""
    log.error("%s failed", what, exc_info=error)
    return f"{what} failed in a way that was not foreseen ({type(error).__name__}). The server's log has more."
