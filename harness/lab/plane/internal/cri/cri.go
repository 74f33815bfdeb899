// Package cri holds what the two processes of a node have agreed on beyond the CRI itself.
package cri

const (
	// PortsAnnotation is where upstream's kubelet leaves a container's declared ports, as JSON; the CRI has no
	// field for them.
	PortsAnnotation = "io.kubernetes.container.ports"
	// RunToCompletionAnnotation is set (to "true") by our kubelet on init containers: a stand-in for one of them is
	// done at once.
	RunToCompletionAnnotation = "taintlab.dev/run-to-completion"
	// ImageUser is the user that every image claims to set. It is not root, so that pods with runAsNonRoot are
	// accepted; programs run as the lab's own user whatever it is.
	ImageUser = 65532
)
