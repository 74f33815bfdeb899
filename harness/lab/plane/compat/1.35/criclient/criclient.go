// Package criclient is upstream's client of a container runtime, by one name for Kubernetes up to 1.35.
package criclient

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	internalapi "k8s.io/cri-api/pkg/apis"
	criclient "k8s.io/cri-client/pkg"
	"k8s.io/klog/v2"
)

// Runtime connects to a runtime's containers.
func Runtime(_ context.Context, endpoint string, timeout time.Duration, tracer trace.TracerProvider) (internalapi.RuntimeService, error) {
	logger := klog.Background()
	return criclient.NewRemoteRuntimeService(endpoint, timeout, tracer, &logger)
}

// Images connects to a runtime's images.
func Images(_ context.Context, endpoint string, timeout time.Duration, tracer trace.TracerProvider) (internalapi.ImageManagerService, error) {
	logger := klog.Background()
	return criclient.NewRemoteImageService(endpoint, timeout, tracer, &logger)
}
