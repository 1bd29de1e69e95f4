"""The budget against platforms that count in any way contracts/wtl.md A11 leaves open, in simulated time."""

import random
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines_tests.clients.in_time import Caller, Counted, Platform, Time, latency

IN_FLIGHT = 8
MIDNIGHT = 1_795_219_200.0
PLENTY = 10**6

# A minute or an hour of the clock; one that began at some other time; the last sixty seconds or minutes.
Kind = tuple[bool, float]
BY_THE_CLOCK = (False, 0.0)
kinds = st.sampled_from([BY_THE_CLOCK, (False, 17.3), (False, 2222.2), (True, 0.0)])
clocks = st.floats(0, 7200).map(lambda seconds: MIDNIGHT + seconds)
limits = st.integers(IN_FLIGHT, 40) | st.integers(40, 1000)
latencies = st.floats(0.01, 4)
in_flights = st.lists(st.integers(1, 5), min_size=1, max_size=3).filter(lambda each: sum(each) <= IN_FLIGHT + 1)
seeds = st.integers(0, 10**9)


@dataclass
class World:
    """A platform and callers with one budget."""

    minute: int
    hour: int = PLENTY
    minute_kind: Kind = BY_THE_CLOCK
    hour_kind: Kind = BY_THE_CLOCK
    clock: float = MIDNIGHT
    mean_latency: float = 0.2
    seed: int = 0
    in_flight: int = IN_FLIGHT
    callers: list[Caller] = field(default_factory=list[Caller])

    def __post_init__(self) -> None:
        random.seed(self.seed)
        self.rng = random.Random(self.seed)
        self.time = Time()
        self.platform = Platform(
            self.time,
            Counted(self.minute, 60, *self.minute_kind),
            Counted(self.hour, 3600, *self.hour_kind),
            self.clock,
        )
        self.budget = RateBudget(
            in_flight=self.in_flight, clock=lambda: self.time.now, wall=lambda: MIDNIGHT + self.time.now
        )

    def caller(self, requests: int, in_flight: int = 5, keep: float = 0.0, at: float = 0.0) -> Caller:
        seconds = latency(self.rng, self.mean_latency)
        caller = Caller(self.time, self.platform, self.budget, requests, in_flight, seconds, keep)
        caller.start(at)
        self.callers.append(caller)
        return caller

    def others(self, rate: float, until: float) -> None:
        """Someone else asks, `rate` times a second on average."""
        times, at = list[float](), 0.0
        while rate and at < until:
            at += self.rng.expovariate(rate)
            times.append(at)
        self.platform.someone_else_asks(times)

    @property
    def under_way(self) -> int:
        return sum(caller.under_way for caller in self.callers)


