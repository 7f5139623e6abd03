"""The networks on offer, each with the settings it trains well with."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        optimizer: by its usual name.
        learning_rate: the highest; with `decay` it rises over the first steps and falls in a line to a twentieth.
        decay: whether it does.
        clip_norm: gradients whose joint norm is larger are scaled down to it.
        batch_size: examples a step.
        epochs: times each example is seen, at most; need not be whole.
        patience: evaluations without a better validation loss before training stops.
        seed: of weights, order and dropout; equal seeds on equal machines give equal networks.
    """

    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = 2e-3
    decay: bool = True
    clip_norm: float = 1.0
    batch_size: int = 32
    epochs: float = 8.0
    patience: int = 6
    seed: int = 0


@dataclass(frozen=True)
class Preset:
    """A network's shape (the fields of `Seq2SeqConfig` but for the vocabulary) and its training.

    Attributes:
        network: the fields.
        vocabulary_size: tokens, at most.
        training: how it is trained.
    """

    network: dict[str, Any]
    vocabulary_size: int = 4096
    training: TrainingConfig = field(default_factory=TrainingConfig)


PRESETS: dict[str, Preset] = {
    # The textbook's encoder-decoder (Sutskever et al., 2014; Chollet, 2017): the context is one state.
    "classic": Preset(
        {
            "embedding_dim": 256,
            "encoder_units": 256,
            "bidirectional": False,
            "decoder_layers": 1,
            "attention": "none",
            "tied": False,
        },
        training=TrainingConfig(optimizer="rmsprop", learning_rate=1e-3, decay=False, clip_norm=5.0),
    ),
    "base": Preset(
        {
            "embedding_dim": 256,
            "encoder_units": 192,
            "bidirectional": True,
            "decoder_layers": 2,
            "attention": "luong",
            "tied": True,
            "dropout": 0.1,
        }
    ),
}

FINE_TUNING = replace(PRESETS["base"].training, learning_rate=5e-4)
"""For going on from a trained network: gentler, or it forgets how to talk."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """What training starts from.

    Attributes:
        preset: the name of the network's preset.
        bundle: the bundle whose network goes on learning; None starts a new one.
    """

    preset: str
    bundle: Path | None = None

    def config(self, epochs: float | None = None, seed: int = 0) -> TrainingConfig:
        """The preset's settings, gentler for a network that has learned before."""
        config = PRESETS[self.preset].training if self.bundle is None else FINE_TUNING
        return replace(config, seed=seed, epochs=config.epochs if epochs is None else epochs)
