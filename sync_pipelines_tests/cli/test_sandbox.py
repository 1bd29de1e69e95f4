import signal
import subprocess

import httpx

from sync_pipelines_tests.cli.commands import COMMAND


def test_the_sandbox_prints_the_settings_that_reach_it(clean_environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0", "--courses", "3"],
        env=clean_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    said = dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))
    answer = httpx.get(f"{said['WTL_API_URL']}/training/list", headers={"X-Auth-Token": said["WTL_API_TOKEN"]})
    assert len(answer.json()) == 3
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode in (0, 130)
