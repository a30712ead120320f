"""One module a corpus: raw files -> sessions. Windowing and everything after it is shared."""
