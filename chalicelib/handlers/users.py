"""The merchant's users over HTTP (UltraCart's UserApi, in part), the keys of his programs, and what all of them did."""

from typing import Any

from chalicelib import wiring
from chalicelib.domain.access import AccessKey, ApiKey, shown_key
from chalicelib.domain.audit import ActivityEntry
from chalicelib.domain.dates import later
from chalicelib.domain.errors import Unauthorised
from chalicelib.domain.links import welcome_url
from chalicelib.domain.users import SignedIn, User, UserLogin, shown_user
from chalicelib.domain.wire import whole
from chalicelib.flows import api_keys, users
from chalicelib.flows.activity import Wanted, activity
from chalicelib.flows.users import Acting
from chalicelib.handlers import cursors
from chalicelib.handlers.http import Ask, Door, many, oid_of, one, page_of

door = Door("users")

NOUN = "user"
KEYS = "/configuration/api_keys"
FILTERS = ("actor", "noun", "key", "begin_date", "end_date")
ONE = "/user/users/{user_id}"


def _by(ask: Ask) -> Acting:
    access = ask.access
    if isinstance(access, SignedIn):
        user_id, owner = access.session.user_id, bool(access.user.owner)
    elif isinstance(access, AccessKey):
        user_id, owner = 0, access.scopes is None
    else:
        raise Unauthorised("This call needs a key.")
    return Acting(name=access.actor, address=ask.address, allows=access.allows, owner=owner, user_id=user_id)


def _shown(ask: Ask, user: User) -> Any:
    return whole(shown_user(user), ask.form)


def _link(token: str) -> dict[str, str]:
    """Shown this once: only its hash is kept. Whoever asked hands it to the user."""
    return {"welcome_url": welcome_url(wiring.house().public_url, token)} if token else {}


@door("GET", "/user/users", "user_read", summary="List the shop's users", gives=list[User], query=("_limit", "_offset"))
def get_users(ask: Ask) -> dict[str, Any]:
    ask.only("_limit", "_offset")
    limit, offset = ask.page()
    found = ask.shop.users.all()
    shown = [_shown(ask, user) for user in page_of(found, limit, offset)]
    return many("users", shown, limit=limit, offset=offset, total=len(found))


@door("GET", ONE, "user_read", summary="Retrieve a user", gives=User)
def get_user(ask: Ask, user_id: str) -> dict[str, Any]:
    kept = ask.shop.users.get(oid_of(user_id, NOUN))
    ask.etag(kept.version)
    return one("user", _shown(ask, kept.noun))


@door(
    "GET", f"{ONE}/logins", "user_read", summary="When a user signed in, of 90 days", gives={"logins": list[UserLogin]}
)
def get_user_logins(ask: Ask, user_id: str) -> dict[str, Any]:
    found = users.logins(wiring.house().entrance(), ask.shop, oid_of(user_id, NOUN))
    return one("logins", whole(found, ask.form))


@door(
    "POST",
    "/user/users",
    "user_write",
    summary="Insert a user; without a password the answer has a link to choose one with",
    takes=User,
    gives=User,
)
def insert_user(ask: Ask) -> dict[str, Any]:
    user, token = users.insert(wiring.house().entrance(), ask.shop, ask.raw(), _by(ask))
    ask.etag(1)
    return {**one("user", _shown(ask, user)), **_link(token)}


@door("PUT", ONE, "user_write", summary="Update a user: only the keys present change", takes=User, gives=User)
def update_user(ask: Ask, user_id: str) -> dict[str, Any]:
    oid, entrance = oid_of(user_id, NOUN), wiring.house().entrance()
    user, version = users.update(entrance, ask.shop, oid, ask.raw(), _by(ask), version=ask.if_match())
    ask.etag(version)
    return one("user", _shown(ask, user))


@door("DELETE", ONE, "user_write", summary="Delete a user; his sessions are over at once")
def delete_user(ask: Ask, user_id: str) -> None:
    oid = oid_of(user_id, NOUN)
    users.remove(wiring.house().entrance(), ask.shop, oid, _by(ask), version=ask.if_match())


@door("POST", f"{ONE}/welcome", "user_write", summary="A fresh link with which the user chooses a password")
def insert_user_welcome(ask: Ask, user_id: str) -> dict[str, Any]:
    token = users.invite(wiring.house().entrance(), ask.shop, oid_of(user_id, NOUN), _by(ask))
    return {"success": True, "metadata": {}, **_link(token)}


# --- keys ------------------------------------------------------------------------------------------------------------


@door(
    "GET",
    KEYS,
    "user_read",
    summary="List the shop's access keys with their scopes and when each was last used, the newest first",
    gives={"api_keys": list[ApiKey]},
)
def get_api_keys(ask: Ask) -> dict[str, Any]:
    ask.only()
    keys = [shown_key(key) for key in wiring.house().keys().of(ask.shop.merchant_id)]
    return one("api_keys", whole(keys, ask.form))


@door(
    "POST",
    KEYS,
    "user_write",
    summary="Make an access key with the scopes that it needs; its text is shown this once",
    takes=ApiKey,
    gives=ApiKey,
)
def insert_api_key(ask: Ask) -> dict[str, Any]:
    house = wiring.house()
    made = api_keys.issue(house.entrance(), house.keys(), ask.shop, ask.raw(), _by(ask))
    return one("api_key", whole(made, ask.form))


@door("DELETE", f"{KEYS}/{{api_key_id}}", "user_write", summary="Revoke an access key: it opens nothing any more")
def delete_api_key(ask: Ask, api_key_id: str) -> None:
    house = wiring.house()
    api_keys.revoke(house.entrance(), house.keys(), ask.shop, api_key_id, _by(ask))


# --- activity --------------------------------------------------------------------------------------------------------


@door(
    "GET",
    "/activity",
    "user_read",
    summary="Who has signed in and what users and keys have changed, newest first; settings with before and after",
    gives={"activities": list[ActivityEntry]},
    query=(*FILTERS, "_limit", cursors.PARAMETER),
)
def get_activity(ask: Ask) -> dict[str, Any]:
    ask.only(*FILTERS, "_limit", cursors.PARAMETER)
    limit, _ = ask.page()
    now = wiring.house().entrance().now()
    wanted = Wanted(**{name: ask.query.get(name) or None for name in ("actor", "noun", "key")})
    place = (cursors.asked(ask) or {}).get("place") or str(ask.moment("end_date", last=True) or later(now, seconds=1))
    found, place = activity(ask.shop, wanted, str(place), ask.moment("begin_date"), now, limit)
    answer = one("activities", whole(found, ask.form))
    answer["metadata"].update(cursors.next_page(ask, {"place": place} if place else None))
    return answer
