"""Links that customers ask for by mail: how often somebody may ask, and the mails on their way.

Whoever asks is answered alike, whether there is anything to be mailed or not.
"""

from collections.abc import Sequence

from chalicelib.domain.errors import Refused
from chalicelib.domain.mails import SentMail, waiting_name
from chalicelib.flows.ports import Shop
from chalicelib.flows.sweep import DELIVER_QUEUE

# Who looks for the right address or order id tries a few; a mailbox is not to be filled by strangers.
ADDRESS_ASKS, ADDRESS_SECONDS = 10, 600
MAILBOX_ASKS, MAILBOX_SECONDS = 3, 24 * 3600


def count_asker(shop: Shop, what: str, address: str) -> None:
    """One question from a network address. Raises TooMany."""
    shop.limits.take(f"{what}#address#{address}", ADDRESS_ASKS, ADDRESS_SECONDS, shop.clock.now())


def count_mailbox(shop: Shop, what: str, mailbox: str) -> None:
    """One mail to whom the name stands for (``email#…``, ``order#…``), if it stands for anybody. Raises TooMany."""
    shop.limits.take(f"{what}#{mailbox}", MAILBOX_ASKS, MAILBOX_SECONDS, shop.clock.now())


def send(shop: Shop, mails: Sequence[SentMail]) -> None:
    """Plan the mails and let them be written; what was planned before stays as it is."""
    planned = []
    for mail in mails:
        try:
            shop.write(shop.mails.planned(mail))
        except Refused:
            continue
        planned.append({"merchant_id": shop.merchant_id, "subject": waiting_name(mail)})
    if planned:
        shop.queue.send(DELIVER_QUEUE, planned)
