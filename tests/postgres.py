"""A real PostgreSQL on loopback, from a wheel; started without root's rights, as it insists."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from tests.nobody import NOBODY
from tests.ports import free_port

USER = "mlflow"
PASSWORD = "a password % of the database"
_START_S = 60.0


@contextmanager
def postgres(*databases: str) -> Iterator[int]:
    """A server with these empty databases in UTF8; its port. Nobody gets in without a password."""
    # Paths of sockets may be 107 bytes long, and pytest's folders are root's alone.
    with TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                os.chown(path, NOBODY, NOBODY)
        data, programs = folder / "data", _programs(folder)
        _run(programs / "initdb", f"--pgdata={data}", f"--username={USER}", "--auth=scram-sha-256",
             f"--pwfile={folder / 'password'}", "--encoding=UTF8", "--no-sync")  # fmt: skip
        port = free_port()
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", name, "-F"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [*command, "-c", "listen_addresses=127.0.0.1"],
                stdout=log, stderr=log, user=_user(),
            )  # fmt: skip
        try:
            _make(databases, port, server)
            yield port
        finally:
            server.terminate()  # it waits for clients
            server.kill()
            server.wait()


def _make(databases: tuple[str, ...], port: int, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_S
    while True:
        try:
            place = psycopg.connect(
                host="127.0.0.1", port=port, user=USER, password=PASSWORD, dbname="postgres",
                autocommit=True,
            )  # fmt: skip
            break
        except psycopg.OperationalError:
            assert server.poll() is None, "PostgreSQL has ended"
            assert time.monotonic() < until, "PostgreSQL does not start"
            time.sleep(0.1)
    with place:
        for database in databases:
            place.execute(
                psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database))
            )


def _run(program: Path, *options: str) -> None:
    subprocess.run([program, *options], check=True, capture_output=True, user=_user())


def _user() -> int | None:
    return NOBODY if os.geteuid() == 0 else None


def _programs(folder: Path) -> Path:
    """Where they are; for nobody, who may not look into every environment, copied to `folder`."""
    spec = find_spec("pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if os.geteuid() == 0:
        libraries = package.with_name("pgserver.libs")  # found from where programs are
        shutil.copytree(libraries, folder / libraries.name)
        package = shutil.copytree(package / "pginstall", folder / "pgserver" / "pginstall").parent
    return package / "pginstall" / "bin"
