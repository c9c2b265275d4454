"""A headless Chromium, driven over its pipe by the DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

BINARY = shutil.which("chromium")


class Chromium:
    """One page. requests: the addresses of all requests that it made."""

    def __init__(self, profile: Path) -> None:
        from_us, to_us = os.pipe(), os.pipe()
        words = [
            str(BINARY), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}",
            "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "about:blank",
        ]  # fmt: skip

        def connect() -> None:  # Chromium reads from 3 and writes to 4
            read, write = os.dup(from_us[0]), os.dup(to_us[1])
            os.dup2(read, 3)
            os.dup2(write, 4)

        self._process = subprocess.Popen(
            words, preexec_fn=connect, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(from_us[0])
        os.close(to_us[1])
        self._out, self._in = os.fdopen(from_us[1], "wb", buffering=0), os.fdopen(to_us[0], "rb")
        self._number, self._session = 0, ""
        self.requests: list[str] = []
        target = next(one for one in self.send("Target.getTargets")["targetInfos"] if one["type"] == "page")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "DOM"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._out.close()
        self._in.close()

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("method") == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]

    def do(self, script: str) -> Any:
        """The value of a script, awaited."""
        found = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until a script is true, for up to a minute."""
        reached = self.do(
            f"new Promise((done) => {{ let n = 0; const look = () => {{ let is = false; try {{ is = ({condition}); }} catch {{}} "
            "if (is || n++ > 1200) done(is); else setTimeout(look, 50); }; look(); })"
        )
        assert reached, self.do("document.body.innerText")

    def size(self, width: int, height: int) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def choose(self, selector: str, files: list[Path]) -> None:
        """Choose files in an input."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in files])

    def picture(self, path: Path) -> None:
        shown = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shown["data"]))

    def _read(self) -> dict[str, Any]:
        found = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            assert byte, "Chromium ended"
            found += byte
        return json.loads(found)
