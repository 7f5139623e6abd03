"""Chat logs in, a published bundle out."""
