"""MLflow's server and an object store, both on this computer, and both to be disturbed."""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SECONDS = 120
"""How long a server may take to come up on a machine with much else to do."""
BUCKET = "storage"


class Server:
    """A web server in a process group of its own, which can be stopped and started again.

    command: with ``--host`` and ``--port`` of its own. said: the file for what it prints.
    """

    def __init__(self, command: Sequence[str], address: str, said: Path) -> None:
        self.command, self.address, self.said = list(command), address, said
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Back when it answers. Raises RuntimeError with its last words."""
        with self.said.open("ab") as file:
            self._process = subprocess.Popen(
                self.command,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        end = time.monotonic() + SECONDS
        while not _answers(self.address):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.command} did not start: {self.said.read_text()[-2000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """At once."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def mlflow(host: str, port: int, database: str, artifacts: str, said: Path) -> Server:
    """MLflow's server: runs in a database, artifacts in a bucket, which it passes on itself."""
    place = ["--host", host, "--port", str(port), "--workers", "1"]
    kept = ["--backend-store-uri", database, "--artifacts-destination", artifacts]
    command = [sys.executable, "-m", "mlflow", "server", *place, *kept]
    return Server(command, f"http://{host}:{port}", said)


def moto(host: str, port: int, said: Path) -> Server:
    """An S3 server; it keeps all in memory."""
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    return Server(command, f"http://{host}:{port}", said)


def make_bucket(address: str) -> None:
    """The bucket for all there is."""
    request = urllib.request.Request(f"{address}/{BUCKET}", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


class Unreliable:
    """A proxy in front of an object store.

    errors: share of the requests that are answered with 503, half of them after they were done.
    seconds: how much longer each takes, at most. Both can be set at any time.
    """

    def __init__(self, host: str, port: int, behind: str, seed: int) -> None:
        self.address, self.behind = f"http://{host}:{port}", behind.removeprefix("http://")
        self.errors, self.seconds = 0.0, 0.0
        self._draw = random.Random(seed)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                outer.answer(self)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Whoever asked has been killed, or cut off."""

        self._server = Quiet((host, port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Pass a request on, or not."""
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        fails, before = self._draw.random() < self.errors, self._draw.random() < 0.5
        time.sleep(self._draw.random() * self.seconds)
        status, headers, data = 503, {}, b""
        if not (fails and before):
            connection = http.client.HTTPConnection(self.behind, timeout=60)
            connection.request(request.command, request.path, body, dict(request.headers))
            got = connection.getresponse()
            content = got.read()
            connection.close()
            if not fails:
                status, headers, data = got.status, dict(got.headers), content
        request.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "date", "server", "transfer-encoding"):
                request.send_header(name, value)
        if "Content-Length" not in headers:
            request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data)

    def close(self) -> None:
        """No more requests."""
        self._server.shutdown()
        self._server.server_close()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
