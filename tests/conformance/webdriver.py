"""A browser that takes real keys, by the W3C WebDriver protocol, as far as the tests of the page need it."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

DRIVER = shutil.which("chromedriver")
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015"}


class Browser:
    """One session; ``address`` is where its commands go."""

    def __init__(self, address):
        self.address = address

    def command(self, method, path, body=None):
        """Carry out one command and return its value."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, uri):
        """Load a page, whatever is shown now, and wait until it is there: on a busy machine the driver answers before."""
        self.command("POST", "/url", {"url": "about:blank"})
        self.command("POST", "/url", {"url": uri})
        for _ in range(600):
            if self.run("return document.readyState === 'complete' && location.href !== 'about:blank'"):
                return
            time.sleep(0.1)
        raise TimeoutError(f"{uri} was not loaded within a minute")

    def press(self, *keys):
        """Press keys one after the other: those of `KEYS` by name, others as they are."""
        typed = [KEYS.get(key, key) for key in keys]
        actions = [{"type": kind, "value": key} for key in typed for kind in ("keyDown", "keyUp")]
        self.command("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def run(self, script):
        """Return what a script returns."""
        return self.command("POST", "/execute/sync", {"script": script, "args": []})


@contextmanager
def browser(binary, flags, width=1200, height=900):
    """Start the driver and a browser of that size, and end both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        try:
            session = Browser(f"http://127.0.0.1:{port}")
            for _ in range(100):
                try:
                    session.command("GET", "/status")
                    break
                except urllib.error.URLError:
                    time.sleep(0.1)
            options = {"binary": binary, "args": [*flags, f"--window-size={width},{height}"]}
            asked = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
            session.address += "/session/" + session.command("POST", "/session", asked)["sessionId"]
            try:
                yield session
            finally:
                session.command("DELETE", "")
        finally:
            driver.terminate()
