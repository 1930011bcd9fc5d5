"""A server of tests that ends with them, also where they are killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The end of its input comes when whoever started it is gone, however that went.
LAST_SERVICE = """
read -r _
if read -r server < "$1/pgdata/postmaster.pid"; then
    kill -QUIT "$server"
    while kill -0 "$server" 2> /dev/null; do sleep 0.1; done
fi
rm -rf "$2"
"""


@contextmanager
def ends_with_us(postgres: Path, folder: Path) -> Iterator[None]:
    """Watch over an embedded PostgreSQL while the context lasts.

    Whoever leaves the context has stopped the server; whoever dies in it has not.

    Parameters
    ----------
    postgres
        The directory of the server.
    folder
        What is removed with it.
    """
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", LAST_SERVICE, "watcher", str(postgres), str(folder)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # what ends us all at once must not end it
    )
    try:
        yield
    finally:
        watcher.kill()
        watcher.communicate()
