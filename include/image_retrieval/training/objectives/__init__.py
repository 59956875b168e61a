"""What a backbone can learn without labels: one method a module, under its paper's name."""
