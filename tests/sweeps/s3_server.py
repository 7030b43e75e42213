"""A real S3 server of our own on this machine (moto), and a proxy that makes it unreliable."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

S3Storage = Callable[[], str]


@pytest.fixture(scope="session")
def s3_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Storage]:
    """Call it for an empty ``s3://bucket/prefix``; the environment leads there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, log = f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("s3") / "moto.log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as file, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("NO_PROXY", "127.0.0.1")
        server = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            _make_bucket(f"{address}/storage", server, log)
            yield lambda: f"s3://storage/{uuid.uuid4().hex[:12]}"
        finally:
            server.terminate()
            server.wait(10)


def _make_bucket(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=10).close()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"moto did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)


class Unreliable:
    """What the next requests meet: "pass", "500", "drop" (no answer), "lose" (done, but a 500)
    or "vanish" (done, but no answer).
    """

    def __init__(self) -> None:
        self.plan: list[str] = []
        self.requests: list[str] = []


@contextmanager
def unreliable_s3() -> Iterator[Unreliable]:
    """A proxy in front of the server at AWS_ENDPOINT_URL, which leads to the proxy meanwhile."""
    behind = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    state = Unreliable()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            state.requests.append(self.command)
            fate = state.plan.pop(0) if state.plan else "pass"
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if fate == "drop":
                self.close_connection = True
                return
            status, headers, data = int(fate) if fate.isdigit() else 500, {}, b""
            if fate in ("pass", "lose", "vanish"):
                connection = http.client.HTTPConnection(behind)
                connection.request(self.command, self.path, body, dict(self.headers))
                got = connection.getresponse()
                content = got.read()
                connection.close()
                if fate == "pass":
                    status, headers, data = got.status, dict(got.headers), content
            if fate == "vanish":
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("connection", "date", "server", "transfer-encoding"):
                    self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    for command in ("GET", "PUT", "HEAD", "DELETE", "POST"):
        setattr(Handler, f"do_{command}", Handler.answer)
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.server_port}")
            yield state
    finally:
        proxy.shutdown()
        proxy.server_close()
