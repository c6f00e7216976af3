"""Fetching models: which files, from where, byte for byte, what is on the disk. Knows nothing about opening them."""
