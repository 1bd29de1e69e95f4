"""A run's report as people read it: Markdown, with what to do next. No value of a record is in it."""

from collections.abc import Iterable, Sequence

from sync_pipelines.core import Difference, SyncReport
from sync_pipelines.log import redact

__all__ = ["run_report"]

_COUNTERS = {
    "read": "fetched",
    "created": "created",
    "updated": "updated",
    "unchanged": "skipped",
    "gone": "deleted",
    "restored": "restored",
    "refused": "failed",
    "requests": "requests",
    "repeated": "retries",
    "ms": "duration_ms",
}
_SHOWN_ERRORS = 5


def run_report(report: SyncReport) -> str:
    """The counters as a table, the first errors, what to do next, and the first of what changed."""
    return "\n\n".join([_headline(report), _counters(report), *_errors(report), *_next(report), *_changes(report)])


def _headline(report: SyncReport) -> str:
    of = f" of {_code(report.partition)}" if report.partition is not None else ""
    rows = f": {report.rows:,} rows in all" if report.rows is not None else ""
    return f"**{'Complete' if report.complete else 'Incomplete'}**{of}{rows}"


def _counters(report: SyncReport) -> str:
    """Those that are not 0, and always how much was read: an unchanged run has a narrow table."""
    counted = {title: getattr(report, name) for title, name in _COUNTERS.items()}
    shown = {title: str(count) for title, count in counted.items() if count or title == "read"}
    return _table(list(shown), [list(shown.values())])


def _errors(report: SyncReport) -> Iterable[str]:
    """The first refused records, and last what kept the run from being complete."""
    errors = list(report.errors)
    if len(errors) > _SHOWN_ERRORS:
        errors = [*errors[: _SHOWN_ERRORS - 1], errors[-1]]
    if errors:
        yield "\n".join(f"- {_code(redact(error))}" for error in errors)


def _next(report: SyncReport) -> Iterable[str]:
    said: list[str] = []
    if report.failed:
        said.append(
            "`sync-pipelines rejects list` shows what was refused, and why: a record is taken once it is good."
        )
    if not report.complete:
        gone = "" if report.deleted else ", and nothing was taken for gone"
        said.append(f"What was read is written{gone}. The next run reads it again.")
    if report.deleted:
        said.append("What is gone upstream is marked (`remote_deleted_at`), and stays with all that refers to it.")
    if said:
        yield "**Next**: " + " ".join(said)


def _changes(report: SyncReport) -> Iterable[str]:
    if not report.differences:
        return
    shown, changes = len(report.differences), report.created + report.updated + report.deleted
    yield f"**Changed**, the first {shown} of {changes}:" if changes > shown else "**Changed**:"
    yield _table(["key", "change", "fields"], map(_change, report.differences))


def _change(difference: Difference) -> list[str]:
    return [_code(difference.key.key), difference.change, ", ".join(map(_code, difference.fields))]


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(names), ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """Words of an upstream, as words: whatever they hold they make no link, no picture and no column."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return f"`{plain.replace('`', chr(39)).replace('|', '¦')}`"
