package runtime

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"taintlab.dev/plane/internal/crilog"
	"taintlab.dev/plane/internal/netns"
	"taintlab.dev/plane/internal/streaming"
)

// streams is the Runtime as the streaming server sees it.
type streams struct{ *Runtime }

var _ streaming.Backend = streams{}

// Attach implements the CRI: it gives the URL at which the program's streams are served.
func (r *Runtime) Attach(_ context.Context, request *runtimeapi.AttachRequest) (*runtimeapi.AttachResponse, error) {
	return r.stream.Attach(request)
}

// PortForward implements the CRI: it gives the URL at which the pod's ports are served.
func (r *Runtime) PortForward(_ context.Context, request *runtimeapi.PortForwardRequest) (*runtimeapi.PortForwardResponse, error) {
	return r.stream.PortForward(request)
}

// Attach implements streaming.Backend: the caller gets what the program writes from now on, and may write to it. It
// returns when the program has ended or the caller has gone.
func (s streams) Attach(ctx context.Context, id string, in io.Reader, out, errOut io.WriteCloser, tty bool, sizes <-chan streaming.TerminalSize) error {
	c, err := s.container(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	streams, ended := c.io, c.ended
	running := c.state == runtimeapi.ContainerState_CONTAINER_RUNNING
	c.mu.Unlock()
	if !running || streams.fanOut == nil {
		return status.Errorf(codes.FailedPrecondition, "container %s has no program to attach to", id)
	}
	if tty && streams.terminal != nil {
		go follow(streams.terminal, sizes)
	}
	if in != nil && streams.in != nil {
		go func() {
			// Ends with the caller's input or the program's.
			_, _ = io.Copy(streams.in, in)
			if c.config.GetStdinOnce() && streams.terminal == nil {
				streams.in.Close()
			}
		}()
	}
	var pumps sync.WaitGroup
	for stream, to := range map[string]io.Writer{crilog.Stdout: out, crilog.Stderr: errOut} {
		if to == nil {
			continue
		}
		l := streams.fanOut[stream].attach()
		defer streams.fanOut[stream].detach(l)
		pumps.Go(func() {
			for text := range l.queue {
				if _, err := to.Write(text); err != nil {
					return
				}
			}
		})
	}
	finished := make(chan struct{})
	go func() { pumps.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done():
		return nil
	}
	if out == nil && errOut == nil {
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
	return nil
}

// PortForward implements streaming.Backend: one connection to a port of the pod, on its loopback address or else on
// its own.
func (s streams) PortForward(ctx context.Context, id string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	pod, err := s.sandbox(id)
	if err != nil {
		return err
	}
	namespace, err := pod.network(s.lab)
	if err != nil {
		return err
	}
	hosts := []string{"127.0.0.1", pod.address.String()}
	if pod.hostNetwork {
		hosts = []string{"127.0.0.1", s.node.NodeIP}
	}
	var connection net.Conn
	for _, host := range hosts {
		err = netns.Do(namespace, func() (err error) {
			connection, err = (&net.Dialer{}).DialContext(ctx, "tcp4", net.JoinHostPort(host, strconv.Itoa(int(port))))
			return err
		})
		if err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("port %d of the pod: %w", port, err)
	}
	defer connection.Close()
	done := make(chan struct{}, 2)
	go func() {
		_, _ = io.Copy(connection, stream)
		if half, ok := connection.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		done <- struct{}{}
	}()
	answered := make(chan struct{})
	go func() {
		_, _ = io.Copy(stream, connection)
		close(answered)
	}()
	select {
	case <-answered:
	case <-ctx.Done():
	}
	return nil
}
