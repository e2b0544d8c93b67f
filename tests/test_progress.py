"""What a person sees of Snakemake: a line a run, and every error."""

import logging
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_clipassistnet import LogHandler


@pytest.fixture
def handler():
    return LogHandler(SimpleNamespace(), None)


def tell(handler, level=logging.INFO, message="", **fields) -> None:
    record = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    vars(record).update(fields)
    handler.emit(record)


def job(number: int, stamp: str, rule: str = "train_fold") -> dict:
    return {"jobid": number, "rule_name": rule, "output": [stamp]}


def test_each_run_that_ended_is_a_line(handler, capsys):
    stamp = "papermill_runs/smoke/05_train_fold/loss=bce,fold=0/.done"
    tell(handler, event=LogEvent.RUN_INFO, stats={"all": 1, "train_fold": 2, "total": 3})
    tell(handler, event=LogEvent.JOB_INFO, **job(1, stamp))
    tell(handler, event=LogEvent.JOB_FINISHED, job_id=1)
    tell(handler, event=LogEvent.SHELLCMD, message="exec python")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(maxsplit=1)[1].strip() for line in lines] == [
        "2 steps to do",
        "[  1/2]  05_train_fold loss=bce,fold=0    0:00",
    ]


def test_without_the_rule_all_every_step_counts(handler, capsys):
    tell(handler, event=LogEvent.RUN_INFO, stats={"check_data": 1, "video_folds": 1, "total": 2})
    assert "2 steps to do" in capsys.readouterr().err


def test_a_failed_run_is_named(handler, capsys):
    stamp = "papermill_runs/smoke/06_loss_comparison/once/.done"
    tell(handler, event=LogEvent.JOB_INFO, **job(1, stamp))
    tell(handler, logging.ERROR, event=LogEvent.JOB_ERROR, **job(1, stamp))
    assert "FAILED  06_loss_comparison  (" in capsys.readouterr().err


def test_errors_of_snakemake_itself_are_shown(handler, capsys):
    tell(handler, logging.ERROR, "KeyError in Snakefile, line 7", event=LogEvent.ERROR)
    tell(handler, logging.WARNING, "the clocks of two machines differ")
    shown = capsys.readouterr().err
    assert "KeyError in Snakefile, line 7" in shown
    assert "the clocks of two machines differ" in shown
