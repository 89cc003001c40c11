"""The merchant's users with their credentials, the logins of all merchants, the sessions, and the audit."""

from collections.abc import Callable
from datetime import UTC, datetime

from chalicelib.domain.audit import ACTIVITY_DAYS, AuditEntry
from chalicelib.domain.dates import Instant, instant
from chalicelib.domain.errors import NotFound
from chalicelib.domain.users import Credentials, Session, User, login_key
from chalicelib.stores.port import MAXIMUM_PAGE, Absent, Change, Cursor, Delete, Present, Put, TablePort, Update
from chalicelib.stores.records import (
    DOCUMENT,
    Versioned,
    claimed,
    inserted,
    kept_for,
    noun_of,
    pk,
    removed,
    replaced,
    text_of,
    versioned,
)
from chalicelib.stores.tables import PK, SK

TABLE = "configuration"
SESSIONS = "documents"
AUDIT = "audit"
# Of an instant's text, what names its day and its month.
DAY, MONTH = len("2027-01-31"), len("2027-01")
# A session that is over is swept away by the table a day later; nobody reads it before.
KEEP_DAYS = 1
# The record of what proves who somebody is, beside none of the users' own: a list of users reads no hash.
CREDENTIALS = "credentials"


class Users:
    """One merchant's users: all in one partition, for there are few; the credentials of each apart."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id
        self._key = pk(merchant_id, "user")

    def all(self) -> list[User]:
        """Every user, in the order of their ids' digits."""
        found: list[User] = []
        cursor: Cursor | None = None
        while True:
            page = self._port.query(TABLE, self._key, limit=MAXIMUM_PAGE, cursor=cursor, consistent=True)
            found += [noun_of(record, User) for record in page.records]
            cursor = page.cursor
            if cursor is None:
                return found

    def find(self, user_id: int) -> Versioned[User] | None:
        return versioned(self._port.get(TABLE, self._key, str(user_id), consistent=True), User)

    def get(self, user_id: int) -> Versioned[User]:
        """Raises NotFound."""
        found = self.find(user_id)
        if found is None:
            raise NotFound("user", user_id)
        return found

    def credentials(self, user_id: int) -> Versioned[Credentials] | None:
        return versioned(self._port.get(TABLE, self._secret(user_id), CREDENTIALS, consistent=True), Credentials)

    def inserted(self, user: User, credentials: Credentials) -> list[Change]:
        """The login is taken in the same transaction: it opens one user of one merchant."""
        user_id = user.user_id or 0
        return [
            inserted(TABLE, self._key, str(user_id), user),
            claimed(TABLE, _login(user.login or ""), "login", merchant_id=self._merchant_id, user_id=user_id),
            inserted(TABLE, self._secret(user_id), CREDENTIALS, credentials),
        ]

    def replaced(self, user: User, version: int) -> Change:
        return replaced(TABLE, self._key, str(user.user_id), user, version)

    def proved_by(self, user_id: int, credentials: Credentials, version: int) -> Change:
        return replaced(TABLE, self._secret(user_id), CREDENTIALS, credentials, version)

    def removed(self, user: User, version: int) -> list[Change]:
        """Sessions of a user who is not there open nothing."""
        return [
            removed(TABLE, self._key, str(user.user_id), version),
            Delete(TABLE, _login(user.login or ""), "login"),
            Delete(TABLE, self._secret(user.user_id or 0), CREDENTIALS),
        ]

    def _secret(self, user_id: int) -> str:
        return pk(self._merchant_id, "user", user_id)


class Logins:
    """Whose a login is, among all merchants: the page asks for nothing else."""

    def __init__(self, port: TablePort) -> None:
        self._port = port

    def find(self, login: str) -> tuple[str, int] | None:
        """The merchant and the user's id. ``login`` in any case."""
        record = self._port.get(TABLE, _login(login), "login", consistent=True)
        return (str(record["merchant_id"]), int(record["user_id"])) if record else None


