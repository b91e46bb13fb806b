from __future__ import annotations

import shutil
import subprocess

import pytest

from host import cron

TIMES = [
    ("0 3 * * *", ["*-*-* 3:0:00"]),
    ("  0   3 * *  * ", ["*-*-* 3:0:00"]),
    ("*/20 8-18/5 * * mon-fri", ["Mon,Tue,Wed,Thu,Fri *-*-* 8,13,18:0,20,40:00"]),
    ("5,10 4 1 jan,FEB *", ["*-1,2-1 4:5,10:00"]),
    ("0 0 * * 0,7", ["Sun *-*-* 0:0:00"]),
    ("0 0 * * 6,0,1", ["Mon,Sat,Sun *-*-* 0:0:00"]),
    ("@Weekly", ["Sun *-*-* 0:0:00"]),
    ("@hourly", ["*-*-* *:0:00"]),
    ("*-*-* 03:00", ["*-*-* 03:00"]),
    ("Mon..Fri *-*-* 09:00 UTC", ["Mon..Fri *-*-* 09:00 UTC"]),
    ("Mon *-*-* 09:00 Europe/Berlin", ["Mon *-*-* 09:00 Europe/Berlin"]),
    ("*:*:0/5", ["*:*:0/5"]),
]


@pytest.mark.parametrize(("schedule", "values"), TIMES)
def test_a_schedule_is_converted_to_values_of_a_timer(schedule: str, values: list[str]):
    assert cron.calendar(schedule) == values


@pytest.mark.parametrize("schedule", [schedule for schedule, _ in TIMES])
def test_systemd_accepts_the_converted_schedules(schedule: str):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    for value in cron.calendar(schedule):
        result = subprocess.run(["systemd-analyze", "calendar", value], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr


def test_if_both_days_are_restricted_one_of_them_must_match_as_in_cron():
    assert cron.calendar("0 0 13 * 5") == ["*-*-13 0:0:00", "Fri *-*-* 0:0:00"]


def test_if_one_of_the_days_begins_with_a_star_both_must_match_as_in_cron():
    assert cron.calendar("0 0 */10 * 5") == ["Fri *-*-1,11,21,31 0:0:00"]


@pytest.mark.parametrize(
    "schedule",
    ["", "daily", "@never", "* * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 * 13 *", "0 0 * * 8", "a * * * *",
     "*/0 * * * *", "5/10 * * * *", "9-3 * * * *", "1- * * * *", "1,,2 * * * *", "0 0 * * mon-xyz", "03:00\nUser=root"],
)  # fmt: skip
def test_an_invalid_schedule_is_refused_with_the_rule(schedule: str):
    with pytest.raises(ValueError, match="five fields of cron"):
        cron.calendar(schedule)


def test_an_app_json_may_have_cron_entries_and_anything_else():
    text = '{"name": "shop", "cron": [{"schedule": "@daily", "command": " python cleanup.py ", "note": 1}]}'
    assert cron.app_entries(text) == [cron.Entry("@daily", "python cleanup.py")]
    assert cron.app_entries('{"name": "shop"}') == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "must be an object"),
        ('{"cron": {}}', "must be an object"),
        ('{"cron": ["@daily"]}', "must have a schedule and a command"),
        ('{"cron": [{"schedule": "@daily"}]}', "must have a schedule and a command"),
        ('{"cron": [{"schedule": "@daily", "command": "a\\nb"}]}', "must be one line"),
        ('{"cron": [{"schedule": "daily", "command": "a"}]}', "five fields of cron"),
    ],
)
def test_an_invalid_app_json_is_refused_with_the_reason(text: str, reason: str):
    with pytest.raises(ValueError, match=reason):
        cron.app_entries(text)
