"""``python -m infra.shop found``: a new shop and its first keys, on the engine that the environment names."""

import argparse
import secrets
import sys

from botocore.exceptions import BotoCoreError
from pynamodb.exceptions import PynamoDBException

from chalicelib import config, wiring
from chalicelib.domain.access import KEY_BYTES
from chalicelib.domain.errors import ShopError
from chalicelib.domain.merchants import DEFAULT_CURRENCY, DEFAULT_ZONE
from chalicelib.flows.found_shop import found_shop

# Whoever founds a shop may have deployed nothing yet, or elsewhere.
NEEDED = (
    "On AWS it takes credentials (aws configure), the region (AWS_DEFAULT_REGION) and the tables of a stack, whose "
    "names begin with BACKROOM_PREFIX; on this machine BACKROOM_ENGINE=embedded."
)


def secret() -> str:
    return secrets.token_urlsafe(KEY_BYTES)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 2 for what the caller must mend, 1 where AWS did not do it."""
    asked = parser().parse_args(arguments)
    try:
        house = wiring.of_environment(config.read())
        owner, browser = found_shop(
            house, asked.merchant, asked.name or "", asked.zone, asked.currency, secret=secret, new_keys=asked.new_keys
        )
    except (ShopError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except (BotoCoreError, PynamoDBException) as error:
        print(f"AWS did not do it: {error}\n{NEEDED}", file=sys.stderr)
        return 1
    print(f"merchant    {asked.merchant}")
    print(f"owner key   {owner}")
    print(f"browser key {browser}")
    print("They are shown this once: only their hashes are kept.", file=sys.stderr)
    return 0


def parser() -> argparse.ArgumentParser:
    program = argparse.ArgumentParser(
        prog="python -m infra.shop", description="Founds shops, on AWS or on this machine."
    )
    found = program.add_subparsers(required=True).add_parser(
        "found", help="a new shop with its owner's and browser's key"
    )
    found.add_argument("--merchant", required=True, help="one to five capital letters and digits")
    what = found.add_mutually_exclusive_group(required=True)
    what.add_argument("--name", help="the shop's name")
    what.add_argument(
        "--new-keys", action="store_true", help="two more keys for a shop that stands; old ones stay valid"
    )
    found.add_argument("--zone", default=DEFAULT_ZONE, help="IANA time zone; default %(default)s")
    found.add_argument("--currency", default=DEFAULT_CURRENCY, help="default %(default)s")
    return program


if __name__ == "__main__":
    sys.exit(main())
