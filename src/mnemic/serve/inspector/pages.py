"""The routes of the inspector, over what a server lends it."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from mnemic.errors import NotFound, Unauthenticated
from mnemic.serve.inspector import ask, browse, forget, upkeep
from mnemic.serve.inspector.desk import SESSION_COOKIE, Desk
from mnemic.serve.inspector.frame import (
    PREFIX,
    THEME_COOKIE,
    THEMES,
    Asked,
    Frame,
    route_class,
    safe_target,
    set_cookie,
)

_WEEK_S = 7 * 86_400


def router(desk: Desk) -> APIRouter:
    """All pages, to be included in an application at its root."""
    frame = Frame(desk)
    made = APIRouter(route_class=route_class(frame), include_in_schema=False)
    for part in (browse, ask, forget, upkeep):
        part.add(made, frame)
    _add_doors(made, frame)
    return made


def _add_doors(router: APIRouter, frame: Frame) -> None:
    """The login, the colours, and the files that pages use."""
    sent = Depends(frame.form)

    @router.get(f"{PREFIX}/login")
    def login(request: Request) -> Response:
        target = safe_target(request, Asked.of(request).text("next"))
        try:
            frame.desk.principal(request)
        except Unauthenticated:
            return _login_page(request, target)
        return RedirectResponse(target, 303)  # nothing to ask for

    @router.post(f"{PREFIX}/login")
    def enter(request: Request, form: Asked = sent) -> Response:
        target = safe_target(request, form.text("next"))
        session = frame.desk.login(form.text("key") or "")
        if session is None:
            return _login_page(request, target, "This key is not known, has expired or was revoked.")
        response = RedirectResponse(target, 303)
        set_cookie(request, response, SESSION_COOKIE, session)
        return response

    @router.post(f"{PREFIX}/logout")
    def leave(request: Request, form: Asked = sent) -> Response:
        frame.desk.logout(request.cookies.get(SESSION_COOKIE, ""))
        response = RedirectResponse(f"{request.scope.get('root_path', '')}{PREFIX}/login", 303)
        response.delete_cookie(SESSION_COOKIE, path=request.scope.get("root_path", "") or "/")
        return response

    @router.get(f"{PREFIX}/theme")
    def theme(request: Request) -> Response:
        asked = Asked.of(request)
        response = RedirectResponse(safe_target(request, asked.text("next")), 303)
        wanted = asked.text("to")
        if wanted in THEMES:
            set_cookie(request, response, THEME_COOKIE, str(wanted), days=365)
        else:
            response.delete_cookie(THEME_COOKIE, path=request.scope.get("root_path", "") or "/")
        return response

    @router.get(f"{PREFIX}/static/{{name}}")
    def static(request: Request, name: str) -> Response:
        asset = frame.assets.get(name)
        if asset is None:
            return Response("There is no such file.", 404, media_type="text/plain")
        tag = f'"{asset.version}"'
        headers = {"Cache-Control": f"public, max-age={_WEEK_S}", "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(asset.content, headers=headers, media_type=asset.media_type)

    @router.get(PREFIX)
    @router.get(f"{PREFIX}/")
    def first(request: Request) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/", 303)

    @router.get(f"{PREFIX}/{{path:path}}")  # the last one: what no other route has taken
    def nowhere(path: str) -> Response:
        raise NotFound(f"There is no page {path[:80]!r} in the inspector. Begin with the scopes.")

    def _login_page(request: Request, target: str, problem: str | None = None) -> Response:
        status = 200 if problem is None else 401
        return frame.page(
            request, "login.html", principal=None, status=status, title="Log in", target=target, problem=problem
        )
