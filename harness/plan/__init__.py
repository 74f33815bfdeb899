"""What will be done and what Kubernetes must then do: targets, steps, predictions. Pure; values in, values out."""
