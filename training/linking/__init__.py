"""Who answers whom, where nobody said it: a small network, how it learns, and how well it does.

Its weights, `linker.npz`, were learned from the training channels of irc-disentanglement (J. Kummerfeld et al., "A
Large-Scale Corpus for Conversation Disentanglement", ACL 2019), which is under CC-BY-4.0.
"""
