"""Trains models on one's own images and judges them; and trains those that ship, from drawn scenes and a seed."""
