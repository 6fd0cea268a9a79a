"""Evaluations on real local clusters, with workers that die and join."""

import os
import signal

import pytest

from sdt_lava.evaluate import EvaluationOptions, evaluate
from sdt_lava.evaluate.cluster import ClusterError, ClusterOptions, cluster_executor
from tests.evaluate.test_evaluate import files

pytest.importorskip("distributed", reason="needs the extra 'cluster'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture
def alone(case, tmp_path):
    network, data = case
    evaluate(network, str(data), tmp_path / "alone")
    return files(tmp_path / "alone")


def test_a_killed_worker_and_one_that_joins(case, tmp_path, alone):
    from distributed import LocalCluster

    network, data = case
    folder = tmp_path / "three"
    with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster:
        killed = []

        def on_progress(done, total):
            if not killed:
                victim = next(iter(cluster.workers.values())).pid
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)
                cluster.scale(4)

        address = ClusterOptions(scheduler=cluster.scheduler_address)
        with cluster_executor(address) as executor:
            evaluate(
                network, str(data), folder, EvaluationOptions(shard_size=1),
                executor=executor, on_progress=on_progress,
            )  # fmt: skip
    assert killed
    assert files(folder) == alone


def test_a_scheduler_that_is_not_there():
    with (
        pytest.raises(ClusterError, match="dask scheduler"),
        cluster_executor(ClusterOptions(scheduler="tcp://127.0.0.1:1")),
    ):
        pass


def test_a_lost_scheduler_keeps_what_is_finished(case, tmp_path, alone):
    from distributed import LocalCluster

    network, data = case
    folder = tmp_path / "lost"
    options = EvaluationOptions(shard_size=1)
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    try:

        def on_progress(done, total):
            if done == 3:
                cluster.close()

        with (
            pytest.raises(ClusterError, match="--resume"),
            cluster_executor(ClusterOptions(scheduler=cluster.scheduler_address)) as executor,
        ):
            evaluate(
                network, str(data), folder, options, executor=executor, on_progress=on_progress
            )
    finally:
        cluster.close()
    evaluate(network, str(data), folder, EvaluationOptions(shard_size=1, resume=True))
    assert files(folder) == alone
