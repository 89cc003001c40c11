"""``python -m infra.shop found`` and ``owner``: a new shop with its first keys, and the link with which its owner
chooses a password; on the engine that the environment names."""

import argparse
import secrets
import sys

from botocore.exceptions import BotoCoreError
from pynamodb.exceptions import PynamoDBException

from chalicelib import config, wiring
from chalicelib.domain.access import KEY_BYTES
from chalicelib.domain.errors import Invalid, ShopError
from chalicelib.domain.links import welcome_url
from chalicelib.domain.merchants import DEFAULT_CURRENCY, DEFAULT_ZONE
from chalicelib.flows.found_shop import found_shop
from chalicelib.flows.users import make_owner

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
        asked.act(wiring.of_environment(config.read()), asked)
    except (ShopError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except (BotoCoreError, PynamoDBException) as error:
        print(f"AWS did not do it: {error}\n{NEEDED}", file=sys.stderr)
        return 1
    return 0


def found(house: wiring.House, asked: argparse.Namespace) -> None:
    owner, browser = found_shop(
        house, asked.merchant, asked.name or "", asked.zone, asked.currency, secret=secret, new_keys=asked.new_keys
    )
    print(f"merchant    {asked.merchant}")
    print(f"owner key   {owner}")
    print(f"browser key {browser}")
    print("They are shown this once: only their hashes are kept.", file=sys.stderr)


def owner(house: wiring.House, asked: argparse.Namespace) -> None:
    if not house.merchants().has(asked.merchant):
        raise Invalid.one("/merchant_id", "unknown", f"there is no shop {asked.merchant[:20]}; found it first")
    shop, without = house.open_shop(asked.merchant), asked.without_codes
    token = make_owner(house.entrance(), shop, asked.login, by="infra.shop", without_codes=without)
    print(f"login       {asked.login}")
    print(f"link        {welcome_url(asked.url, token)}")
    print("The link is shown this once. It is good for a week and for one use.", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    program = argparse.ArgumentParser(
        prog="python -m infra.shop", description="Founds shops, on AWS or on this machine."
    )
    commands = program.add_subparsers(required=True)
    founding = commands.add_parser("found", help="a new shop with its owner's and browser's key")
    founding.add_argument("--merchant", required=True, help="one to five capital letters and digits")
    what = founding.add_mutually_exclusive_group(required=True)
    what.add_argument("--name", help="the shop's name")
    what.add_argument(
        "--new-keys", action="store_true", help="two more keys for a shop that stands; old ones stay valid"
    )
    founding.add_argument("--zone", default=DEFAULT_ZONE, help="IANA time zone; default %(default)s")
    founding.add_argument("--currency", default=DEFAULT_CURRENCY, help="default %(default)s")
    founding.set_defaults(act=found)
    owning = commands.add_parser("owner", help="a link with which an owner, new or known, chooses a password")
    owning.add_argument("--merchant", required=True, help="the shop's id")
    owning.add_argument("--login", required=True, help="what the owner signs in with, as an e-mail address")
    owning.add_argument("--url", required=True, help="where the shop is reached from outside: the stack's PublicUrl")
    owning.add_argument("--without-codes", action="store_true", help="whose device for one-time codes is lost")
    owning.set_defaults(act=owner)
    return program


if __name__ == "__main__":
    sys.exit(main())
