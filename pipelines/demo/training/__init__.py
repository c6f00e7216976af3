"""Trains the demo checkpoints from nothing and measures them; the README has the order and the commands.

Knows nothing about how the checkpoints are used.
"""
