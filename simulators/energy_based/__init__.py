"""Networks that relax to a state of rest, and whose outputs can be nudged."""
