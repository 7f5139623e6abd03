"""Whether a new model may take the live one's place: it must foretell held-out replies no worse."""

import math
from pathlib import Path

import numpy as np

from model.bundle import TOKENIZER, Bundle
from model.inference import Inference
from model.tokenizer import END, Tokenizer
from training.dataset import Dataset
from training.held_out import QUICK, EvaluationConfig, HeldOut
from training.likelihood import given_contexts


def bits_per_byte(directory: Path, dataset: Dataset, config: EvaluationConfig = QUICK) -> float:
    """What `evaluate` measures of the same held-out replies, for a bundle with any tokenizer.

    Raises:
        ModelFormatError: the bundle cannot be used.
    """
    facts, tokenizer = Bundle.open(directory).facts, Tokenizer.load(directory / TOKENIZER)
    known, split, held_out = dataset.tokenizer, dataset.validation, HeldOut(dataset, config)
    contexts = [split.contexts[row].tolist() for row in held_out.foretold]
    replies = [split.replies[row] for row in held_out.foretold]
    if tokenizer.to_bytes() != known.to_bytes():
        turns = map(known.decode_context, contexts)
        contexts = [tokenizer.encode_context(each, facts.max_context_tokens) for each in turns]
        ends = [[END] if reply[-1] == END else [] for reply in replies]
        texts = (known.decode(reply.tolist()) for reply in replies)
        replies = [np.array([*tokenizer.encode(text), *end], np.uint16) for text, end in zip(texts, ends, strict=True)]
    nats = -given_contexts(Inference(directory), contexts, replies, "Measuring the live model").sum()
    return float(nats / math.log(2) / held_out.bytes.sum())
