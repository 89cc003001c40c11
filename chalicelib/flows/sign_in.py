"""People sign in to the merchant's page, prove who they are, and sign out.

Whoever signs in with a login that there is not gets the answer of a wrong password, after the same work: the same
reads (of a merchant whom nobody founded), one check of a hash, one row of the audit.
"""

from hashlib import sha256

import msgspec

from chalicelib.domain.access import key_hash
from chalicelib.domain.audit import Action, AuditEntry
from chalicelib.domain.dates import Instant, later
from chalicelib.domain.errors import CodeNeeded, Contended, Invalid, NotFound, Refused, Unauthorised
from chalicelib.domain.links import DEVICE_SECONDS
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.users import (
    Credentials,
    PasswordChange,
    Session,
    SignedIn,
    SignIn,
    TotpChange,
    User,
    Welcome,
    check_password,
    login_key,
)
from chalicelib.flows.found_shop import MERCHANT_ID
from chalicelib.flows.ports import Change, Entrance, Kept, Shop

# Who leaves the page open and goes to lunch is signed out; who works all day signs in once in the morning (OWASP:
# half an hour for what is worth guarding, and an end whatever happens).
IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 12 * 3600
# A session is written down as seen once in so long: one write a minute of work, not one a click.
SEEN_SECONDS = 60
# Tries that one network has in a quarter of an hour. Of one login ten: who has forgotten his own password may guess,
# nobody else gets far. In all a hundred, for an office has one address. A browser in which the user was signed in
# before has ten of its own, whatever others try.
WINDOW_SECONDS = 15 * 60
MOST_OF_LOGIN = 10
MOST_OF_NETWORK = 100
# Tries at one login in an hour from all browsers that it is new to: a thousand networks get no further than these. So
# they can keep it from new browsers, for as long as they go on and an hour; known ones and a fresh link open all the
# same, so nobody is locked out.
STRANGERS_SECONDS = 3600
MOST_OF_STRANGERS = 200
# Codes of one user that may be tried in an hour, from wherever: who comes so far has the password already.
CODES_SECONDS = 3600
MOST_CODES = 20
# A first link waits over a week-end and a holiday.
WELCOME_SECONDS = 7 * 24 * 3600

# Whom a login leads to that there is not: no merchant is called so, and nobody stands there.
NOBODY = ("-", 0)
WRONG = "The login or the password is not right."
NEED_CODE = "The code of your authenticator app is needed as well."
WRONG_CODE = "The code is not right, or it was used already. Please wait for the next one."
OVER = "The session is over. Please sign in."
NOT_WELCOME = "The link was used already, has expired or is not valid. Please ask for a new one."


# --- in and out ------------------------------------------------------------------------------------------------------


def sign_in(entrance: Entrance, asked: SignIn, address: str, device: str | None = None) -> tuple[str, SignedIn]:
    """The text that the browser holds, and who is in. ``device``: what the browser keeps of an earlier time.
    Raises Unauthorised, CodeNeeded, TooMany."""
    merchant_id, user_id = entrance.logins.find(asked.login) or NOBODY
    shop = entrance.open_shop(merchant_id)
    _count(entrance, shop, user_id, login_key(asked.login), address, device)
    user, proof = shop.users.find(user_id), shop.users.credentials(user_id)
    known = proof.noun.password_hash if user and proof else None
    fits = entrance.passwords.fits(known or entrance.passwords.nobodys, asked.password)
    if not (fits and known and user and proof):
        _note(entrance, shop, "sign_in_failed", user.noun if user else None, address)
        raise Unauthorised(WRONG)
    credentials = msgspec.structs.replace(proof.noun)
    if credentials.totp_secret:
        credentials.totp_step = _step(entrance, shop, user.noun, credentials, asked.code, address)
    if entrance.passwords.outdated(known):
        credentials.password_hash = entrance.passwords.hash(asked.password)
    changes = [shop.users.proved_by(user_id, credentials, proof.version)] if credentials != proof.noun else []
    return _begin(entrance, shop, user.noun, changes, "signed_in", address)


