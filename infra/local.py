"""``python -m infra.local``: the whole back room on this machine, on one loopback port and one folder of files.

Needs no AWS account. The API, its queues and its schedules are app.py's own functions; beside them stand a page that
says how the shop stands, a mailbox and the test clock. Where the folder is new a demo shop is made first.
"""

import argparse
import errno
import fcntl
import json
import logging
import os
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chalice.app import Chalice

from chalicelib import config, wiring
from chalicelib.domain.access import KEY_BYTES, key_hash
from chalicelib.domain.links import welcome_url
from chalicelib.domain.merchants import Merchant
from chalicelib.flows.found_shop import found_shop
from chalicelib.flows.users import make_owner
from chalicelib.gateways.accounts import GATEWAYS_FILE
from chalicelib.gateways.clock import SystemClock
from infra import demo
from infra.engine import Engine
from infra.pages import Pages
from infra.server import Server

log = logging.getLogger("infra.local")

PORT = 8000
# What the demo shop's owner signs in with.
OWNER = "owner"
MISTAKE = 2
INTERRUPTED = 130
# The first of these ends it in peace, a second at once.
ENDS = (signal.SIGTERM, signal.SIGINT)
# What stands in a data folder. The first is the shop: where it stands the folder is one of ours.
KEYS_FILE = "keys.json"
LOCK_FILE = "lock"
MAKING = "making"
DATABASES = (demo.SHOP_FILE, demo.MAILBOX_FILE, demo.QUEUES_FILE, demo.SANDBOX_FILE)
FILES = frozenset(
    {
        *(name + end for name in (*DATABASES, wiring.FILES_FILE) for end in ("", "-wal", "-shm")),
        KEYS_FILE,
        LOCK_FILE,
        MAKING,
    }
)
# Written by hand: it may stand in a new folder, and stays where what the shop has done is forgotten.
GIVEN = frozenset({GATEWAYS_FILE})


class Mistake(Exception):
    """What the caller must mend; the text says how."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code: 2 for what the caller must mend."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # This program is the embedded engine, whatever else the environment says.
    os.environ["BACKROOM_ENGINE"] = "embedded"
    os.environ["BACKROOM_DATA"] = str(asked.data)
    try:
        if asked.reset:
            _reset(asked.data)
            return 0
        settings = config.read()
        with _ours(asked.data):
            _serve(asked.data, asked.port, settings.outbound_allow, with_demo=not asked.empty)
    except (Mistake, ValueError) as mistake:
        print(mistake, file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("Ended while the shop was being made; the next start begins that anew.", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="The whole back room on this machine.")
    parser.add_argument("--port", type=int, default=PORT, help="on 127.0.0.1; default %(default)s, 0: any that is free")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of its files; default %(default)s")
    parser.add_argument("--empty", action="store_true", help="in a new folder: the shop DEMO without the demo's data")
    parser.add_argument("--reset", action="store_true", help="empty the folder, and end")
    return parser


# --- the data folder --------------------------------------------------------------------------------------------------


def _reset(data: Path) -> None:
    if not data.exists():
        return
    if (data / demo.SHOP_FILE).exists() or not _others(data, GIVEN):
        with _ours(data):
            for name in FILES - {LOCK_FILE}:
                _remove(data / name)
        _remove(data / LOCK_FILE)
    others = _others(data, GIVEN)
    if others:
        raise Mistake(f"{data} holds what no shop put there ({', '.join(others[:5])}): that stays")
    print(f"{data} is empty: the next start makes the demo shop anew.", file=sys.stderr)


def _others(data: Path, known: frozenset[str]) -> list[str]:
    return sorted(path.name for path in data.iterdir() if path.name not in known)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _ours(data: Path) -> Iterator[None]:
    """The folder for this process alone: two engines would each have clocks of their own. Raises Mistake."""
    data.mkdir(parents=True, exist_ok=True)
    others = _others(data, FILES | GIVEN)
    if others and not (data / demo.SHOP_FILE).exists():
        raise Mistake(
            f"{data} is no shop's folder: it holds {', '.join(others[:5])}. Take another one: make run DATA=..."
        )
    with (data / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Mistake(f"Another back room works on {data} at this moment. Stop it first.") from None
        yield


# --- serving ----------------------------------------------------------------------------------------------------------


def _serve(data: Path, port: int, outbound_allow: frozenset[str], *, with_demo: bool) -> None:
    from app import app

    _log_to_stderr(app)
    try:
        server = Server(app, port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise Mistake(
            f"The port {port} cannot be had: {error.strerror}. Take another one: make run PORT=8080"
        ) from None
    if with_demo and not (data / demo.SHOP_FILE).exists():
        _make_demo(data, app)
    house = wiring.embedded(data, server.url, outbound_allow, SystemClock().now)
    wiring.use(house)
    key = _key(house, data)
    engine = Engine(house, app)
    server.files = house.extras["files"]
    server.page = Pages(engine, app.routes, demo.MERCHANT, server.port).answer
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    threading.Thread(target=server.serve, name="server", daemon=True).start()
    engine.start()
    _welcome_owner(house, server.url)
    print(f"ready {server.url} merchant={demo.MERCHANT} key={key}", flush=True)
    # A handler could come while this thread holds the very lock that it needs; whoever waits for the signal cannot.
    signal.sigwait(ENDS)
    for number in ENDS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
    log.info("stopping")
    server.stop()
    engine.stop()


def _make_demo(data: Path, app: Chalice) -> None:
    making = data / MAKING
    for name in (MAKING, demo.SANDBOX_FILE, KEYS_FILE):
        _remove(data / name)
    making.mkdir()
    now = SystemClock().now()
    log.info("making the demo shop: half a year of orders, once")
    demo.seed(making, app, now)
    demo.moved(making, data)
    log.info("made in %d seconds", (SystemClock().now() - now).total_seconds())


def _key(house: wiring.House, data: Path) -> str:
    """The owner's key of the first shop: founded where it is not yet, and kept beside the data, for it is a toy's."""
    kept = data / KEYS_FILE
    if kept.exists():
        key = str(json.loads(kept.read_text())["key"])
        if house.keys().find(key_hash(key)) is not None:
            return key
    stands = bool(house.open_shop(demo.MERCHANT).configuration.section(Merchant).version)
    key, browser = found_shop(
        house, demo.MERCHANT, demo.NAME, secret=lambda: secrets.token_urlsafe(KEY_BYTES), new_keys=stands
    )
    kept.touch(mode=0o600)
    kept.write_text(json.dumps({"merchant": demo.MERCHANT, "key": key, "browser_key": browser}, indent=2) + "\n")
    return key


def _welcome_owner(house: wiring.House, url: str) -> None:
    """Until the owner has a password, each start tells a fresh link to choose one with."""
    shop = house.open_shop(demo.MERCHANT)
    if any(user.owner and user.signed_up for user in shop.users.all()):
        return
    token = make_owner(house.entrance(), shop, OWNER, by="make run")
    print(f"The page of the shop waits for its owner, once: {welcome_url(url, token)}", file=sys.stderr, flush=True)


def _log_to_stderr(app: Chalice) -> None:
    """Chalice's own log goes to stdout, which here holds the one line that programs read."""
    for handler in app.log.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
