"""Evaluate shards on many processes or machines, with dask.distributed.

The results of a shard depend only on the network file, the data and the shard, so a shard that is
lost with its worker is simply evaluated again elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdt_lava.datasets import SampleSource
from sdt_lava.errors import ConfigError, SdtLavaError
from sdt_lava.evaluate.identity import data_digest, network_digest
from sdt_lava.evaluate.run import EvaluationOptions, Executor, Shard, open_data
from sdt_lava.evaluate.sample import SampleResult, evaluate_samples
from sdt_lava.io.limits import allowing
from sdt_lava.io.netx import load_network
from sdt_lava.ir import Graph

logger = logging.getLogger(__name__)

# Number of shards queued at the scheduler per worker: enough to keep workers busy, but few enough
# that the scheduler's memory does not grow with the data set.
_AHEAD = 3
# A shard is abandoned after this many workers have died while evaluating it.
_MOST_DEATHS = 5
_CONNECT_TIMEOUT = 20
_PLUGIN = "sdt-lava-network"


class ClusterError(SdtLavaError):
    """Raised if workers or a scheduler cannot be reached, or die repeatedly."""

    exit_code = 1


@dataclass(frozen=True)
class ClusterOptions:
    """Where to evaluate shards.

    Parameters
    ----------
    workers : int
        Number of local worker processes; ignored if there is a scheduler.
    scheduler : str, optional
        Address of a running scheduler, such as ``'tcp://host:8786'``.
    """

    workers: int = 2
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError("--workers", str(self.workers), "at least 1")


@contextmanager
def cluster_executor(options: ClusterOptions) -> Iterator[Any]:
    """Start or connect to a cluster; yield the `executor` argument of :func:`evaluate`.

    Raises
    ------
    ClusterError
        If the cluster cannot be reached, or is lost during the evaluation.
    ConfigError
        If dask.distributed is not installed.
    """
    with _client(options) as client:

        def make(
            network: bytes, source: SampleSource, data: str, chosen: EvaluationOptions
        ) -> Executor:
            return _Cluster(client, network, source, data, chosen)

        yield make


@contextmanager
def _client(options: ClusterOptions) -> Iterator[Any]:
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ConfigError(
            "dask.distributed", "not installed", remedy="pip install 'sdt-lava[cluster]'"
        ) from error
    settings = {
        "distributed.scheduler.allowed-failures": _MOST_DEATHS,
        "distributed.comm.timeouts.connect": f"{_CONNECT_TIMEOUT}s",
        "distributed.worker.daemon": True,
    }
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with dask.config.set(settings):
        if options.scheduler is not None:
            client = _connect(Client, options.scheduler)
            with client:
                yield client
            return
        threads = max(1, (os.cpu_count() or 1) // options.workers)
        # Workers inherit these variables, so that each process has its share of the threads.
        variables = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
        with (
            LocalCluster(
                n_workers=options.workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                env=variables,
                silence_logs=logging.ERROR,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


def _connect(client_type: Any, address: str) -> Any:
    try:
        return client_type(address, timeout=_CONNECT_TIMEOUT)
    except (OSError, ValueError, asyncio.TimeoutError) as error:
        raise ClusterError(
            f"scheduler {address}",
            f"cannot be reached ({str(error)[:200] or type(error).__name__})",
            "the address of a running dask scheduler, as in tcp://host:8786",
            "start one with: dask scheduler",
        ) from error


class _Cluster:
    """Evaluate shards on the workers of a client."""

    def __init__(
        self,
        client: Any,
        network: bytes,
        source: SampleSource,
        data: str,
        options: EvaluationOptions,
    ) -> None:
        from distributed import WorkerPlugin

        class Network(WorkerPlugin):
            """Send the network file to every worker once, including workers that join later."""

            name = _PLUGIN

            def setup(self, worker: Any) -> None:
                worker.sdt_lava_network = network

        self.client = client
        self.digests = (network_digest(network), data_digest(source, times=False))
        self.data, self.options = data, options
        client.register_plugin(Network())

    def map(self, shards: Sequence[Shard]) -> Iterator[list[SampleResult]]:
        """Yield the results of each shard as soon as they are ready."""
        from distributed import as_completed

        remaining_shards = iter(shards)
        futures = as_completed([])
        self._fill(futures, remaining_shards)
        try:
            for future in futures:
                yield _result(future)
                future.release()
                self._fill(futures, remaining_shards)
        except _lost() as error:
            raise ClusterError(
                "cluster",
                f"lost ({str(error)[:200] or type(error).__name__})",
                remedy="what was finished is stored: repeat the command with --resume",
            ) from error

    def _fill(self, running: Any, waiting: Iterator[Shard]) -> None:
        """Keep a few shards per worker queued at the scheduler."""
        workers = max(1, len(self.client.nthreads()))
        while running.count() < _AHEAD * workers:
            shard = next(waiting, None)
            if shard is None:
                return
            future = self.client.submit(
                evaluate_shard,
                self.digests,
                self.data,
                self.options,
                shard,
                pure=False,
                retries=0,
            )
            running.add(future)


def _lost() -> tuple[type[BaseException], ...]:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    return (KilledWorker, CommClosedError, CancelledError, OSError, asyncio.TimeoutError)


def _result(future: Any) -> list[SampleResult]:
    results: list[SampleResult] = future.result()
    return results


def evaluate_shard(
    digests: tuple[str, str], data: str, options: EvaluationOptions, shard: Shard
) -> list[SampleResult]:
    """Evaluate a shard on a worker; the network and the data are loaded once per worker.

    Raises
    ------
    ConfigError
        If the worker has a different network, or different data under the same name.
    """
    from distributed import get_worker

    worker: Any = get_worker()
    state = getattr(worker, "sdt_lava_state", None)
    request = (digests, data, replace(options, resume=False, models=()))
    with allowing(**vars(options.limits)):
        if state is None or state[0] != request:
            state = (request, _load(worker.sdt_lava_network, digests, data, options))
            worker.sdt_lava_state = state
        net, source = state[1]
        return evaluate_samples(net, source, shard, **options.how_to_run())


def _load(
    network: bytes, digests: tuple[str, str], data: str, options: EvaluationOptions
) -> tuple[Graph, SampleSource]:
    if network_digest(network) != digests[0]:
        raise ConfigError("worker", "another network file", "the one of this evaluation")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.h5"
        path.write_bytes(network)
        net = load_network(
            path,
            options.timesteps,
            options.input_shape,
            num_layers=options.num_layers,
            skip_layers=options.skip_layers,
        )
    source = open_data(net, data, options)
    if data_digest(source, times=False) != digests[1]:
        raise ConfigError(
            f"worker: {data}", "other samples than here", "the same data on every machine"
        )
    return net, source
