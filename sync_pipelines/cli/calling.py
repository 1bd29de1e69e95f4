"""Asks the service for a sync, over HTTP, and follows the run to its end; again only where that may help.

It knows the trigger API and nothing else of the project, so that it starts at once.
"""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from sync_pipelines.log import redact

__all__ = ["Asking", "Caller", "Outcome", "plain"]

_BACKOFF_SECONDS: Final = (2.0, 30.0)
#: A service that asks for a longer wait is asked again after that all the same.
_LONGEST_PAUSE_SECONDS: Final = 60.0
_LOOK_EVERY_SECONDS: Final = (1.0, 5.0)
_REFUSED: Final = 2
_RUN_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
_LONGEST_TEXT: Final = 300


@dataclass(frozen=True)
class Asking:
    """What to ask for, and how long to wait: `wait` seconds within a request, `timeout` seconds in all."""

    upstream: str
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    wait: int = 60
    timeout: float = 900
    attempts: int = 3


@dataclass
class Outcome:
    """What became of it. `run` is as the service last said it; `status` is the exit status."""

    request_id: str
    message: str = ""
    status: int = 1
    attempts: int = 0
    run_id: str | None = None
    run: Mapping[str, Any] = field(default_factory=dict[str, Any])
    joined: bool = False


class _GaveUp(Exception):
    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Answer:
    """What was answered; `said` is empty where that is no JSON object."""

    status: int
    said: Mapping[str, Any]
    retry_after: float | None
    kind: str
    moved_to: str

    @property
    def run_id(self) -> str | None:
        given = self.said.get("runId")
        return given if isinstance(given, str) and _RUN_ID.fullmatch(given) else None

    @property
    def may_pass(self) -> bool:
        return self.status in (408, 425, 429) or self.status >= 500

    @property
    def detail(self) -> str:
        wrong = self.said.get("errors")
        each = [f"{e.get('field')}: {e.get('reason')}" for e in wrong or () if isinstance(e, dict)]
        return plain(" ".join([str(self.said.get("detail") or self.kind), *each]))