def signed_in(entrance: Entrance, text: str) -> SignedIn:
    """Who holds this text, with the permissions that he has at this moment. Raises Unauthorised."""
    found = entrance.sessions.find(key_hash(text)) if len(text) <= 100 else None
    now = entrance.now()
    if found is None or now >= _ends(*found):
        raise Unauthorised(OVER)
    session, seen = found
    shop = entrance.open_shop(session.merchant_id)
    user = shop.users.find(session.user_id)
    if user is None or user.noun.generation != session.generation:
        raise Unauthorised(OVER)
    if (now - seen).total_seconds() >= SEEN_SECONDS:
        try:
            shop.write(entrance.sessions.seen(session.session_hash, now))
        except Refused:
            raise Unauthorised(OVER) from None
        seen = now
    return SignedIn(session=session, user=user.noun, expires_dts=_ends(session, seen), csrf=_csrf(text))


def device_of(entrance: Entrance, who: SignedIn) -> str:
    """What the browser keeps, so that it is known the next time."""
    subject = f"{who.session.user_id}.{entrance.secret()}"
    return entrance.open_shop(who.merchant_id).links.sign("device", subject, DEVICE_SECONDS)


def sign_out(entrance: Entrance, who: SignedIn, address: str) -> None:
    """The session is no more from this moment."""
    shop = entrance.open_shop(who.merchant_id)
    entry = _entry(entrance, "signed_out", who.user, address)
    shop.write(entrance.sessions.ended(who.session.session_hash), *shop.audit.added(entry))


# --- the first time --------------------------------------------------------------------------------------------------


def welcome(entrance: Entrance, asked: Welcome, address: str) -> tuple[str, SignedIn] | None:
    """The link is used: the user has a password from now on and no other session. He is in, unless codes are in use:
    then he signs in with one (None), for a link is no second factor.
    Raises Unauthorised for a link that is over, Invalid for a weak password."""
    merchant_id, _, rest = asked.token.partition(".")
    number, _, text = rest.partition(".")
    user_id = int(number) if number.isascii() and number.isdecimal() and len(number) <= 10 else 0
    shop = entrance.open_shop(merchant_id if MERCHANT_ID.fullmatch(merchant_id) else NOBODY[0])
    user, proof = shop.users.find(user_id), shop.users.credentials(user_id)
    if user is None or proof is None or not _open(proof.noun, text, entrance.now()):
        raise Unauthorised(NOT_WELCOME)
    check_password(asked.password, user.noun, "/password")
    credentials = msgspec.structs.replace(
        proof.noun, password_hash=entrance.passwords.hash(asked.password), welcome_hash=None, welcome_until=None
    )
    after = msgspec.structs.replace(user.noun, signed_up=True, generation=user.noun.generation + 1)
    if asked.name:
        after.full_name = asked.name
    changes = [
        shop.users.proved_by(user_id, credentials, proof.version),
        shop.users.replaced(after, user.version),
    ]
    if credentials.totp_secret:
        entry = _entry(entrance, "welcomed", after, address)
        write_over(shop, *changes, *shop.audit.added(entry))
        return None
    return _begin(entrance, shop, after, changes, "welcomed", address)


# --- one's own proofs ------------------------------------------------------------------------------------------------


def change_password(entrance: Entrance, who: SignedIn, asked: PasswordChange, address: str) -> tuple[str, SignedIn]:
    """Every other session ends, and this one goes on under a new text. Raises Invalid, TooMany."""
    shop, user, proof = _checked(entrance, who, asked.current, "/current", address)
    check_password(asked.new, user.noun, "/new")
    credentials = msgspec.structs.replace(proof.noun, password_hash=entrance.passwords.hash(asked.new))
    after = msgspec.structs.replace(user.noun, generation=user.noun.generation + 1)
    changes = [
        shop.users.proved_by(who.session.user_id, credentials, proof.version),
        shop.users.replaced(after, user.version),
        entrance.sessions.ended(who.session.session_hash),
    ]
    return _begin(entrance, shop, after, changes, "password_changed", address)


