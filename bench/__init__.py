"""Repeatable benchmarks: the last line of each is one JSON object with its figures, its bar and whether it is met."""