class Caller:
    """Calls the service with a client that has its address and the token. `note` hears what is done."""

    def __init__(
        self,
        client: httpx.Client,
        note: Callable[[str], None] = lambda _: None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client, self._note = client, note
        self._sleep, self._clock, self._chance = sleep, clock, chance
        self.outcome = Outcome(uuid.uuid4().hex)
        self._until = 0.0

    def sync(self, asking: Asking) -> Outcome:
        """Ask, and follow the run. Whoever is interrupted finds in `outcome` how far it was."""
        outcome, self._until = self.outcome, self._clock() + asking.timeout
        try:
            answer = self._asked(asking)
            outcome.run_id, outcome.run, outcome.joined = answer.run_id, answer.said, answer.status == 409
            if answer.status in (202, 409):
                outcome.run = self._followed(outcome.run_id or "")
            outcome.status = 0 if outcome.run.get("success") is True else 1
            outcome.message = f"{asking.upstream}: {_told(outcome)}"
        except _GaveUp as error:
            outcome.status, outcome.message = error.status, f"{asking.upstream}: {error}"
        return outcome

    def _asked(self, asking: Asking) -> _Answer:
        """The answer that names a run."""
        path = f"/api/sync/{asking.upstream}"
        wait = min(asking.wait, int(asking.timeout))
        while True:
            self.outcome.attempts += 1
            last = self.outcome.attempts >= asking.attempts
            answer, why = self._request("POST", path, params={"wait": wait}, json=dict(asking.body), longest=wait)
            if answer is not None and answer.run_id and answer.status in (200, 202, 409, 500):
                return answer
            if answer is not None and not answer.may_pass:
                raise self._refusal(answer)
            if last:
                tried = f" ({asking.attempts} attempts)" if asking.attempts > 1 else ""
                raise _GaveUp(why + tried)
            self._pause(self.outcome.attempts, answer, why)

    def _followed(self, run_id: str) -> Mapping[str, Any]:
        """The run once it has ended. While the service does not answer, the run goes on: it is asked again."""
        failures, pause = 0, _LOOK_EVERY_SECONDS[0]
        while True:
            self._wait(pause, f"run {run_id} has not ended in time: it goes on")
            answer, why = self._request("GET", f"/api/sync/runs/{run_id}")
            if answer is None or answer.may_pass:
                failures += 1
                self._pause(failures, answer, why)
                continue
            if answer.status != 200 or answer.run_id != run_id:
                raise self._refusal(answer)
            self.outcome.run = answer.said
            if answer.said.get("success") is not None:
                return answer.said
            failures, pause = 0, min(2 * pause, _LOOK_EVERY_SECONDS[1])

    def _request(
        self, method: str, path: str, *, longest: float = 0, **options: Any
    ) -> tuple[_Answer | None, str]:
        """What was answered, and what is wrong with it; no answer where the service was not reached."""
        self._note(f"{method} {str(self._client.base_url).rstrip('/')}{path}, request {self.outcome.request_id}")
        began = self._clock()
        headers = {"X-Request-ID": self.outcome.request_id}
        timeout = httpx.Timeout(10, read=longest + 30)
        try:
            response = self._client.request(method, path, headers=headers, timeout=timeout, **options)
        except httpx.TimeoutException:
            why = f"{self._client.base_url.host} did not answer in time"
        except httpx.HTTPError as error:
            why = f"{self._client.base_url.host} cannot be reached: {plain(str(error)) or type(error).__name__}"
        else:
            answer = _read(response)
            self._note(f"{answer.status} after {self._clock() - began:.1f} s")
            return answer, f"the service answered {answer.status}: {answer.detail}"
        self._note(f"{why}, after {self._clock() - began:.1f} s")
        return None, why

    def _refusal(self, answer: _Answer) -> _GaveUp:
        status, host = answer.status, self._client.base_url.host
        if 300 <= status < 400:
            to = urlsplit(answer.moved_to)
            there = plain(f"{to.scheme}://{to.netloc}")
            return _GaveUp(f"{host} redirects to {there}: put the service's own address into APP_URL", _REFUSED)
        if not answer.said or status < 300:
            said = f"{host} answered {status} with what is not the service's ({answer.kind}): see APP_URL"
            return _GaveUp(said, _REFUSED)
        if status == 401:
            return _GaveUp(f"OPERATOR_TOKEN is refused: {answer.detail}", _REFUSED)
        if status == 403:
            return _GaveUp(f"OPERATOR_TOKEN may not do this: {answer.detail}", _REFUSED)
        told = f"the service answered {status}: {answer.detail}"
        return _GaveUp(told, _REFUSED if 400 <= status < 500 and not self.outcome.run_id else 1)

    def _pause(self, failures: int, answer: _Answer | None, why: str) -> None:
        """As long as the service asks for, within bounds; else longer each time, and not as long as others do."""
        first, longest = _BACKOFF_SECONDS
        pause = min(first * 2 ** min(failures - 1, 10), longest) * (0.5 + self._chance() / 2)
        if answer is not None and answer.retry_after is not None:
            pause = min(answer.retry_after, _LONGEST_PAUSE_SECONDS)
        self._note(f"{why}: again after {pause:.1f} s")
        self._wait(pause, why)

    def _wait(self, seconds: float, otherwise: str) -> None:
        if self._clock() + seconds > self._until:
            raise _GaveUp(otherwise)
        self._sleep(seconds)


def _read(response: httpx.Response) -> _Answer:
    kind = plain(response.headers.get("content-type", "").partition(";")[0]) or "nothing"
    try:
        said = response.json() if kind == "application/json" else None
    except ValueError:
        said = None
    after = response.headers.get("retry-after", "")
    return _Answer(
        response.status_code,
        said if isinstance(said, dict) else {},
        float(after) if re.fullmatch(r"[0-9]{1,9}", after, re.ASCII) else None,
        kind,
        str(response.url.join(response.headers.get("location", ""))) if response.is_redirect else "",
    )


def _told(outcome: Outcome) -> str:
    run, verb = outcome.run, plain(str(outcome.run.get("status") or "failed"))
    joined = "a sync was under way already, and " if outcome.joined else ""
    took = run.get("durationMs")
    after = f" {'in' if outcome.status == 0 else 'after'} {took / 1000:.1f} s" if isinstance(took, int) else ""
    what = _changes(run.get("result")) if outcome.status == 0 else _errors(run.get("errors"))
    return f"{joined}{verb}{after}: {what}, run {outcome.run_id}"


def _changes(result: Any) -> str:
    """{"usersCreated": 15} as "users: 15 created"; what is as it was is left out."""
    counted: dict[str, list[str]] = {}
    for name, count in result.items() if isinstance(result, dict) else ():
        found = re.fullmatch(r"([A-Za-z]+?)(Created|Updated|Deleted|Restored|Failed)", name, re.ASCII)
        if found and isinstance(count, int) and count:
            noun = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found[1]).lower()
            counted.setdefault(noun, []).append(f"{count} {found[2].lower()}")
    return "; ".join(f"{noun}: {', '.join(each)}" for noun, each in counted.items()) or "nothing changed"


def _errors(errors: Any) -> str:
    """{"code": "source_unavailable", "stream": "bakalari/roster", "count": 3}, and others, as words."""
    each = [
        f"{e.get('code')}" + (f" in {e['stream']}" if e.get("stream") else "") + f" ({e.get('count', 1)})"
        for e in errors or ()
        if isinstance(e, dict)
    ]
    return plain("; ".join(each)) or "Dagster's page of the run says why"


def plain(text: str) -> str:
    """What somebody else said, as one line for a terminal: short, and with nothing that moves its cursor."""
    line = " ".join("".join(c if c.isprintable() else " " for c in redact(text)).split())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…"
