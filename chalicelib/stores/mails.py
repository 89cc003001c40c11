"""Mails as they are kept: a row each, under the noun that they are about, due while somebody must still look."""

from chalicelib.domain.mails import SentMail, waiting_name
from chalicelib.stores.port import Change, Cursor, Record, TablePort
from chalicelib.stores.records import Versioned, due_attributes, inserted, kept_for, noun_of, pk, replaced, versioned

TABLE = "deliveries"
# Mails about one noun that are read together: a weekly auto order of 20 years, each rebill declined once.
MAXIMUM_MAILS = 1000
# Whether a customer was told of a charge is asked until the last card network's dispute is over (540 days).
KEEP_DAYS = 600


class Mails:
    """One merchant's mails."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def planned(self, mail: SentMail) -> Change:
        """A new mail; refused where the same notice has planned it before."""
        return inserted(TABLE, self._key(mail.about), mail.mail_id, mail, **self._due(mail))

    def find(self, subject: str, mail_id: str) -> Versioned[SentMail] | None:
        """The mail about ``subject`` (``auto_order#123``) as it stands."""
        return versioned(self._port.get(TABLE, self._key(subject), mail_id, consistent=True), SentMail)

    def tried(self, mail: SentMail, version: int) -> Change:
        """The mail after a claim, a try or a decision; refused where anybody has moved it since."""
        return replaced(TABLE, self._key(mail.about), mail.mail_id, mail, version, **self._due(mail))

    def of(self, subject: str) -> list[SentMail]:
        """The mails about ``subject``, oldest first."""
        found: list[SentMail] = []
        cursor: Cursor | None = None
        while len(found) < MAXIMUM_MAILS:
            page = self._port.query(TABLE, self._key(subject), limit=MAXIMUM_MAILS - len(found), cursor=cursor)
            found += [noun_of(record, SentMail) for record in page.records]
            cursor = page.cursor
            if cursor is None:
                break
        return sorted(found, key=lambda mail: (mail.created_dts, mail.mail_id))

    def _key(self, subject: str) -> str:
        return pk(self._merchant_id, "mail", subject)

    def _due(self, mail: SentMail) -> Record:
        """Its place among what waits; once it waits no more, how long it is kept."""
        if mail.state in ("planned", "sending"):
            return due_attributes(mail.next_dts, self._merchant_id, waiting_name(mail))
        return kept_for(KEEP_DAYS, mail.created_dts)
