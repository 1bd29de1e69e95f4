"""Bakalari (Czech school information system)."""

from sync_pipelines.clients.bakalari.bulk import (
    BulkClass,
    BulkEnrollment,
    BulkSnapshot,
    BulkUser,
    read_bulk,
)
from sync_pipelines.clients.bakalari.client import AccountClient, SchoolClient
from sync_pipelines.clients.bakalari.public import PublicLists
from sync_pipelines.clients.bakalari.public_lessons import PublicLesson
from sync_pipelines.clients.bakalari.records import (
    Atom,
    Info,
    Item,
    Refused,
    Rows,
    Sheet,
    SheetStudent,
    Taught,
    Timetable,
    User,
)
from sync_pipelines.clients.bakalari.session import fingerprint
from sync_pipelines.clients.bakalari.vault import Account, Drawer, Kept, Tokens, TokenVault

__all__ = [
    "Account",
    "AccountClient",
    "Atom",
    "BulkClass",
    "BulkEnrollment",
    "BulkSnapshot",
    "BulkUser",
    "Drawer",
    "Info",
    "Item",
    "Kept",
    "PublicLesson",
    "PublicLists",
    "Refused",
    "Rows",
    "SchoolClient",
    "Sheet",
    "SheetStudent",
    "Taught",
    "Timetable",
    "TokenVault",
    "Tokens",
    "User",
    "fingerprint",
    "read_bulk",
]
