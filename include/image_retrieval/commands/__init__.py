"""The commands of image-retrieval, each a function of its options and the settings."""
