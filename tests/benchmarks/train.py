"""Training speed beside other ways to train the same network: `python tests/benchmarks/train.py` (needs PyTorch).

    python tests/benchmarks/train.py [--preset base] [--batch-size 32] [--rounds 5] [--threads 2]

Each way is a process of its own and trains on the same made-up batches with the same settings: Adam, clipping, dropout
with one mask for all time steps. Before anything is timed, each must give the same loss and norm of the gradient from
the same weights and batch. Then they take turns, round by round, so that a busy machine treats all alike. Medians are
printed: target tokens a second, padding not counted, and the ratio to PyTorch at its fastest; the time to compile or
trace, which is not in them; and resident memory.

- chinwag: what `chinwag-train` does; uncompiled: the same without XLA, as on Windows.
- torch: `nn.LSTM` with oneDNN, as PyTorch does by default; torch-native: without. No context is padded, so that it need
  not pack its sequences, which would cost it more.
- keras: Keras's own layers and `fit`; keras-xla: with `jit_compile`. Recurrent networks only.
"""

import argparse
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from training.loading import SETTINGS, load_tensorflow  # noqa: E402
from training.presets import PRESETS  # noqa: E402

WAYS = ("chinwag", "uncompiled", "torch", "torch-native", "keras", "keras-xla")
VOCABULARY = 4096
EXAMPLES = 12_000
TIMED = 24  # batches a round
TOLERANCE = 1e-3


def made_up_batches(batch_size: int) -> list[Any]:
    """Batches as an epoch cuts them: contexts of 48 tokens, replies with the spread of lengths of small talk."""
    from training.dataset import RaggedIds, Split, batches

    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(2.5, 0.75, EXAMPLES), 2, 47).astype(int)

    def ragged(sizes: np.ndarray) -> RaggedIds:
        ids = rng.zipf(1.3, sizes.sum()) % (VOCABULARY - 16) + 16
        return RaggedIds(ids.astype(np.uint16), np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint64))

    contexts = ragged(np.full(EXAMPLES, 48))
    split = Split(contexts, ragged(lengths), np.arange(EXAMPLES, dtype=np.uint32))
    return list(batches(split, batch_size=batch_size, rng=np.random.default_rng(1)))[:TIMED]


class Way:
    """One way to train: the network of a preset, with the same weights as all others have."""

    def __init__(self, name: str, preset: str, batch_size: int, threads: int) -> None:
        import keras

        from model.seq2seq import build

        self.settings = PRESETS[preset]
        self.shape = self.settings.shape(VOCABULARY)
        self.config = replace(self.settings.training, batch_size=batch_size, optimizer="adam", context_dropout=0.0)
        self.batches = made_up_batches(batch_size)
        keras.utils.set_random_seed(0)
        self.network = build(self.shape)
        self.threads = threads
        self.parity, self.learn = {
            "chinwag": functools.partial(_chinwag, compiled=True),
            "uncompiled": functools.partial(_chinwag, compiled=False),
            "torch": functools.partial(_torch, onednn=True),
            "torch-native": functools.partial(_torch, onednn=False),
            "keras": functools.partial(_keras, compiled=False),
            "keras-xla": functools.partial(_keras, compiled=True),
        }[name](self)

    def round(self) -> float:
        """Seconds that all batches take."""
        start = time.perf_counter()
        self.learn()
        return time.perf_counter() - start


Parity = tuple[float, float]
"""The loss of the first batch in nats a token, and the norm of its gradient, without dropout."""


def _chinwag(way: Way, *, compiled: bool) -> tuple[Parity, Callable[[], None]]:
    import tensorflow as tf

    from training.distribution import Replicas
    from training.step import cross_entropy, optimizer_of, training_step

    network, batch = way.network, way.batches[0]
    with tf.GradientTape() as tape:
        losses = cross_entropy(network(batch.encoder_ids, batch.decoder_ids), batch.targets)
        loss = tf.reduce_sum(losses * batch.weights) / batch.weights.sum()
    shapes = frozenset(each.shape for each in way.batches) if compiled else frozenset()
    optimizer = optimizer_of(network, way.config)
    step = training_step(network, optimizer, way.config, Replicas(), network.get_weights(), shapes)

    def learn() -> None:
        for each in way.batches:
            step(each)

    return (float(loss), _norm(tape.gradient(loss, network.trainable_weights))), learn


