"""A headless Chromium, driven over its DevTools protocol: pages, keys, screenshots, and everything that it asked for."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--disable-features=BackForwardCache",  # a page that comes back loads again, which can be waited for
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--lang=en-GB",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # nothing beyond this machine
)
_KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, "")}


class Chromium:
    """One browser with one page."""

    def __init__(self) -> None:
        assert BINARY is not None
        self._folder = tempfile.TemporaryDirectory(prefix="mnemic-chromium-", ignore_cleanup_errors=True)
        flags = [*_FLAGS, f"--user-data-dir={self._folder.name}", "about:blank"]
        self._process = subprocess.Popen([BINARY, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port, path = self._wait_for_port()
        self._socket = connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None, open_timeout=30)
        self._next = 0
        self._session: str | None = None
        self.requests: list[str] = []  # every address that the page asked for
        self.complaints: list[str] = []  # what it wrote to its console, and what it failed at
        self.main_status = 0
        self._loads = 0
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    # -- doing --------------------------------------------------------------------------------------------

    def size(self, width: int, height: int, *, scale: float = 1.0, dark: bool = False) -> None:
        """How large the window is, and which colours its user likes."""
        phone = width < 500
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        colours = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", features=colours)

    def scripts(self, are_on: bool) -> None:
        """Whether pages may run scripts."""
        self._call("Emulation.setScriptExecutionDisabled", value=not are_on)

    def open(self, url: str) -> None:
        """Go there, and wait until it has loaded."""
        before = self._loads
        self._call("Page.navigate", url=url)
        self._wait_for_load(before)

    def back(self) -> None:
        """The back button."""
        history = self._call("Page.getNavigationHistory")
        before = self._loads
        self._call("Page.navigateToHistoryEntry", entryId=history["entries"][history["currentIndex"] - 1]["id"])
        self._wait_for_load(before)

    def click(self, selector: str, *, leads_on: bool = True) -> None:
        """Click the first element that matches; wait for the page that it leads to."""
        before = self._loads
        found = self.js(
            f"(() => {{ const e = document.querySelector({selector!r}); if (e) e.click(); return !!e; }})()"
        )
        assert found, f"nothing matches {selector}"
        if leads_on:
            self._wait_for_load(before)

    def type(self, selector: str, text: str) -> None:
        """Put text into a field as a keyboard would."""
        assert self.js(
            f"(() => {{ const e = document.querySelector({selector!r}); e.focus(); e.select(); return true; }})()"
        )
        self._call("Input.insertText", text=text)

    def press(self, key: str, *, leads_on: bool = False) -> None:
        """Press and release a key."""
        before = self._loads
        code, text = _KEYS[key] if key in _KEYS else (ord(key.upper()), key)
        values: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown", text=text, **values)
        self._call("Input.dispatchKeyEvent", type="keyUp", **values)
        if leads_on:
            self._wait_for_load(before)

    # -- looking ------------------------------------------------------------------------------------------

    def js(self, expression: str) -> Any:
        """What an expression gives in the page."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector: str = "main") -> str:
        """What stands in an element, as it is shown."""
        return str(self.js(f"document.querySelector({selector!r})?.innerText ?? ''"))

    def count(self, selector: str) -> int:
        """How many elements match."""
        return int(self.js(f"document.querySelectorAll({selector!r}).length"))

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self.js("location.href"))

    def picture(self, path: Path, *, height: int | None = None) -> None:
        """A PNG of the page, of the window or that high."""
        clip: dict[str, Any] = {}
        if height is not None:
            width = self.js("innerWidth")
            clip = {
                "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
                "captureBeyondViewport": True,
            }
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png", **clip)["data"]))

    # -- inside -------------------------------------------------------------------------------------------

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._next += 1
        wanted = self._next
        message: dict[str, Any] = {"id": wanted, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = self._receive(30)
            if answer.get("id") == wanted:
                assert "error" not in answer, f"{method}: {answer['error']}"
                found: dict[str, Any] = answer["result"]
                return found

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._socket.recv(timeout=timeout_s))
        method, told = answer.get("method"), answer.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Network.responseReceived" and told["type"] == "Document":
            self.main_status = told["response"]["status"]
        elif method == "Page.loadEventFired":
            self._loads += 1
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console.{told['type']}: {told['args']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"a dialog: {told['message']}")
            self._socket.send(
                json.dumps(
                    {
                        "id": 0,
                        "sessionId": self._session,
                        "method": "Page.handleJavaScriptDialog",
                        "params": {"accept": True},
                    }
                )
            )
        return answer

    def _wait_for_load(self, before: int) -> None:
        gives_up_at = time.monotonic() + 30
        while self._loads == before:
            assert time.monotonic() < gives_up_at, f"the page did not load: {self.requests[-3:]}"
            self._receive(30)

    def _wait_for_port(self) -> tuple[str, str]:
        file = Path(self._folder.name) / "DevToolsActivePort"
        gives_up_at = time.monotonic() + 30
        while time.monotonic() < gives_up_at:
            if file.exists() and len(lines := file.read_text().splitlines()) >= 2:
                return lines[0], lines[1]
            assert self._process.poll() is None, "Chromium ended at its start"
            time.sleep(0.05)
        raise AssertionError("Chromium did not open its port")
