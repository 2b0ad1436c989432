"""Headless Chromium, spoken to over its own pipe: no driver, no port."""
import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

from .processes import Workdir, eventually

CHROMIUM = shutil.which("chromium")


class Browser:
    """One page. `problems` has what the page or its policy complained about."""

    def __init__(self, width=1280, height=900, dark=False, mobile=False):
        self._workdir = Workdir()
        commands, self._commands = self._pipe()
        self._answers, answers = self._pipe()
        # Chromium takes commands from descriptor 3 and gives answers on 4.
        shell = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        arguments = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--no-first-run", "--disable-extensions", "--disable-background-networking",
                     "--remote-debugging-pipe", f"--user-data-dir={self._workdir.path}/profile", "about:blank"]
        self._process = subprocess.Popen(["/bin/bash", "-c", shell, *arguments], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                         pass_fds=(commands, answers), cwd=self._workdir.path,
                                         env={**os.environ, "HOME": str(self._workdir.path)},
                                         start_new_session=True)
        os.close(commands)
        os.close(answers)
        self._number, self._rest, self._session = 0, b"", None
        self.problems = []
        try:
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Accessibility"):
                self._ask(f"{domain}.enable")
            self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=mobile)
            self._ask("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _pipe():
        """Both ends, none of them one of the descriptors that Chromium speaks by."""
        low = os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
        for end in low:
            os.close(end)
        return high

    def open(self, url):
        self._ask("Page.navigate", url=url)

    def evaluate(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")

    def wait(self, expression, timeout=60):
        return eventually(lambda: self.evaluate(expression), timeout, expression)

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                      **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))

    def roles(self):
        """(role, name) of everything that a screen reader is told of."""
        nodes = self._ask("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", ""))
                for node in nodes if not node["ignored"]]

    def screenshot(self, path):
        """The whole page as a PNG."""
        shot = self._ask("Page.captureScreenshot", captureBeyondViewport=True)
        with open(path, "wb") as out:
            out.write(base64.b64decode(shot["data"]))

    def close(self):
        for descriptor in (self._commands, self._answers):
            os.close(descriptor)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._workdir.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _ask(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            answer = self._read(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def _note(self, event):
        parameters = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(parameters["exceptionDetails"])
        elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.problems.append(parameters["entry"])

    def _read(self, deadline):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("Chromium does not answer")
            got = os.read(self._answers, 1 << 16)
            if not got:
                raise ConnectionError("Chromium has ended")
            self._rest += got
        line, self._rest = self._rest.split(b"\0", 1)
        return json.loads(line)