def _norm(gradients: list[Any]) -> float:
    """The joint norm of TensorFlow's gradients, sparse ones too."""
    import tensorflow as tf

    return float(tf.linalg.global_norm([*map(tf.convert_to_tensor, gradients)]))


def _torch(way: Way, *, onednn: bool) -> tuple[Parity, Callable[[], None]]:
    import torch
    from torch import nn

    from tests.benchmarks.torch_networks import copy_of

    torch.set_num_threads(way.threads)
    torch.backends.mkldnn.enabled = onednn
    torch.manual_seed(0)
    network = copy_of(way.network)
    parameters = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(parameters, way.config.learning_rate, fused=True)
    tensors = [tuple(torch.tensor(np.asarray(each)).long() for each in batch[:3]) for batch in way.batches]
    weights = [torch.tensor(np.asarray(batch.weights)) for batch in way.batches]

    def gradient(number: int) -> torch.Tensor:
        encoder_ids, decoder_ids, targets = tensors[number]
        optimizer.zero_grad()
        logits = network(encoder_ids, decoder_ids)
        losses = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        loss = (losses * weights[number].flatten()).sum() / weights[number].sum()
        loss.backward()
        return loss.detach()

    network.eval()
    loss = float(gradient(0))
    norm = float(nn.utils.get_total_norm([each.grad for each in parameters]))
    network.train()

    def learn() -> None:
        for number in range(len(tensors)):
            loss = gradient(number)
            nn.utils.clip_grad_norm_(parameters, way.config.clip_norm)
            optimizer.step()
            float(loss)

    return (loss, norm), learn


def gates(matrix: Any, order: str) -> Any:
    """The columns of our LSTM's gates, in the order input, output, forget, cell, in another order."""
    parts = dict(zip("iofc", np.split(np.asarray(matrix), 4, -1), strict=True))
    return np.concatenate([parts[gate] for gate in order], -1)


