// Package standin is what runs in place of an image which the machine has no program for: a small HTTP server inside
// the runtime, in the pod's network, on the ports that the container declares. It starts no process, so thousands
// fit on one machine.
package standin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"taintlab.dev/plane/internal/netns"
)

// Server is one container's stand-in.
type Server struct {
	http      *http.Server
	listeners []net.Listener
}

// Start listens on every port of the address, inside the network namespace. Name is what every request on any path
// is answered with, as text and status 200.
func Start(namespace *os.File, address string, ports []int, name string, log io.Writer) (*Server, error) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, name)
		fmt.Fprintf(log, "%s %s\n", r.Method, r.URL.Path)
	})
	s := &Server{http: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}}
	for _, port := range ports {
		err := netns.Do(namespace, func() error {
			listener, err := net.Listen("tcp4", net.JoinHostPort(address, strconv.Itoa(port)))
			if err == nil {
				s.listeners = append(s.listeners, listener)
			}
			return err
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("stand-in: %w", err), s.closeListeners())
		}
	}
	for _, listener := range s.listeners {
		go func() {
			// Serve returns when the server is stopped; there is nobody to tell.
			_ = s.http.Serve(listener)
		}()
	}
	return s, nil
}

// Stop refuses new connections at once, lets requests in flight end until the context is done, then cuts them.
func (s *Server) Stop(ctx context.Context) {
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
	_ = s.closeListeners()
}

func (s *Server) closeListeners() error {
	var problems []error
	for _, listener := range s.listeners {
		if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}
