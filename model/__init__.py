"""What training and the bot must agree on: text, tokens, network, bundle, inference."""


class ChinwagError(Exception):
    """The base of failures that people can mend: the message is one plain sentence with the cause and the remedy."""
