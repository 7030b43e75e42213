"""A PostgreSQL server of our own: a new cluster in a temporary folder, on 127.0.0.1 only."""

from __future__ import annotations

import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote

import psycopg2

USER = "sweeper"
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
shared_buffers = 32MB
"""  # without fsync all commits outlive a crash of the server, if not one of the machine


class Postgres:
    """A server that runs while inside, and may be stopped and started meanwhile.

    Its user's password is a random one, with characters that an address must quote.
    """

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(16) + "/@:%"
        self.port = _free_port()
        self._binaries = _newest()
        self._account = _account()

    def __enter__(self) -> Postgres:
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        try:
            self._make()
            self.start()
        except BaseException:
            self._clean()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clean()

    def start(self) -> None:
        """Back when it takes connections."""
        self._call("pg_ctl", "start", "-w", "-t", "60", "-D", "data", "-l", "log")

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "immediate") -> None:
        """``immediate`` is a crash: it says goodbye to nobody and has to recover afterwards."""
        self._call("pg_ctl", "stop", "-w", "-t", "60", "-D", "data", "-m", mode)

    def create(self, database: str) -> str:
        """A new database; its address."""
        self.query("postgres", f'CREATE DATABASE "{database}"')
        return self.uri(database)

    def uri(self, database: str) -> str:
        place = f"127.0.0.1:{self.port}/{database}"
        return f"postgresql+psycopg2://{USER}:{quote(self.password, safe='')}@{place}"

    def query(self, database: str, statement: str) -> list[tuple[Any, ...]]:
        """What a statement answers, in a connection of its own."""
        account = {"user": USER, "password": self.password, "dbname": database}
        with closing(psycopg2.connect(host="127.0.0.1", port=self.port, **account)) as connection:
            connection.autocommit = True  # as a database is made in no transaction
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []

    def _make(self) -> None:
        secret = self.folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self._account:
            for path in (self.folder, secret):
                shutil.chown(path, *self._account)
        who = ("--username", USER, "--auth", "scram-sha-256", "--pwfile", "secret")
        self._call("initdb", "-D", "data", *who, "--encoding", "UTF8", "--locale", "C", "--no-sync")
        secret.unlink()
        with (self.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"{SETTINGS}port = {self.port}\n")

    def _call(self, program: str, *arguments: str) -> None:
        user, group = self._account or (None, None)
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C", "HOME": str(self.folder)},
            user=user,
            group=group,
            extra_groups=[] if self._account else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            log = self.folder / "log"
            tail = log.read_text()[-2000:] if log.exists() else ""
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}{tail}")

    def _clean(self) -> None:
        try:
            if (self.folder / "data" / "postmaster.pid").exists():
                self.stop()
        finally:
            shutil.rmtree(self.folder)


def _newest() -> Path:
    """Where the newest server of the distribution lies."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found:
        raise RuntimeError("PostgreSQL is not installed: run tests/system/install.sh")
    return max(found, key=lambda path: [int(part) for part in path.parent.name.split(".")])


def _account() -> tuple[int, int] | None:
    """User and group to run it as; None is this process's own. PostgreSQL refuses root."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return account.pw_uid, account.pw_gid
    raise RuntimeError("PostgreSQL refuses root, and there is no account postgres or nobody")


def _free_port() -> int:
    """One that no connection of another program gets while the server is stopped."""
    for port in random.SystemRandom().sample(range(20_000, 30_000), 100):
        with closing(socket.socket()) as tried:
            if tried.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError("no port is free")