def begin_totp(entrance: Entrance, who: SignedIn) -> tuple[str, str]:
    """A secret, and what an authenticator app reads; it is used once a code of it has come."""
    shop = entrance.open_shop(who.merchant_id)
    proof = proof_of(shop, who.session.user_id)
    if proof.noun.totp_secret:
        raise Invalid.one("/action", "enabled_already", "codes are in use already; remove them first")
    secret = entrance.codes.secret()
    credentials = msgspec.structs.replace(proof.noun, totp_pending=secret)
    write_over(shop, shop.users.proved_by(who.session.user_id, credentials, proof.version))
    issuer = shop.configuration.section(Merchant).noun.name or shop.merchant_id
    return secret, entrance.codes.uri(secret, who.name, issuer)


def confirm_totp(entrance: Entrance, who: SignedIn, asked: TotpChange, address: str) -> User:
    """From now on the user signs in with a code. Raises Invalid, TooMany."""
    shop = entrance.open_shop(who.merchant_id)
    user, proof = shop.users.get(who.session.user_id), proof_of(shop, who.session.user_id)
    if not proof.noun.totp_pending:
        raise Invalid.one("/action", "not_begun", "begin first: there is no secret whose code could be confirmed")
    _count_proof(entrance, who)
    step = entrance.codes.step(proof.noun.totp_pending, asked.code or "", entrance.now())
    if step is None:
        raise Invalid.one("/code", "wrong_code", "is not the code of this moment")
    credentials = msgspec.structs.replace(
        proof.noun, totp_secret=proof.noun.totp_pending, totp_pending=None, totp_step=step
    )
    return _with_totp(entrance, shop, user, proof, credentials, address)


def remove_totp(entrance: Entrance, who: SignedIn, asked: TotpChange, address: str) -> User:
    """From now on a password is enough. Raises Invalid, TooMany."""
    shop, user, proof = _checked(entrance, who, asked.password or "", "/password", address)
    credentials = msgspec.structs.replace(proof.noun, totp_secret=None, totp_pending=None)
    return _with_totp(entrance, shop, user, proof, credentials, address)


def _with_totp(
    entrance: Entrance,
    shop: Shop,
    user: Kept[User],
    proof: Kept[Credentials],
    credentials: Credentials,
    address: str,
) -> User:
    on = bool(credentials.totp_secret)
    after = msgspec.structs.replace(user.noun, totp=on or None)
    entry = _entry(entrance, "totp_enabled" if on else "totp_removed", after, address)
    write_over(
        shop,
        shop.users.proved_by(after.user_id or 0, credentials, proof.version),
        shop.users.replaced(after, user.version),
        *shop.audit.added(entry),
    )
    return after


# --- what changes of users share -------------------------------------------------------------------------------------


def welcome_for(
    entrance: Entrance, merchant_id: str, user_id: int, credentials: Credentials
) -> tuple[str, Credentials]:
    """A token, and the credentials that know its hash."""
    text = entrance.secret()
    until = later(entrance.now(), seconds=WELCOME_SECONDS)
    after = msgspec.structs.replace(credentials, welcome_hash=key_hash(text), welcome_until=until)
    return f"{merchant_id}.{user_id}.{text}", after


def write_over(shop: Shop, *changes: Change) -> None:
    """Over exactly what was read; what somebody else has changed meanwhile is read anew by whoever tries again. So one
    code opens once. Raises Contended."""
    try:
        shop.write(*changes)
    except Refused:
        raise Contended("somebody has changed the same user at this moment; try again") from None


def proof_of(shop: Shop, user_id: int) -> Kept[Credentials]:
    """What proves that somebody is the user. Raises NotFound."""
    proof = shop.users.credentials(user_id)
    if proof is None:
        raise NotFound("user", user_id)
    return proof


# --- inside ----------------------------------------------------------------------------------------------------------


def _count(entrance: Entrance, shop: Shop, user_id: int, login: str, address: str, device: str | None) -> None:
    """Raises TooMany. What is tried counts, right or wrong: many at once get no further than one after the other."""
    now = entrance.now()
    if device is not None and _knows(shop, user_id, device):
        entrance.limits.take(f"sign_in#device#{device}", MOST_OF_LOGIN, WINDOW_SECONDS, now)
        return
    entrance.limits.take(f"sign_in#network#{address}", MOST_OF_NETWORK, WINDOW_SECONDS, now)
    entrance.limits.take(f"sign_in#login#{login}#{address}", MOST_OF_LOGIN, WINDOW_SECONDS, now)
    entrance.limits.take(f"sign_in#strangers#{login}", MOST_OF_STRANGERS, STRANGERS_SECONDS, now)


