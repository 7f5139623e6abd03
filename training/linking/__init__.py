"""Who answers whom, where nobody said it: a small network that was learned from annotated chat, and its measure."""