def _keras(way: Way, *, compiled: bool) -> tuple[Parity, Callable[[], None]]:
    import keras
    import tensorflow as tf
    from keras import layers, ops

    ours, shape = way.network, way.shape

    class Tied(layers.Layer):  # type: ignore[misc]
        """Logits by the embedding's own matrix."""

        def __init__(self, embedding: Any) -> None:
            super().__init__()
            self.embedding = embedding

        def build(self, input_shape: Any) -> None:
            self.bias = self.add_weight(name="bias", shape=(VOCABULARY,), initializer="zeros")

        def call(self, inputs: Any) -> Any:
            return ops.matmul(inputs, ops.transpose(self.embedding.embeddings)) + self.bias

    def dropped(inputs: Any) -> Any:
        return layers.Dropout(shape.dropout, noise_shape=(None, 1, None))(inputs)

    def copied(layer: Any, inputs: Any, *sources: Any, **options: Any) -> Any:
        """Call a layer, and give it the weights of our layers."""
        outputs = layer(inputs, **options)
        if sources and hasattr(sources[0], "recurrent"):
            matrices = [part for each in sources for part in (each.kernel, each.recurrent, each.bias)]
            layer.set_weights([gates(np.asarray(part), "ifco") for part in matrices])
        else:
            layer.set_weights([np.asarray(each) for source in sources for each in source.get_weights()])
        return outputs

    encoder_ids, decoder_ids = keras.Input([None], dtype="int32"), keras.Input([None], dtype="int32")
    embedding = layers.Embedding(VOCABULARY, shape.embedding_dim)
    memory = dropped(copied(embedding, encoder_ids, ours.embedding))
    for pair in ours.encoder:
        both = layers.Bidirectional(layers.LSTM(shape.encoder_units, return_sequences=True, return_state=True))
        memory, *states = copied(both, memory, *pair)
        memory = dropped(memory)
    state = [layers.Concatenate()([states[0], states[2]]), layers.Concatenate()([states[1], states[3]])]
    outputs = dropped(embedding(decoder_ids))
    for source in ours.decoder:
        layer = layers.LSTM(shape.decoder_units, return_sequences=True)
        outputs = dropped(copied(layer, outputs, source, initial_state=state))
    keys = copied(layers.Dense(shape.decoder_units, use_bias=False), memory, ours.keys)
    looked_at = layers.Dot((2, 1))([layers.Softmax()(layers.Dot((2, 2))([outputs, keys])), memory])
    joined = layers.Concatenate()([looked_at, outputs])
    combined = copied(layers.Dense(shape.decoder_units, use_bias=False, activation="tanh"), joined, ours.combine)
    projected = copied(layers.Dense(shape.embedding_dim, use_bias=False), combined, ours.projection)
    network = keras.Model([encoder_ids, decoder_ids], Tied(embedding)(projected))
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    optimizer = keras.optimizers.Adam(way.config.learning_rate, global_clipnorm=way.config.clip_norm)
    network.compile(optimizer, loss_of, jit_compile=compiled)
    batch = way.batches[0]
    with tf.GradientTape() as tape:
        loss = loss_of(batch.targets, network([batch.encoder_ids, batch.decoder_ids]), batch.weights)

    class Sequence(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(way.batches)

        def __getitem__(self, number: int) -> Any:
            each = way.batches[number]
            return (each.encoder_ids, each.decoder_ids), each.targets, each.weights

    def learn() -> None:
        network.fit(Sequence(), shuffle=False, verbose=0)

    return (float(loss), _norm(tape.gradient(loss, network.trainable_weights))), learn


def serve(way: Way) -> None:
    """Run a round for each line that comes in, and say how long it took; the first, with all compiling, at once."""
    first = way.round()
    print(json.dumps({"parity": way.parity, "first": first}), flush=True)
    for _ in sys.stdin:
        seconds = way.round()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "memory": memory}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", choices=[*WAYS, []], metavar="WAY")
    parser.add_argument("--preset", default="base", choices=[*PRESETS])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        load_tensorflow()
        serve(Way(options.serve, options.preset, options.batch_size, options.threads))
        return
    threads = str(options.threads)
    settings = {"OMP_NUM_THREADS": threads, "TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": "1"}
    environment = {**SETTINGS, **os.environ, **settings, "OMP_WAIT_POLICY": "PASSIVE"}
    tokens = sum(float(batch.weights.sum()) for batch in made_up_batches(options.batch_size))
    recurrent = PRESETS[options.preset].network.get("cell") != "transformer"
    ways = options.ways or [name for name in WAYS if recurrent or not name.startswith("keras")]
    processes, firsts, rounds = {}, {}, {}
    for name in ways:
        arguments = [
            f"--{key}={getattr(options, key.replace('-', '_'))}" for key in ("preset", "batch-size", "threads")
        ]
        processes[name] = subprocess.Popen(
            [sys.executable, __file__, *arguments, f"--serve={name}"],
            **{"env": environment, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True},
        )
        firsts[name], rounds[name] = json.loads(processes[name].stdout.readline()), []
        print(f"{name}: first round after {firsts[name]['first']:.0f} s", file=sys.stderr)
        expected = next(iter(firsts.values()))["parity"]
        if not np.allclose(firsts[name]["parity"], expected, rtol=TOLERANCE):
            raise SystemExit(f"{name} is another network: loss and norm are {firsts[name]['parity']}, not {expected}")
    for _ in range(options.rounds):
        for name, process in processes.items():
            process.stdin.write("go\n")
            process.stdin.flush()
            rounds[name].append(json.loads(process.stdout.readline()))
    for process in processes.values():
        process.stdin.close()
        process.wait()
    speeds = {name: tokens / statistics.median(each["seconds"] for each in made) for name, made in rounds.items()}
    peer = max((speed for name, speed in speeds.items() if name.startswith("torch")), default=max(speeds.values()))
    print(f"{'':<14}{'tokens/s':>10}{'of PyTorch':>12}{'to compile':>12}{'memory':>10}")
    for name, speed in speeds.items():
        compile_ = max(firsts[name]["first"] - tokens / speed, 0)
        memory = f"{rounds[name][-1]['memory']:.0f} MiB"
        print(f"{name:<14}{speed:>10,.0f}{speed / peer:>12.2f}{compile_:>10.0f} s{memory:>10}")


if __name__ == "__main__":
    main()
