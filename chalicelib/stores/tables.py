"""Every table and index, once. PynamoDB models, the SQLite schema and CloudFormation are all made from this."""

import msgspec

PK = "pk"
SK = "sk"


class Index(msgspec.Struct, frozen=True):
    """A sparse, keys-only index: a record stands in it while it has both attributes."""

    name: str
    hash: str
    range: str


class Table(msgspec.Struct, frozen=True):
    """One kind of record. Hash key ``pk``, range key ``sk``, both texts, on demand.

    ``expires``: the attribute (epoch seconds) after which DynamoDB may sweep the record away. Only a broom: whoever
    reads such a record checks the time itself.
    """

    name: str
    holds: str
    indexes: tuple[Index, ...] = ()
    expires: str = ""


# What waits carries these two attributes and stands in this index; nothing waits, nothing is read.
BY_DUE = Index(name="by_due", hash="due_shard", range="due_key")

# When a record may be swept away, where its table has a broom: epoch seconds.
EXPIRES = "expires"

TABLES = (
    Table("configuration", "settings sections, keys, items, coupons, webhook endpoints"),
    Table("customers", "customer profiles and their unique e-mail addresses"),
    Table("auto_orders", "heads, documents, attempts and logs of auto orders", indexes=(BY_DUE,)),
    Table("orders", "orders, the heads of unpaid ones, and their attempts", indexes=(BY_DUE,)),
    Table("ledgers", "points, gift certificates and store credit, with their holds", indexes=(BY_DUE,)),
    Table("events", "the outbox: what happened, until everybody is told", indexes=(BY_DUE,), expires=EXPIRES),
    Table("deliveries", "webhook deliveries, mails and their logs", indexes=(BY_DUE,), expires=EXPIRES),
    Table("documents", "jobs, result sets, card tokens, counters of limits", indexes=(BY_DUE,), expires=EXPIRES),
    Table("lists", "list rows and indexed shapes that searches read; day totals"),
    Table("vault", "card numbers under envelope encryption, apart from everything"),
    Table("audit", "who did what; only ever added to", expires=EXPIRES),
)
BY_NAME = {table.name: table for table in TABLES}

# Spread of the due index. A constant that can grow: readers ask every shard, writers hash into this many.
DUE_SHARDS = 16
