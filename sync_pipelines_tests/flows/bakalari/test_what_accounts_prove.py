"""The tables hold what the accounts that were asked prove, never more; and nothing vanishes for lack of them."""

from __future__ import annotations

import random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sync_pipelines.sandbox.bakalari import School
from sync_pipelines_tests.flows.bakalari.known import Known, lists_of, published, seen_by
from sync_pipelines_tests.flows.bakalari.town import Town

_schools = st.builds(
    lambda seed, classes, students, teachers, pages: _school(seed, classes, students, teachers, pages),
    seed=st.integers(0, 10_000),
    classes=st.integers(1, 3),
    students=st.integers(1, 9),
    teachers=st.integers(1, 4),
    pages=st.sampled_from(["rendered", "embedded", "none"]),
)


def _school(seed: int, classes: int, students: int, teachers: int, pages: str) -> School:
    school = School.invented("s", classes=classes, students=students, teachers=teachers, seed=seed)
    school.pages = pages  # type: ignore[assignment]
    # A few units are enough, and each is a request.
    school.atoms = random.Random(seed).sample(school.atoms, min(len(school.atoms), 8))
    return school


def _change(school: School, rng: random.Random) -> None:
    """What happens at a school between two readings."""
    for _ in range(rng.randint(0, 3)):
        what = rng.choice(["leaves", "moves", "drops", "joins", "is released", "ends", "closes", "retires"])
        atom = rng.choice(school.atoms) if school.atoms else None
        pupil = rng.choice(school.pupils) if school.pupils else None
        if what == "leaves" and pupil and len(school.pupils) > 1:
            school.remove_pupil(pupil.code)
        elif what == "moves" and pupil:
            pupil.class_id = rng.choice(school.classes).id
        elif what == "drops" and atom and atom.pupils:
            atom.pupils.remove(rng.choice(atom.pupils))
        elif what == "joins" and atom and pupil and pupil.code not in atom.pupils:
            atom.pupils.append(pupil.code)
        elif what == "is released" and atom and atom.pupils:
            atom.released ^= {rng.choice(atom.pupils)}
        elif what == "ends" and atom:
            school.atoms.remove(atom)
        elif what == "closes":
            used = {p.class_id for p in school.pupils} | {a.class_id for a in school.atoms}
            school.classes = [c for c in school.classes if c.id in used] or school.classes[:1]
        elif what == "retires" and len(school.teachers) > 1:
            used = {a.teacher_id for a in school.atoms} | {school.accounts["spravce"].person}
            school.teachers = [t for t in school.teachers if t.id in used]


# A reading is seconds of work: what fails is not made smaller for minutes.
@settings(max_examples=15, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(school=_schools, data=st.data())
def test_the_tables_are_what_the_accounts_prove_whatever_happens_at_the_school(
    town: Town, school: School, data: st.DataObject
) -> None:
    town.open(school)
    known = Known()
    rng = data.draw(st.randoms(use_true_random=False), label="what happens")
    for _ in range(data.draw(st.integers(1, 4), label="readings")):
        usernames = sorted(school.accounts)
        chosen = data.draw(st.lists(st.sampled_from(usernames), max_size=6, unique=True), label="accounts")
        asked = chosen or usernames[:1]
        bad = data.draw(st.sets(st.sampled_from(asked)), label="who may not log in")
        town.accounts["s"] = asked
        town.passwords = dict.fromkeys(bad, "wrong")
        town.vouched = {"spravce"} if data.draw(st.booleans(), label="vouched for") else set()
        for username in asked:
            school.accounts[username].failed_logins = 0
        # Who has tokens of an earlier reading needs no password.
        good = [school.accounts[name] for name in asked if name not in bad or _has_tokens(town, name)]
        done = town.run(allow_mass_vanish=True)["s"]

        seen = set().union(*(seen_by(school, account) for account in good))
        if school.pages != "none":
            seen |= published(school)
        if not good and school.pages == "none":
            assert done.bad is not None
        else:
            assert done.bad is None, done.error
            known.read(seen, lists_of(school, good, town.vouched))
        assert town.held("s") == known.there
        assert {user: c for user, c in town.class_of("s").items() if ("user", "student", user) in seen} == {
            p.code: p.class_id for p in school.pupils if ("user", "student", p.code) in seen
        }
        assert all(town.class_of("s")[user] == c for user, _, c in town.enrolled("s"))
        before = town.everything()
        town.run(allow_mass_vanish=True)
        assert town.everything() == before, "a second run changed something"
        _change(school, rng)


def _has_tokens(town: Town, username: str) -> bool:
    return bool(town.query("SELECT 1 FROM sync.upstream_tokens WHERE account = :a AND state = 'ok'", a=username))
