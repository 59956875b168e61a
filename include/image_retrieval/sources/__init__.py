"""What a collection may list besides a prefix: an index file, read in batches of lines."""
