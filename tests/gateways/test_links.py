"""Signed links: one purpose, one noun, one shop, until a date."""

import random
import string

import pytest
from itsdangerous import URLSafeSerializer

from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.errors import Unauthorised
from chalicelib.gateways.links import SignedLinks
from tests.worlds import ManualClock, World

NOW = parse_instant("2027-01-31T12:00:00-05:00")
DAY = 24 * 3600


def links(clock: ManualClock | None = None, secret: str = "a secret", merchant_id: str = "DEMO") -> SignedLinks:
    return SignedLinks("https://shop.example/", lambda: secret, merchant_id, (clock or ManualClock(NOW)).now)


def test_a_token_stands_for_its_subject_whatever_the_subject_is_called() -> None:
    for subject in ("7", "DEMO-0009104420", "auto_order#7/ü 北京", ""):
        assert links().read("cancel", links().sign("cancel", subject, DAY)) == subject


def test_a_token_fits_into_a_link_as_it_is() -> None:
    token = links().sign("cancel", "DEMO-0009104420", DAY)
    assert (
        links().page("cancel", token=token) == f"https://shop.example/storefront/cancel?merchant_id=DEMO&token={token}"
    )
    assert (
        links().page("cancel", storefront="a&b")
        == "https://shop.example/storefront/cancel?merchant_id=DEMO&storefront=a%26b"
    )
    assert len(token) < 150


def test_a_token_lasts_until_its_last_second() -> None:
    clock = ManualClock(NOW)
    token = links(clock).sign("cancel", "7", DAY)
    clock.go(later(NOW, seconds=DAY - 1))
    assert links(clock).read("cancel", token) == "7"
    clock.go(later(NOW, seconds=DAY))
    with pytest.raises(Unauthorised, match="has expired"):
        links(clock).read("cancel", token)


def test_a_token_of_one_purpose_opens_nothing_of_another() -> None:
    with pytest.raises(Unauthorised, match="not valid"):
        links().read("update_billing", links().sign("cancel", "7", DAY))


def test_a_token_of_another_shop_or_of_another_secret_is_refused() -> None:
    token = links(merchant_id="OTHER").sign("cancel", "7", DAY)
    for reader in (links(), links(secret="another secret", merchant_id="OTHER")):
        with pytest.raises(Unauthorised, match="not valid"):
            reader.read("cancel", token)


def test_a_token_that_anybody_has_touched_is_refused() -> None:
    token = links().sign("cancel", "7", DAY)
    eights = str(URLSafeSerializer("").dumps(["8", int(NOW.timestamp()) + DAY])).rsplit(".", 1)[0]
    changed = f"{eights}.{token.rsplit('.', 1)[1]}"
    for text in (token[:-1], f"{token}x", token.upper(), changed, "", ".", "a.b.c", "ü", "x" * 10_000):
        with pytest.raises(Unauthorised, match="not valid"):
            links().read("cancel", text)


def test_every_process_of_a_house_signs_with_the_same_secret_and_it_is_not_the_one_of_cursors() -> None:
    world = World().open()
    token = world.shop.links.sign("cancel", "7", DAY)
    world.house.extras.clear()
    assert world.shop.links.read("cancel", token) == "7"
    assert world.house.seal() != world.house.keys().secret("links", "fresh")


def test_of_five_thousand_changed_tokens_none_opens_anything() -> None:
    """One character or many changed, left out, doubled, moved or put in; pieces of two tokens put together."""
    chance, letters = random.Random(5000), string.ascii_letters + string.digits + "-_.~%=+/ \x00ü"
    tokens = [links().sign("cancel", str(number), DAY * (number + 1)) for number in range(20)]
    reader, tried = links(), 0
    while tried < 5000:
        token, other = chance.sample(tokens, 2)
        at, to = sorted(chance.sample(range(len(token)), 2))
        letter = chance.choice(letters)
        changed = chance.choice(
            [
                token[:at] + letter + token[at + 1 :],
                token[:at] + token[to:],
                token[:at] + letter + token[at:],
                token[:at] + token[at:to] * 2 + token[to:],
                token[:at] + token[at:to][::-1] + token[to:],
                token[:at] + other[at:],
                token.swapcase(),
                token + letter,
                token[: token.rindex(".")] + other[other.rindex(".") :],
            ]
        )
        if changed in tokens:
            continue
        tried += 1
        with pytest.raises(Unauthorised):
            reader.read("cancel", changed)
