// Package criclient is upstream's client of a container runtime, by one name for Kubernetes from 1.36 on.
package criclient

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	internalapi "k8s.io/cri-api/pkg/apis"
	criclient "k8s.io/cri-client/pkg"
)

// Runtime connects to a runtime's containers.
func Runtime(ctx context.Context, endpoint string, timeout time.Duration, tracer trace.TracerProvider) (internalapi.RuntimeService, error) {
	return criclient.NewRemoteRuntimeService(ctx, endpoint, timeout, tracer, false)
}

// Images connects to a runtime's images.
func Images(ctx context.Context, endpoint string, timeout time.Duration, tracer trace.TracerProvider) (internalapi.ImageManagerService, error) {
	return criclient.NewRemoteImageService(ctx, endpoint, timeout, tracer, false)
}