class Sessions:
    """Sessions of all merchants, found by the hash of what the browser holds."""

    def __init__(self, port: TablePort) -> None:
        self._port = port

    def find(self, session_hash: str) -> tuple[Session, Instant] | None:
        """The session, and when it was last seen."""
        record = self._port.get(SESSIONS, _session(session_hash), "session", consistent=True)
        return (noun_of(record, Session), _moment(int(record["seen"]))) if record else None

    def begun(self, session: Session, ends: Instant) -> Change:
        return Put(
            SESSIONS,
            {
                PK: _session(session.session_hash),
                SK: "session",
                DOCUMENT: text_of(session),
                "seen": int(session.created_dts.timestamp()),
                **kept_for(KEEP_DAYS, ends),
            },
            when=(Absent(),),
        )

    def seen(self, session_hash: str, now: Instant) -> Change:
        """One that was ended meanwhile does not begin again."""
        return Update(
            SESSIONS, _session(session_hash), "session", set={"seen": int(now.timestamp())}, when=(Present(),)
        )

    def ended(self, session_hash: str) -> Change:
        return Delete(SESSIONS, _session(session_hash), "session")


class Audit:
    """One merchant's audit: each entry among those of its month, and among those of the user that it is about, in the
    order in which they came. There is no way to change one."""

    def __init__(self, port: TablePort, merchant_id: str, word: Callable[[], str]) -> None:
        """``word`` tells apart what comes in one second; those that come later sort later."""
        self._port = port
        self._merchant_id = merchant_id
        self._word = word

    def added(self, entry: AuditEntry) -> list[Change]:
        sk, kept = f"{entry.audit_dts}#{self._word()}", kept_for(ACTIVITY_DAYS, entry.audit_dts)
        # Whoever signs in as nobody takes the same work as a user: a row among those of user 0.
        keys = [self._month(sk), *([] if entry.noun else [self._user(entry.user_id)])]
        return [Put(AUDIT, {PK: key, SK: sk, DOCUMENT: text_of(entry), **kept}, when=(Absent(),)) for key in keys]

    def of_day(self, moment: Instant) -> list[AuditEntry]:
        """Of that day (UTC), oldest first, a page at most."""
        day = str(moment)[:DAY]
        page = self._port.query(AUDIT, self._month(day), prefix=day, limit=MAXIMUM_PAGE, consistent=True)
        return [noun_of(record, AuditEntry) for record in page.records]

    def before(self, place: str, since: Instant, limit: int) -> list[tuple[str, AuditEntry]]:
        """The latest before that place (an instant, or the place of an entry) and not before ``since``, each with its
        place, newest first: one query, and one more for each month that begins on the way."""
        found: list[tuple[str, AuditEntry]] = []
        month = place[:MONTH]
        while len(found) < limit and month >= str(since)[:MONTH]:
            page = self._port.query(
                AUDIT,
                self._month(month),
                at_least=str(since),
                less_than=place,
                limit=min(MAXIMUM_PAGE, limit - len(found)),
                descending=True,
                consistent=True,
            )
            found += [(str(record[SK]), noun_of(record, AuditEntry)) for record in page.records]
            place = found[-1][0] if page.records else place
            month = month if page.cursor else _month_before(month)
        return found

    def of_user(self, user_id: int, since: Instant) -> list[AuditEntry]:
        """Of that user since then, newest first, a page at most."""
        key = self._user(user_id)
        page = self._port.query(AUDIT, key, at_least=str(since), limit=MAXIMUM_PAGE, descending=True, consistent=True)
        return [noun_of(record, AuditEntry) for record in page.records]

    def _user(self, user_id: int) -> str:
        return pk(self._merchant_id, "user", user_id)

    def _month(self, place: str) -> str:
        return pk(self._merchant_id, place[:MONTH])


def _month_before(month: str) -> str:
    year, number = (int(part) for part in month.split("-"))
    return f"{year:04d}-{number - 1:02d}" if number > 1 else f"{year - 1:04d}-12"


def _login(login: str) -> str:
    return pk("login", login_key(login))


def _session(session_hash: str) -> str:
    return pk("session", session_hash)


def _moment(epoch: int) -> Instant:
    return instant(datetime.fromtimestamp(epoch, UTC))
