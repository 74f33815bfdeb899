"""The only modules that import the Kubernetes and Prometheus clients."""
