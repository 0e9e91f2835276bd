"""Which formats there are of which kind."""

# Formats without a file.
GENERATED = frozenset({"purchase100-synthetic", "cifar10-synthetic", "sst2-synthetic"})
TEXT = ("sst2", "sst2-synthetic")  # formats of sentences, which a tokenizer turns into tokens
