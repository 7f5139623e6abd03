"""The networks on offer, each with the settings it trains well with."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from model.tokenizer import Tokens


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        optimizer: by its usual name; `sgd` has a momentum of 0.9, `muon` is Adam for all but the matrices between.
        learning_rate: the highest.
        warm_up: steps over which the rate rises to it, at most a tenth of the run.
        decay: how the rate falls over the run, to a twentieth.
        weight_decay: share of each matrix taken off it in a step, times the rate (Loshchilov & Hutter, 2019).
        clip_norm: gradients whose joint norm is larger are scaled down to it.
        label_smoothing: share of each target spread over all tokens (Szegedy et al., 2016).
        context_dropout: share of the examples that are shown without their context, so that the network learns
            log p(reply) beside log p(reply | context).
        batch_size: examples a step.
        epochs: times each example is seen, at most; need not be whole.
        time_limit: seconds after which training ends, however many epochs that is; None for no limit.
        patience: evaluations without a better validation loss before training stops.
        seed: of weights, order and dropout; equal seeds on equal machines give equal networks.
    """

    optimizer: Literal["adam", "adamw", "rmsprop", "sgd", "muon"] = "adam"
    learning_rate: float = 2e-3
    warm_up: int = 200
    decay: Literal["none", "linear", "cosine"] = "linear"
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    context_dropout: float = 0.0
    batch_size: int = 32
    epochs: float = 8.0
    time_limit: float | None = None
    patience: int = 6
    seed: int = 0


@dataclass(frozen=True)
class Preset:
    """A network's shape (the fields of `Seq2SeqConfig` but for the vocabulary) and its training.

    Attributes:
        network: the fields.
        tokens: of what kind.
        vocabulary_size: tokens, at most.
        training: how it is trained.
    """

    network: dict[str, Any]
    tokens: Tokens = "bpe"
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
        training=TrainingConfig(optimizer="rmsprop", learning_rate=1e-3, warm_up=0, decay="none", clip_norm=5.0),
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

    def config(self, *, seed: int = 0, **changes: float | None) -> TrainingConfig:
        """The preset's settings, gentler for a network that has learned before, with what is changed and not None."""
        config = PRESETS[self.preset].training if self.bundle is None else FINE_TUNING
        named: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        return replace(config, seed=seed, **named)
