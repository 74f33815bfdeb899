"""What is read from Prometheus."""
