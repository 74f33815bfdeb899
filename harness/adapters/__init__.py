"""The doors to client libraries: the only modules that import the Kubernetes and Prometheus clients."""
