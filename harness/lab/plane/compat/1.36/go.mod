// What differs between versions of Kubernetes, as the same packages with the same names. A modfile chooses one of
// these folders by its replace directive.
module taintlab.dev/compat

go 1.26.0

require k8s.io/cri-streaming v0.36.3
