// Package streaming is upstream's server for exec, attach and port-forward, by one name for Kubernetes up to 1.35.
package streaming

import (
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubelet/pkg/cri/streaming"
)

// Backend is what runs the commands and dials the ports.
type Backend = streaming.Runtime

// TerminalSize is a size that the caller's terminal took.
type TerminalSize = remotecommand.TerminalSize

// Server hands out URLs and serves them.
type Server = streaming.Server

// New makes a server whose URLs lead to address; the caller listens there and serves HTTP with it.
func New(address string, backend Backend) (Server, error) {
	config := streaming.DefaultConfig
	config.Addr = address
	return streaming.NewServer(config, backend)
}