def _count_proof(entrance: Entrance, who: SignedIn) -> None:
    """Whoever has got hold of a session guesses no password with it. Raises TooMany."""
    scope = f"proof#{who.merchant_id}#{who.session.user_id}"
    entrance.limits.take(scope, MOST_OF_LOGIN, WINDOW_SECONDS, entrance.now())


def _knows(shop: Shop, user_id: int, device: str) -> bool:
    """Whether the user has signed in there before."""
    try:
        return shop.links.read("device", device).partition(".")[0] == str(user_id)
    except Unauthorised:
        return False


def _step(entrance: Entrance, shop: Shop, user: User, credentials: Credentials, code: str | None, address: str) -> int:
    """The step whose code came, which no other was taken of yet. Raises CodeNeeded, TooMany."""
    if not code:
        raise CodeNeeded(NEED_CODE)
    now = entrance.now()
    entrance.limits.take(f"code#{shop.merchant_id}#{user.user_id}", MOST_CODES, CODES_SECONDS, now)
    step = entrance.codes.step(credentials.totp_secret or "", code, now)
    if step is None or step <= credentials.totp_step:
        _note(entrance, shop, "code_failed", user, address)
        raise CodeNeeded(WRONG_CODE)
    return step


def _checked(
    entrance: Entrance, who: SignedIn, password: str, pointer: str, address: str
) -> tuple[Shop, Kept[User], Kept[Credentials]]:
    """The user as he stands, after his password once more: a session that was left open changes no proof."""
    _count_proof(entrance, who)
    shop = entrance.open_shop(who.merchant_id)
    user, proof = shop.users.get(who.session.user_id), proof_of(shop, who.session.user_id)
    if not entrance.passwords.fits(proof.noun.password_hash or entrance.passwords.nobodys, password):
        _note(entrance, shop, "password_failed", who.user, address)
        raise Invalid.one(pointer, "wrong_password", "is not your password")
    return shop, user, proof


def _begin(
    entrance: Entrance, shop: Shop, user: User, changes: list[Change], action: Action, address: str
) -> tuple[str, SignedIn]:
    """A session, in the transaction of what led to it."""
    text, now = entrance.secret(), entrance.now()
    session = Session(
        session_hash=key_hash(text),
        merchant_id=shop.merchant_id,
        user_id=user.user_id or 0,
        generation=user.generation,
        created_dts=now,
    )
    entry = _entry(entrance, action, user, address)
    ends = later(now, seconds=LONGEST_SECONDS)
    write_over(shop, *changes, entrance.sessions.begun(session, ends), *shop.audit.added(entry))
    return text, SignedIn(session=session, user=user, expires_dts=_ends(session, now), csrf=_csrf(text))


def _ends(session: Session, seen: Instant) -> Instant:
    return min(later(seen, seconds=IDLE_SECONDS), later(session.created_dts, seconds=LONGEST_SECONDS))


def _open(credentials: Credentials, text: str, now: Instant) -> bool:
    """Hashes are compared, and nobody can aim at one: how long that takes tells nothing."""
    known, until = credentials.welcome_hash, credentials.welcome_until
    return bool(known and until and now < until and known == key_hash(text))


def _csrf(text: str) -> str:
    """Made of what only the browser holds, so it is kept nowhere."""
    return sha256(f"csrf\x1f{text}".encode()).hexdigest()


def _entry(entrance: Entrance, action: Action, user: User | None, address: str) -> AuditEntry:
    """What was typed for a login may be a password: it is written down only where it is one."""
    login, user_id = (user.login or "", user.user_id or 0) if user else ("", 0)
    return AuditEntry(audit_dts=entrance.now(), action=action, actor=login, user_id=user_id, address=address)


def _note(entrance: Entrance, shop: Shop, action: Action, user: User | None, address: str) -> None:
    shop.write(*shop.audit.added(_entry(entrance, action, user, address)))
