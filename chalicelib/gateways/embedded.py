"""How the embedded forms open their SQLite files.

The test clocks share the tables' file, which ``stores/sqlite.py`` opens: it says the same.
"""

import sqlite3
from pathlib import Path

# Another connection may hold the file for the length of one transaction; longer than this something is stuck.
BUSY_SECONDS = 10
# Pages of the write-ahead log after which a commit moves them into the file, which waits for the disk: 32 MB. SQLite's
# own figure, an eighth of it, is reached by twenty rebills.
CHECKPOINT_PAGES = 8000


def opened(path: str | Path, schema: str) -> sqlite3.Connection:
    """A connection for all threads of the process, without implicit transactions. What is committed survives a kill of
    the process; after a power cut the last moments may be missing (docs/decisions.md)."""
    db = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None, timeout=BUSY_SECONDS)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=normal")
    db.execute(f"pragma wal_autocheckpoint={CHECKPOINT_PAGES}")
    # What is deleted is written over where that writes no page more; the log keeps it for a while in any case.
    db.execute("pragma secure_delete=fast")
    db.executescript(schema)
    return db
