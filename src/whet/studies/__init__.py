"""Designed experiments: which techniques help on this data, by how much, how surely, and at what price."""
