"""Signing in on both engines: the same work for everybody, an end at once, one code once, one link once."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from moto import mock_aws

from chalicelib.domain.errors import CodeNeeded, Contended, Invalid, Refused, TooMany, Unauthorised
from chalicelib.domain.users import PasswordChange, SignedIn, SignIn, TotpChange, Welcome
from chalicelib.flows import sign_in as flow
from chalicelib.flows import users
from chalicelib.flows.ports import Entrance
from chalicelib.stores.dynamodb import DynamoTables
from chalicelib.stores.port import TablePort
from chalicelib.stores.sqlite import SqliteTables
from tests.ministack import nowhere_else
from tests.worlds import MERCHANT, CheapPasswords, World

HERE, THERE = "203.0.113.7", "198.51.100.9"
PASSWORD = "a kettle sings at noon"
logins = (f"user{number}" for number in count(1))
numbers = count(1001)


@pytest.fixture(scope="module", params=["embedded", "dynamodb"])
def port(request: pytest.FixtureRequest) -> Iterator[TablePort]:
    if request.param == "embedded":
        yield SqliteTables()
        return
    with nowhere_else(), mock_aws():
        tables = DynamoTables("sign-in-", region="us-east-1")
        tables.create_tables()
        yield tables


class Door:
    """The entrance of a house with one owner, whose login no other test has."""

    def __init__(self, port: TablePort) -> None:
        self.world = World(port=port)
        # The tables are shared, so ids go on.
        self.world._numbers = numbers
        self.login = next(logins)
        self.token = users.make_owner(self.entrance, self.world.shop, self.login, by="test")
        self.text, self.who = self.welcome()

    @property
    def entrance(self) -> Entrance:
        return self.world.house.entrance()

    @property
    def passwords(self) -> CheapPasswords:
        assert isinstance(self.world.house.passwords, CheapPasswords)
        return self.world.house.passwords

    def welcome(self) -> tuple[str, SignedIn]:
        begun = flow.welcome(self.entrance, Welcome(token=self.token, password=PASSWORD), HERE)
        assert begun is not None
        return begun

    def sign_in(self, login: str = "", password: str = PASSWORD, code: str | None = None) -> tuple[str, SignedIn]:
        return flow.sign_in(self.entrance, SignIn(login=login or self.login, password=password, code=code), THERE)

    def who_is(self, text: str) -> SignedIn:
        return flow.signed_in(self.entrance, text)


@pytest.fixture
def door(port: TablePort) -> Door:
    return Door(port)


def test_a_session_is_known_by_its_text_until_it_is_ended(door: Door) -> None:
    text, who = door.sign_in()
    assert door.who_is(text) == who
    assert (who.merchant_id, who.name, len(text)) == (MERCHANT, door.login, 43)
    flow.sign_out(door.entrance, who, HERE)
    with pytest.raises(Unauthorised):
        door.who_is(text)
    assert door.who_is(door.text), "another session of the same user goes on"


def test_a_session_that_is_seen_while_it_ends_does_not_begin_again(door: Door) -> None:
    entrance, later = door.entrance, door.world.clock.now()
    flow.sign_out(entrance, door.who, HERE)
    with pytest.raises(Refused):
        door.world.shop.write(entrance.sessions.seen(door.who.session.session_hash, later))
    with pytest.raises(Unauthorised):
        door.who_is(door.text)


def test_an_unknown_login_takes_the_same_work_as_a_wrong_password(door: Door) -> None:
    work = {}
    for login, password in ((door.login, "wrong"), ("nobody-" + door.login, PASSWORD)):
        door.world.tables.meter.reset()
        door.passwords.checked = 0
        with pytest.raises(Unauthorised, match=flow.WRONG):
            door.sign_in(login, password)
        verbs = [(call.verb, call.tables) for call in door.world.tables.meter.calls]
        work[login] = (door.passwords.checked, verbs)
    known, unknown = work.values()
    assert known == unknown
    assert known[0] == 1


def test_a_user_without_a_password_takes_the_same_work_too(door: Door) -> None:
    door.login = next(logins)
    users.make_owner(door.entrance, door.world.shop, door.login, by="test")
    door.passwords.checked = 0
    with pytest.raises(Unauthorised, match=flow.WRONG):
        door.sign_in()
    assert door.passwords.checked == 1


def test_what_is_tried_too_often_is_not_even_checked(door: Door) -> None:
    for _ in range(flow.MOST_OF_LOGIN):
        with pytest.raises(Unauthorised):
            door.sign_in(password="wrong")
    door.passwords.checked = 0
    with pytest.raises(TooMany) as refused:
        door.sign_in()
    assert door.passwords.checked == 0
    door.world.clock.pass_(seconds=refused.value.retry_after_seconds)
    assert door.sign_in()


def test_a_hash_of_other_settings_is_made_anew_when_its_password_is_seen(door: Door) -> None:
    door.world.house.passwords = CheapPasswords(memory_kib=16)
    with pytest.raises(Unauthorised):
        door.sign_in(password="wrong")
    proof = door.world.shop.users.credentials(door.who.session.user_id)
    assert proof is not None
    assert "m=8," in (proof.noun.password_hash or "")
    door.sign_in()
    again = door.world.shop.users.credentials(door.who.session.user_id)
    assert again is not None
    assert "m=16," in (again.noun.password_hash or "")
    made = door.passwords.made
    door.sign_in()
    assert door.passwords.made == made


def test_a_new_password_and_a_fresh_link_end_all_sessions_but_the_one_that_asked(door: Door) -> None:
    other, _ = door.sign_in()
    text, _ = flow.change_password(
        door.entrance, door.who, PasswordChange(current=PASSWORD, new="a pigeon in the hall"), HERE
    )
    for over in (other, door.text):
        with pytest.raises(Unauthorised):
            door.who_is(over)
    assert door.who_is(text)
    door.token = users.make_owner(door.entrance, door.world.shop, door.login.upper(), by="test")
    assert door.who_is(text), "whoever only asks for a link ends nothing"
    door.welcome()
    with pytest.raises(Unauthorised):
        door.who_is(text)


def test_a_fresh_link_closes_the_one_before(door: Door) -> None:
    users.make_owner(door.entrance, door.world.shop, door.login, by="test")
    with pytest.raises(Unauthorised, match="used already"):
        door.welcome()


def test_a_login_of_one_shop_is_nobodys_in_another(door: Door) -> None:
    other = door.world.house.open_shop("OTHER")
    with pytest.raises(Invalid, match="taken"):
        users.make_owner(door.entrance, other, door.login, by="test")
    assert other.users.all() == []
    with pytest.raises(Unauthorised):
        flow.welcome(door.entrance, Welcome(token=door.token.replace(MERCHANT, "OTHER"), password=PASSWORD), HERE)


def test_of_two_who_come_with_one_code_at_once_one_gets_in(door: Door) -> None:
    """The second reads before the first has written, and its write is refused."""
    secret, _ = flow.begin_totp(door.entrance, door.who)
    confirm = TotpChange(action="confirm", code=code(door, secret))
    flow.confirm_totp(door.entrance, door.who, confirm, HERE)
    door.world.clock.pass_(seconds=60)
    entrance, typed, inside = door.entrance, code(door, secret), []

    class Meanwhile:
        """The codes; somebody signs in with the same one as it is looked at."""

        def step(self, *asked: object) -> int | None:
            inside.append(door.sign_in(code=typed))
            return entrance.codes.step(*asked)  # type: ignore[arg-type]

    with pytest.raises(Contended):
        flow.sign_in(
            replace(entrance, codes=Meanwhile()),  # type: ignore[arg-type]
            SignIn(login=door.login, password=PASSWORD, code=typed),
            HERE,
        )
    assert len(inside) == 1
    with pytest.raises(CodeNeeded, match="used already"):
        door.sign_in(code=typed)


def test_a_link_that_two_use_at_once_is_good_for_one(door: Door) -> None:
    door.token = users.make_owner(door.entrance, door.world.shop, door.login, by="test")
    passwords, inside = door.passwords, []

    class Meanwhile(CheapPasswords):
        def hash(self, password: str) -> str:
            door.world.house.passwords = passwords
            inside.append(door.welcome())
            return super().hash(password)

    slow = Meanwhile.__new__(Meanwhile)
    slow.__dict__.update(passwords.__dict__)
    door.world.house.passwords = slow
    with pytest.raises(Contended):
        door.welcome()
    assert door.who_is(inside[0][0])


def test_guesses_at_codes_come_to_an_end_wherever_they_come_from(door: Door) -> None:
    secret, _ = flow.begin_totp(door.entrance, door.who)
    flow.confirm_totp(door.entrance, door.who, TotpChange(action="confirm", code=code(door, secret)), HERE)
    door.world.clock.pass_(hours=1)
    for number in range(flow.MOST_CODES):
        asked = SignIn(login=door.login, password=PASSWORD, code="000000")
        with pytest.raises(CodeNeeded):
            flow.sign_in(door.entrance, asked, f"198.51.100.{number}")
    with pytest.raises(TooMany):
        door.sign_in(code=code(door, secret))
    door.world.clock.pass_(hours=1)
    assert door.sign_in(code=code(door, secret))


def code(door: Door, secret: str) -> str:
    from pyotp import TOTP

    return TOTP(secret).at(int(door.world.clock.now().timestamp()))
