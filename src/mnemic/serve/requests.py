"""What requests look like, as the OpenAPI document says it; `answers.py` has the other half.

Requests are checked against these. An argument that is not known is refused by name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=10_000_000)]
Name = Annotated[str, Field(max_length=2000)]
When = Annotated[
    str | float, Field(description="ISO 8601, such as 2024-05-01 or 2024-05-01T18:30:00+02:00, or Unix seconds")
]
Filters = Annotated[
    dict[str, Any],
    Field(description='metadata and own fields: {"topic": "tea"}, {"year": {"gte": 2020}}, {"AND": [...]}'),
]
Limit = Annotated[int, Field(ge=1, le=1000)]


class In(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid")


class Place(In):
    """Whose memory is meant."""

    scope: Name = Field("", description="a path such as acme/alice; its first segment is the tenant")
    user_id: Name | None = None
    agent_id: Name | None = None
    run_id: Name | None = None
    app_id: Name | None = None


class Message(BaseModel):
    """One message, as chat APIs have it; what else it holds is kept as it came."""

    model_config = ConfigDict(extra="allow")
    role: Name | None = None
    content: Text | list[Any] | None = None
    name: Name | None = None
    id: Name | None = None
    session: Name | None = None
    timestamp: When | None = None
    metadata: dict[str, Any] | None = None


class AddIn(Place):
    """What to remember."""

    messages: Text | Message | list[Text | Message]
    role: Name | None = None
    actor: Name | None = None
    session: Name | None = None
    occurred_at: When | None = None
    timestamp: When | None = Field(None, description="another name for occurred_at")
    metadata: dict[str, Any] | None = None
    id: Name | None = Field(None, description="of the only message: makes a retry harmless")
    infer: bool = Field(False, description="accepted for familiarity; nothing is inferred")


class UpdateIn(Place):
    """A correction."""

    text: Text | None = None
    metadata: dict[str, Any] | None = None
    occurred_at: When | None = None
    new_id: Name | None = Field(None, description="of the correction: makes a retry harmless")


class SearchIn(Place):
    """A request for memories."""

    query: Text
    system: Name | None = Field(None, description="which system answers; see /v1/systems")
    limit: Limit = 10
    top_k: Limit | None = Field(None, description="another name for limit")
    threshold: float = Field(0.0, ge=0.0, le=1.0)
    filters: Filters | None = None
    session: Name | None = None
    since: When | None = None
    until: When | None = None
    as_of: When | None = Field(None, description="only what was recorded by then")
    asked_at: When | None = Field(None, description='what "yesterday" in the query is relative to')
    include_children: bool = False


class ContextIn(SearchIn):
    """A request for a block of text for a prompt."""

    limit: Limit = 60
    budget_tokens: int = Field(1000, ge=1, le=1_000_000)
    max_tokens: int | None = Field(None, ge=1, le=1_000_000, description="another name for budget_tokens")


class WhyNotIn(SearchIn):
    """A question why something was not recalled."""

    text_or_id: Text


class ForgetIn(Place):
    """What to forget; everything that is given must hold."""

    id: Name | list[Name] | None = None
    session: Name | None = None
    filters: Filters | None = None
    since: When | None = None
    until: When | None = None
    everything: bool = False
    include_children: bool = False
    dry_run: bool = Field(False, description="say what would go, and change nothing")


class AttachIn(In):
    """Parameters of a system; its paper's defaults for the rest."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    llm: Literal["none"] | None = Field(None, description="none: the offline path, also where the server has a model")


class ConsolidateIn(In):
    """What to consolidate."""

    scope: Name = ""
    include_children: bool = Field(True, description="the scopes below, too")
    retry_failed: bool = Field(False, description="ask models again what they answered in no usable form")
