// Package streaming serves exec, attach and port-forward connections, with Kubernetes' own implementation of their
// protocols. The kubelet asks for a URL by CRI and passes the caller's connection on to it.
package streaming

import (
	"fmt"
	"net"
	"net/http"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"taintlab.dev/compat/streaming"
)

// Backend is what runs the commands and dials the ports.
type Backend = streaming.Backend

// TerminalSize is a size that the caller's terminal took.
type TerminalSize = streaming.TerminalSize

// Server hands out URLs and serves them.
type Server struct{ server streaming.Server }

// Start listens on the loopback address of the lab's network; nothing outside the lab gets there.
func Start(backend Backend) (*Server, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server, err := streaming.New(listener.Addr().String(), backend)
	if err != nil {
		return nil, fmt.Errorf("streaming server: %w", err)
	}
	go func() {
		// The listener is closed by the end of the process only.
		_ = http.Serve(listener, server)
	}()
	return &Server{server: server}, nil
}

// Exec, Attach and PortForward give the URL for one request; it can be used once.
func (s *Server) Exec(request *runtimeapi.ExecRequest) (*runtimeapi.ExecResponse, error) {
	return s.server.GetExec(request)
}

// Attach is Exec's like for a running program's own streams.
func (s *Server) Attach(request *runtimeapi.AttachRequest) (*runtimeapi.AttachResponse, error) {
	return s.server.GetAttach(request)
}

// PortForward is Exec's like for ports of a pod.
func (s *Server) PortForward(request *runtimeapi.PortForwardRequest) (*runtimeapi.PortForwardResponse, error) {
	return s.server.GetPortForward(request)
}
