"""A write script performed on a real control plane."""
