"""A made-up channel in which several conversations run at once, and every message is known to answer another one."""

import random

from training.linking.linker import NEW, Utterance

THINGS = ("kettle", "badger", "umbrella", "crumpet", "teapot", "bicycle", "lantern", "piano", "anchor", "violin")


def chat(length: int, seed: int = 0, addressed: float = 0.7) -> tuple[list[Utterance], list[int]]:
    """Somebody asks for a thing, somebody else answers, and so on in turns; three such pairs talk at a time.

    Returns:
        Utterances, and the index of the one that each answers, or NEW.
    """
    rng = random.Random(seed)
    utterances: list[Utterance] = []
    links: list[int] = []
    pairs: list[list[object]] = []
    while len(utterances) < length:
        if len(pairs) < 3:
            pairs.append([f"p{rng.randrange(40)}a", f"p{rng.randrange(40)}b", rng.choice(THINGS), NEW])
        pair = rng.choice(pairs)
        speaker, other, thing, last = pair
        mentions = (str(other),) if last != NEW and rng.random() < addressed else ()
        text = f"where is the {thing}?" if last == NEW else f"the {thing} was in the {rng.choice(THINGS)} shop"
        utterances.append(Utterance(str(speaker), 60.0 * len(utterances), text, mentions))
        links.append(int(str(last)))
        pair[:] = [other, speaker, thing, len(utterances) - 1]
        if rng.random() < 0.2:
            pairs.remove(pair)
    return utterances, links
