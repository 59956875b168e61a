"""Trains the two models that ship, from drawn scenes and a seed."""
