"""The session of the merchant's page: signing in and out, the first password, and one's own proofs. The session's text
stands in a cookie that no script reads."""

from typing import Any

from chalice.app import Response

from chalicelib import wiring
from chalicelib.domain import wire
from chalicelib.domain.dates import shown
from chalicelib.domain.links import DEVICE_SECONDS
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.users import PasswordChange, SignedIn, SignIn, TotpChange, Welcome
from chalicelib.flows import sign_in as flow
from chalicelib.handlers.http import SESSION, SIGN_IN, Ask, Door, cookie_name, done, secure

door = Door("sign_in")


@door("POST", "/admin/session", SIGN_IN, summary="Sign in to the merchant's page", takes=SignIn, base="")
def insert_session(ask: Ask) -> Response:
    device = ask.cookie(_device_name())
    return _begun(ask, *flow.sign_in(wiring.house().entrance(), ask.body(SignIn), ask.address, device))


@door("GET", "/admin/session", SESSION, summary="Who is signed in", base="")
def get_session(ask: Ask) -> dict[str, Any]:
    return {"session": _shown(ask.signed_in)}


@door("DELETE", "/admin/session", SESSION, summary="Sign out; the session is over at once", base="")
def delete_session(ask: Ask) -> None:
    flow.sign_out(wiring.house().entrance(), ask.signed_in, ask.address)
    ask.headers_out["Set-Cookie"] = _cookie(cookie_name(), "", 0)


@door("POST", "/admin/welcome", SIGN_IN, summary="Choose a password by a link of invitation", takes=Welcome, base="")
def accept_welcome(ask: Ask) -> Response | dict[str, Any]:
    """Without a session in the answer the user signs in next, with a code."""
    found = flow.welcome(wiring.house().entrance(), ask.body(Welcome), ask.address)
    return _begun(ask, *found) if found else done()


@door("POST", "/admin/password", SESSION, summary="Change one's password", takes=PasswordChange, base="")
def change_password(ask: Ask) -> Response:
    """All other sessions end; this one goes on under a new cookie and a new csrf text."""
    asked = ask.body(PasswordChange)
    return _begun(ask, *flow.change_password(wiring.house().entrance(), ask.signed_in, asked, ask.address))


@door("POST", "/admin/totp", SESSION, summary="Begin, confirm or remove one-time codes", takes=TotpChange, base="")
def change_totp(ask: Ask) -> dict[str, Any]:
    asked, entrance, who = ask.body(TotpChange), wiring.house().entrance(), ask.signed_in
    if asked.action == "begin":
        secret, uri = flow.begin_totp(entrance, who)
        return {"totp": {"secret": secret, "uri": uri}}
    act = flow.confirm_totp if asked.action == "confirm" else flow.remove_totp
    user = act(entrance, who, asked, ask.address)
    return {"session": {**_shown(who), "totp": bool(user.totp)}}


def _begun(ask: Ask, text: str, who: SignedIn) -> Response:
    device = flow.device_of(wiring.house().entrance(), who)
    cookies = [
        _cookie(cookie_name(), text, flow.LONGEST_SECONDS),
        _cookie(_device_name(), device, DEVICE_SECONDS),
    ]
    body = wire.to_json({"session": _shown(who)}).decode()
    return Response(
        body=body, status_code=200, headers={"Content-Type": "application/json; charset=UTF-8", "Set-Cookie": cookies}
    )


def _shown(who: SignedIn) -> dict[str, Any]:
    shop = wiring.open_shop(who.merchant_id)
    merchant = shop.configuration.remembered(Merchant)
    return {
        "login": who.name,
        "name": who.user.full_name or who.name,
        "merchant_id": who.merchant_id,
        "permissions": sorted(who.user.scopes()),
        "owner": bool(who.user.owner),
        "csrf": who.csrf,
        "test_mode": shop.travel is not None,
        "time_zone": merchant.zone_name(),
        "expires_dts": shown(who.expires_dts, merchant.zone_name()),
        "totp": bool(who.user.totp),
    }


def _device_name() -> str:
    """Of the cookie by which a browser is known again after its session."""
    return f"{cookie_name()}-device"


def _cookie(name: str, text: str, seconds: int) -> str:
    only = "; Secure" if secure() else ""
    return f"{name}={text}; Path=/; Max-Age={seconds}; HttpOnly{only}; SameSite=Strict"