@given(limits, kinds, clocks, latencies, in_flights, seeds, st.booleans())
@settings(max_examples=60)
def test_nobody_is_refused_who_is_alone(
    limit: int, kind: Kind, clock: float, mean: float, in_flights: list[int], seed: int, says_date: bool
) -> None:
    world = World(limit, minute_kind=kind, clock=clock, mean_latency=mean, seed=seed)
    world.platform.says_date = says_date
    for in_flight in in_flights:
        world.caller(min(3 * limit, 400) // len(in_flights), in_flight)
    world.time.run()
    assert world.platform.refused == []
    assert not any(caller.requests or caller.limited for caller in world.callers)


@given(st.integers(IN_FLIGHT, 600), clocks, latencies, in_flights, seeds)
@settings(max_examples=40)
def test_an_hour_is_used_up_and_not_beyond_and_its_end_is_known(
    limit: int, clock: float, mean: float, in_flights: list[int], seed: int
) -> None:
    world = World(PLENTY, limit, clock=clock, mean_latency=mean, seed=seed)
    for in_flight in in_flights:
        world.caller(3 * limit, in_flight)
    world.time.run()
    hours = world.platform.by(3600, world.platform.arrived)
    assert world.platform.refused == []
    assert max(hours.values()) <= limit
    for caller in world.callers:
        at, limited = caller.limited[0]
        assert limited.retry_after is not None
        hour, seconds_late = divmod(clock + at + limited.retry_after, 3600)
        assert seconds_late < 2 + 2 * mean
        assert hours[int(hour) - 1] > limit - IN_FLIGHT


@given(st.integers(100, 600), st.floats(0.01, 0.9), clocks, latencies, seeds)
@settings(max_examples=40)
def test_a_caller_that_keeps_a_share_of_the_hour_leaves_it_and_no_more_to_the_others(
    limit: int, keep: float, clock: float, mean: float, seed: int
) -> None:
    world = World(PLENTY, limit, clock=clock % 1800 + MIDNIGHT, mean_latency=mean, seed=seed)
    modest = world.caller(2 * limit, keep=keep)
    world.time.run()
    assert len(modest.limited) == 1
    left = limit - len(world.platform.arrived)
    assert round(keep * limit) <= left < round(keep * limit) + IN_FLIGHT
    other = world.caller(left, at=0)
    world.time.run()
    assert len(other.sent) > left - IN_FLIGHT
    assert world.platform.refused == []


@given(st.integers(30, 300), kinds, clocks, latencies, in_flights, seeds)
@settings(max_examples=40)
def test_after_the_hour_all_goes_on_and_one_request_an_hour_finds_out_whether_it_may(
    limit: int, kind: Kind, clock: float, mean: float, in_flights: list[int], seed: int
) -> None:
    world = World(PLENTY, limit, hour_kind=kind, clock=clock, mean_latency=mean, seed=seed)
    for in_flight in in_flights:
        world.caller(2 * limit, in_flight)
    for _ in range(20):
        world.time.run()
        if not any(caller.requests for caller in world.callers):
            break
        goes_on = max(at + (error.retry_after or 0) for caller in world.callers for at, error in caller.limited)
        for caller in world.callers:
            caller.limited.clear()
            caller.start(goes_on - world.time.now)
    assert not any(caller.requests for caller in world.callers)
    hours = world.platform.shown // 3600 - clock // 3600
    assert len(world.platform.refused) <= (0 if kind == BY_THE_CLOCK else hours)


@given(st.integers(IN_FLIGHT, 600), st.floats(0.1, 2), clocks, latencies, in_flights, seeds)
@settings(max_examples=60)
def test_beside_others_no_more_is_under_way_than_the_platform_said_is_left(
    limit: int, greed: float, clock: float, mean: float, in_flights: list[int], seed: int
) -> None:
    world = World(limit, clock=clock, mean_latency=mean, seed=seed)
    world.others(greed * limit / 60, until=400)
    told: dict[int, int] = {}
    left_and_under_way: list[tuple[int, int]] = []

    def note_heard(said: dict[str, str]) -> None:
        minute = int(float(said["counted"]) // 60)
        told[minute] = min(told.get(minute, PLENTY), int(said["x-ratelimit-remaining-minute"]))

    def note_sent() -> None:
        left = told.get(int(world.platform.shown // 60), PLENTY)
        left_and_under_way.append((left, world.under_way))

    for in_flight in in_flights:
        caller = world.caller(min(3 * limit, 400) // len(in_flights), in_flight)
        caller.on_heard, caller.before_sent = note_heard, note_sent
    world.time.run()
    assert all(under_way < left for left, under_way in left_and_under_way)
    assert max(world.platform.by(60, world.platform.refused).values(), default=0) <= IN_FLIGHT
    assert not any(caller.requests or caller.limited for caller in world.callers)


@given(st.integers(60, 400), kinds, clocks, st.floats(0.01, 1), seeds)
@example(95, (True, 0.0), MIDNIGHT + 1, 0.5, 0)
@example(109, (True, 0.0), MIDNIGHT + 1907.4118361473083, 0.29125019012097464, 0)
@settings(max_examples=50)
def test_waiting_costs_little_more_than_the_limit_does(
    limit: int, kind: Kind, clock: float, mean: float, seed: int
) -> None:
    requests = 5 * limit
    world = World(limit, minute_kind=kind, clock=clock, mean_latency=mean, seed=seed)
    caller = world.caller(requests, in_flight=IN_FLIGHT)
    world.time.run()
    least = max(requests / limit * 60, requests * mean / IN_FLIGHT)
    assert caller.ended_at < 1.35 * least + 60


@given(kinds, clocks, seeds)
@settings(max_examples=20)
def test_a_thousand_requests_at_the_usual_limit_take_less_than_five_minutes(
    kind: Kind, clock: float, seed: int
) -> None:
    world = World(360, 3600, minute_kind=kind, clock=clock % 1800 + MIDNIGHT, seed=seed)
    caller = world.caller(1000)
    world.time.run()
    assert not caller.requests
    assert caller.ended_at < 285


@given(st.integers(1, 50), kinds, clocks, latencies, st.integers(1, IN_FLIGHT), seeds)
def test_a_small_sync_waits_not_at_all(
    requests: int, kind: Kind, clock: float, mean: float, in_flight: int, seed: int
) -> None:
    world = World(360, 3600, minute_kind=kind, clock=clock, mean_latency=mean, seed=seed)
    caller = world.caller(requests, in_flight)
    world.time.run()
    assert (caller.waits, len(caller.sent)) == ([], requests)


@given(st.integers(1, 1000), latencies, st.integers(1, IN_FLIGHT), seeds)
@settings(max_examples=30)
def test_a_platform_that_says_nothing_of_limits_is_not_paced(
    requests: int, mean: float, in_flight: int, seed: int
) -> None:
    world = World(PLENTY, mean_latency=mean, seed=seed)
    world.platform.says_limits = False
    caller = world.caller(requests, in_flight)
    world.time.run()
    assert (caller.waits, len(caller.sent)) == ([], requests)


@given(st.floats(0.5, 20), st.floats(0.1, 60), latencies, in_flights, seeds)
@settings(max_examples=30)
def test_while_the_platform_asked_for_a_pause_nobody_sends(
    at: float, seconds: float, mean: float, in_flights: list[int], seed: int
) -> None:
    world = World(PLENTY, mean_latency=mean, seed=seed)
    for in_flight in in_flights:
        world.caller(200, in_flight)
    world.time.after(at, lambda: world.budget.pause(seconds))
    world.time.run()
    sent = [time for caller in world.callers for time in caller.sent]
    assert len(sent) == 200 * len(in_flights)
    assert not any(at < time < at + seconds for time in sent)


@given(st.integers(1, 30), latencies, st.lists(st.integers(1, 8), min_size=1, max_size=4), seeds)
@settings(max_examples=30)
def test_never_are_more_under_way_than_one_budget_allows(
    in_flight: int, mean: float, in_flights: list[int], seed: int
) -> None:
    world = World(PLENTY, mean_latency=mean, seed=seed, in_flight=in_flight)
    most: list[int] = []
    for each in in_flights:
        world.caller(20, each).before_sent = lambda: most.append(world.under_way + 1)
    world.time.run()
    assert max(most) == min(in_flight, sum(in_flights))
    assert world.under_way == 0
