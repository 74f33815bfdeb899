// What differs between versions of Kubernetes, as the same packages with the same names. A modfile chooses one of
// these folders by its replace directive.
module taintlab.dev/compat

go 1.26.0

require (
	go.opentelemetry.io/otel/trace v1.41.0
	k8s.io/cri-api v0.36.3
	k8s.io/cri-client v0.36.3
	k8s.io/cri-streaming v0.36.3
)
