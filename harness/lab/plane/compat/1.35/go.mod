// What differs between versions of Kubernetes, as the same packages with the same names. A modfile chooses one of
// these folders by its replace directive.
module taintlab.dev/compat

go 1.25.0

require (
	go.opentelemetry.io/otel/trace v1.41.0
	k8s.io/client-go v0.35.4
	k8s.io/cri-api v0.35.4
	k8s.io/cri-client v0.35.4
	k8s.io/klog/v2 v2.130.1
	k8s.io/kubelet v0.35.4
)
