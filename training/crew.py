"""Machines that train one network together, by Ray: each with its share of every batch."""

import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# What brings TensorFlow along is imported where it is used: on other machines only after `load_tensorflow`.
from model import ChinwagError
from training.checkpoint import Place
from training.loading import load_tensorflow
from training.presets import TrainingConfig
from training.progress import Bar, heard

if TYPE_CHECKING:
    from model.seq2seq import Seq2Seq, Seq2SeqConfig
    from training.cluster import Cluster
    from training.dataset import Dataset
    from training.samples import Sample
    from training.train import Evaluation, History

_MOST_LOSSES = 8  # of machines or processes, in a run
_PATIENCE = 1.0  # seconds between two looks at whether the run is over


@dataclass(frozen=True)
class Crew:
    """Who trains.

    Attributes:
        address: of a Ray, as for `Cluster`.
        workers: processes that train together; by default one for each machine.
        data: the dataset's folder, which all machines see.
    """

    address: str
    workers: int | None
    data: Path

    def train(
        self,
        network: "Seq2Seq",
        dataset: "Dataset",
        config: TrainingConfig,
        *,
        checkpoint: Place,
        on_evaluation: "Callable[[Evaluation, list[Sample]], None]" = lambda evaluation, samples: None,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> "History":
        """Do what `training.train.train` does, on all machines together.

        When a process or a machine is lost, all begin again from the last checkpoint, which must be where all see it.
        Ctrl-C ends the run with the best that was saved.

        Raises:
            ClusterError: the machines cannot do it, or too many were lost.
            ChinwagError: as `train` does.
        """
        from training.cluster import Cluster  # which is not installed where one machine is enough
        from training.train import conclude

        interrupted = False
        needed = [self.data, checkpoint] if isinstance(checkpoint, Path) else [self.data]
        with Cluster(self.address, workers=max(self.workers or 1, os.cpu_count() or 1), needed=needed) as cluster:
            workers = self.workers or len(cluster.machines)
            order = _Order(
                Path.cwd(),
                self.data,
                network.config,
                [variable.numpy() for variable in network.variables],
                config,
                checkpoint,
                _processors(cluster, workers),
            )
            try:
                _follow(order, workers, on_evaluation, on_note)
            except KeyboardInterrupt:
                interrupted = True
        history = conclude(network, dataset, config, checkpoint)
        if interrupted and history.best is None:
            raise KeyboardInterrupt
        history.interrupted = interrupted
        return history


@dataclass(frozen=True)
class _Order:
    """What each process is told: where things lie, and the network as it begins."""

    folder: Path
    data: Path
    shape: "Seq2SeqConfig"
    variables: list[Any]
    config: TrainingConfig
    checkpoint: Place
    processors: int


def _processors(cluster: "Cluster", workers: int) -> int:
    """How many each of some processes has for itself, if they are spread evenly."""
    from training.cluster import ClusterError

    if workers > cluster.processors:
        raise ClusterError(f"{workers} workers cannot train on {cluster.processors} processors: name fewer.")
    machines = [int(machine["Resources"].get("CPU", 0)) for machine in cluster.machines]
    on_each = -(-workers // len(machines))
    return max(min(machines) // on_each, 1)


def _follow(
    order: _Order,
    workers: int,
    on_evaluation: "Callable[[Evaluation, list[Sample]], None]",
    on_note: Callable[[str], None],
) -> None:
    """Have the run made, and pass on what is heard of it until it is over."""
    import ray
    from ray.train import TrainingFailedError
    from ray.util.queue import Empty, Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from training.cluster import ClusterError, last_line

    with ExitStack() as stack:
        storage = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        said = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
        outcome = _begun({"order": ray.put(order), "said": said}, order.processors, workers, storage)
        bar: Bar | None = None
        while not outcome.done() or said.size():
            try:
                kind, *what = said.get(timeout=_PATIENCE)
            except Empty:
                continue
            if kind == "progress":
                bar = bar or stack.enter_context(_bar(*what))
                _show(bar, *what)
            elif kind == "evaluation":
                on_evaluation(*what)
            elif kind == "note":
                on_note(*what)
            else:
                raise what[0]
        try:
            outcome.result()
        except TrainingFailedError as error:
            raise ClusterError(
                f"The training was lost {_MOST_LOSSES + 1} times on the machines ({last_line(error)}): see their "
                "memory and Ray's logs; the same command goes on from the last checkpoint."
            ) from error


def _begun(told: dict[str, Any], processors: int, workers: int, storage: str) -> Future[None]:
    """Begin the run in a thread, as Ray waits for its end; this one hears of it meanwhile."""
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer

    gpus = int(ray.cluster_resources().get("GPU", 0)) // workers
    trainer = TensorflowTrainer(
        _work,
        train_loop_config=told,
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=gpus > 0,
            resources_per_worker={"CPU": processors} | ({"GPU": gpus} if gpus else {}),
            placement_strategy="SPREAD",
        ),
        run_config=RunConfig(storage_path=storage, failure_config=FailureConfig(max_failures=_MOST_LOSSES)),
    )
    outcome: Future[None] = Future()

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=fit, daemon=True).start()
    return outcome


def _work(told: dict[str, Any]) -> None:
    """Train, in a process of some machine for which Ray has set `TF_CONFIG`."""
    import ray
    from ray.train import get_context

    order: _Order = ray.get(told["order"])
    said = told["said"]
    with suppress(OSError):  # where all paths are absolute the folder need not be there
        os.chdir(order.folder)
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(order.processors))
    load_tensorflow()
    from model.seq2seq import build
    from training.dataset import Dataset
    from training.distribution import devices
    from training.train import train

    chief = get_context().get_world_rank() == 0
    try:
        dataset = Dataset.open(order.data)
        with heard(lambda facts: said.put(("progress", facts))) if chief else nullcontext(), devices():
            network = build(order.shape)
            for variable, array in zip(network.variables, order.variables, strict=True):
                variable.assign(array)
            train(
                network,
                dataset,
                order.config,
                checkpoint=order.checkpoint,
                on_evaluation=lambda *evaluation: said.put(("evaluation", *evaluation)),
                on_note=lambda note: said.put(("note", note)) if chief else None,
            )
    except ChinwagError as error:
        said.put(("failure", error))  # not worth another try
        raise


def _bar(facts: dict[str, Any]) -> Bar:
    from training.train import progress_bar

    return progress_bar(facts["total"], facts["first"])


def _show(bar: Bar, facts: dict[str, Any]) -> None:
    bar.total = facts["total"]
    bar.describe(facts["stage"], facts["loss"])
    bar.reach(facts["done"])
