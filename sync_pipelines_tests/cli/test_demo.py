import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from sync_pipelines_tests.cli.commands import COMMAND, Run, one_clear_line, result

SCHOOLS = ("roster", "schools", "classes", "subjects", "users", "enrollments")


def test_the_demo_once_syncs_everything_and_again_changes_nothing(cli: Run) -> None:
    first, second = cli("demo", "--once", "--json"), cli("demo", "--once", "--json")
    for done, changed in ((first, True), (second, False)):
        assert done.returncode == 0, done
        said = result(done)
        assert said["success"] is True
        streams = Counter(flow["stream"] for flow in said["flows"])
        assert streams == {
            "wtl/courses": 1,
            "wtl/lesson_catalog": 1,
            "wtl/users": 1,
            "wtl/lessons": 24,
            "wtl/course_users": 24,
            **{f"bakalari/{name}": 2 for name in SCHOOLS},
            **{f"progress/{name}": 1 for name in ("imports", "lesson_progress", "course_summary")},
        }
        for flow in said["flows"]:
            assert flow["complete"] is True
            # This platform shows no course's lessons.
            is_elsewhere = flow["stream"] == "bakalari/schools"  # behind another port than the last time
            assert flow["created" if changed else "updated" if is_elsewhere else "skipped"] == flow["fetched"]
            nothing_new = {"wtl/lessons", *(() if changed else ("progress/imports", "progress/lesson_progress"))}
            assert (flow["fetched"] > 0) is (flow["stream"] not in nothing_new)
            assert flow["failed"] == 0


def graphql(url: str, query: str) -> dict[str, Any]:
    return httpx.post(f"{url}/graphql", json={"query": query}, timeout=60).json()["data"]


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_the_demo_shows_a_succeeded_run_and_a_running_schedule_and_leaves_nothing_behind(
    clean_environment: dict[str, str], tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [*COMMAND, "demo", "--courses", "3"], env=clean_environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = next(line.split()[-1] for line in process.stdout if "Dagster UI" in line)
    runs = graphql(url, "{runsOrError{... on Runs{results{status jobName}}}}")
    # The newest come first, and a tick of the schedule may have come meanwhile.
    assert runs["runsOrError"]["results"][-1] == {"status": "SUCCESS", "jobName": "wtl_sync"}
    for name in ("wtl_courses_sync", "bakalari_sync"):
        assert {"status": "SUCCESS", "jobName": name} in runs["runsOrError"]["results"]
    schedules = graphql(
        url,
        '{schedulesOrError(repositorySelector:{repositoryName:"__repository__",'
        'repositoryLocationName:"sync_pipelines"}){... on Schedules{results{name scheduleState{status}}}}}',
    )
    assert {s["name"]: s["scheduleState"]["status"] for s in schedules["schedulesOrError"]["results"]} == {
        "bakalari_school_hours": "STOPPED",
        "bakalari_sync_schedule": "RUNNING",
        "health_sync_schedule": "RUNNING",
        "housekeeping_schedule": "RUNNING",
        "progress_sync_schedule": "RUNNING",
        "wtl_courses_sync_schedule": "RUNNING",
        "wtl_sync_schedule": "RUNNING",
    }
    service = next(line.split()[1] for line in process.stdout if "Learners" in line)
    token = next(line.split()[-1] for line in process.stdout if "token of learner" in line)
    headers = {"Authorization": f"Bearer {token}"}
    progress = httpx.get(service.replace("/progress/", "/api/v1/learning/progress/"), headers=headers, timeout=60)
    assert {row["seen"] for row in progress.json()} == {True}
    second = subprocess.run([*COMMAND, "demo"], env=clean_environment, capture_output=True, text=True, check=False)
    assert "a demo is running" in one_clear_line(second, 2)
    started = descendants(process)
    assert started
    postmaster = int((tmp_path / "home" / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0
    left = [p for p in started if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert left == []
    assert not psutil.pid_exists(postmaster) or psutil.Process(postmaster).status() == psutil.STATUS_ZOMBIE
