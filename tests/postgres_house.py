"""A PostgreSQL server for tests: of a folder of its own, on loopback, gone when they end."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from gateway_house import free_port

ADMIN = "admin"
PASSWORD = "p@ss/word"  # one that a URL has to escape
START_S = 60.0
STOP_S = 30.0
# Sorted as in English, which is not the order of bytes; and no wait for a disk that is thrown away.
CLUSTER = (
    f"--username={ADMIN} --auth=scram-sha-256 --pwfile=password --encoding=UTF8 --locale=C.UTF-8"
    " --locale-provider=icu --icu-locale=en-US --no-sync --no-instructions --pgdata=data"
)
SERVER = (
    "-D data -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c full_page_writes=off"
    " -c max_connections=60 -c shared_buffers=32MB -c autovacuum=off"
)


def programs() -> Path:
    """The folder of the server's programs, of the newest version that is installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = {float(path.parent.name): path for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin")}
    assert versions, "PostgreSQL is not installed; scripts/postgres/setup does it"
    return versions[max(versions)]


class Server:
    """A server that runs until the block of `serving` ends. Its databases are of its administrator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._process: subprocess.Popen[bytes] | None = None
        # It refuses to run as root; Debian's package makes this user.
        self._user = "postgres" if os.geteuid() == 0 else None
        self.port = free_port()

    def make(self) -> None:
        """Makes the files of the server."""
        if self._user:
            shutil.chown(self._folder, self._user)
        (self._folder / "password").write_text(PASSWORD)
        self._run([programs() / "initdb", *CLUSTER.split()]).wait()
        assert (self._folder / "data" / "PG_VERSION").exists(), self.log()

    def start(self) -> None:
        """Starts it, again if need be, and waits until it answers."""
        self._process = self._run([programs() / "postgres", *SERVER.split(), "-p", str(self.port)])
        ping = [programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        until = time.monotonic() + START_S
        while subprocess.run(ping, check=False).returncode != 0:
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it and every connection; SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_S)
            self._process = None

    def url(self, database: str, user: str = ADMIN, password: str = PASSWORD) -> str:
        """A store's URL."""
        return sa.URL.create(
            "postgresql+psycopg", user, password, "127.0.0.1", self.port, database
        ).render_as_string(hide_password=False)

    def fresh(self) -> str:
        """URL of a new and empty database."""
        name = f"test{next(self._numbers)}"
        self.tell(f"create database {name}")
        return self.url(name)

    def tell(self, statement: str, database: str = "postgres") -> None:
        """Runs a statement as the administrator, outside of a transaction."""
        engine = sa.create_engine(self.url(database), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def log(self) -> str:
        """The end of what it said."""
        return (self._folder / "log").read_text(errors="replace")[-4000:]

    def _run(self, command: list[str | Path]) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as out:
            return subprocess.Popen(
                command, cwd=self._folder, user=self._user, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )


@contextmanager
def serving() -> Iterator[Server]:
    """A server with no database of ours yet. Its folder is not below pytest's, which only root may enter."""
    with TemporaryDirectory(prefix="stillwatch-postgres-") as folder:
        server = Server(Path(folder))
        server.make()
        try:
            server.start()
            yield server
        finally:
            server.stop()
