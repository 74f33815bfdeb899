package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"taintlab.dev/plane/internal/cri"
	"taintlab.dev/plane/internal/crilog"
	"taintlab.dev/plane/internal/launch"
	"taintlab.dev/plane/internal/mounts"
	"taintlab.dev/plane/internal/shim"
	"taintlab.dev/plane/internal/standin"
)

// fallbackPath is the PATH of a container when neither the pod nor the runtime's own environment has one.
const fallbackPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// run starts what the container runs. The caller has claimed the container, and so its log is open.
func (r *Runtime) run(c *container) (workload, *stdio, error) {
	choice, err := r.programs.Resolve(c.image(), c.config.GetCommand(), c.config.GetArgs())
	if err != nil {
		return nil, nil, err
	}
	namespace, err := c.sandbox.network(r.lab)
	if err != nil {
		return nil, nil, err
	}
	if choice.IsStandIn() {
		return c.runStandIn(namespace, r.node.NodeIP)
	}
	return r.runProgram(c, choice.Argv, namespace)
}

func (r *Runtime) runProgram(c *container, argv []string, namespace *os.File) (workload, *stdio, error) {
	orders := shim.Orders{
		Argv: argv, Env: c.environment(), WorkingDir: c.config.GetWorkingDir(), Layer: c.layer, Expose: argv,
		Hostname:     c.sandbox.config.GetHostname(),
		Hidden:       r.hiddenFrom(c.sandbox),
		Capabilities: c.config.GetLinux().GetSecurityContext().GetCapabilities().GetAddCapabilities(),
		Mounts:       []mounts.Mount{{Source: c.sandbox.resolvConf(), Target: "/etc/resolv.conf", ReadOnly: true}},
		ReadOnlyRoot: c.config.GetLinux().GetSecurityContext().GetReadonlyRootfs(),
	}
	for _, mount := range c.config.GetMounts() {
		if mount.GetImage() != nil {
			return nil, nil, fmt.Errorf("mount %s: image volumes are not supported by the lab", mount.GetContainerPath())
		}
		orders.Mounts = append(orders.Mounts, mounts.Mount{Source: mount.GetHostPath(), Target: mount.GetContainerPath(), ReadOnly: mount.GetReadonly()})
	}
	streams, files, err := newStdio(c.config.GetStdin(), c.config.GetTty())
	if err != nil {
		return nil, nil, err
	}
	process, err := r.launcher.Start(launch.Spec{
		Orders: orders, Stdin: files.in, Stdout: files.out, Stderr: files.err, TTY: c.config.GetTty(),
		Join: []launch.Namespace{{Flag: unix.CLONE_NEWNET, File: namespace}},
	})
	files.close()
	if err != nil {
		streams.abandon()
		return nil, nil, err
	}
	streams.record(c.log)
	return process, streams, nil
}

// hiddenFrom is what the containers of a pod do not see: all of the node's secrets but the pod's own volumes.
func (r *Runtime) hiddenFrom(s *sandbox) mounts.Hidden {
	return mounts.Hidden{
		Paths: r.node.HiddenPaths, Homes: r.node.Homes, Kept: r.node.KeptPaths,
		Own: []string{r.node.PodDir(s.config.GetMetadata().GetUid()), s.folder},
	}
}

// environment is the pod's, and what every container has.
func (c *container) environment() []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = fallbackPath
	}
	env := []string{"PATH=" + path, "HOME=/", "HOSTNAME=" + c.sandbox.config.GetHostname()}
	if c.config.GetTty() {
		env = append(env, "TERM=xterm")
	}
	set := map[string]int{}
	for i, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		set[name] = i
	}
	for _, pair := range c.config.GetEnvs() {
		text := pair.GetKey() + "=" + string(pair.GetValue()) // bytes from 1.36 on
		if i, ok := set[pair.GetKey()]; ok {
			env[i] = text
			continue
		}
		set[pair.GetKey()] = len(env)
		env = append(env, text)
	}
	return env
}

// stopSignal is the pod's choice, or SIGTERM.
func (c *container) stopSignal() syscall.Signal {
	if signal := c.config.GetStopSignal(); signal != runtimeapi.Signal_RUNTIME_DEFAULT {
		if number := unix.SignalNum(signal.String()); number != 0 {
			return number
		}
	}
	return syscall.SIGTERM
}

// standInWorkload lets a stand-in end as a well-behaved program does: it finishes its requests when it is asked to
// stop, and exits with 0.
type standInWorkload struct {
	server *standin.Server
	cancel context.CancelFunc
	ctx    context.Context
	asked  chan syscall.Signal
	done   chan struct{}
	exit   launch.Exit
}

func (c *container) runStandIn(namespace *os.File, nodeIP string) (workload, *stdio, error) {
	ports, err := standInPorts(c.config.GetAnnotations()[cri.PortsAnnotation])
	if err != nil {
		return nil, nil, err
	}
	address := "0.0.0.0"
	if c.sandbox.hostNetwork {
		address = nodeIP
	}
	logged := logWriter{c.log}
	fmt.Fprintf(logged, "stand-in for image %s on ports %v\n", c.image(), ports)
	server, err := standin.Start(namespace, address, ports, c.sandbox.config.GetMetadata().GetName(), logged)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &standInWorkload{server: server, cancel: cancel, ctx: ctx, asked: make(chan syscall.Signal, 1), done: make(chan struct{})}
	if c.config.GetAnnotations()[cri.RunToCompletionAnnotation] == "true" {
		w.Signal(syscall.SIGTERM)
	}
	go w.wait()
	return w, &stdio{}, nil
}

func (w *standInWorkload) wait() {
	defer close(w.done)
	select {
	case <-w.asked:
	case <-w.ctx.Done():
	}
	w.server.Stop(w.ctx)
	if w.ctx.Err() != nil {
		w.exit = launch.Exit{Code: 128 + int(syscall.SIGKILL), Signal: syscall.SIGKILL}
	}
}

// Signal implements workload.
func (w *standInWorkload) Signal(signal syscall.Signal) {
	if signal == syscall.SIGKILL {
		w.cancel()
		return
	}
	select {
	case w.asked <- signal:
	default: // asked already
	}
}

// Done implements workload.
func (w *standInWorkload) Done() <-chan struct{} { return w.done }

// Exit implements workload.
func (w *standInWorkload) Exit() launch.Exit { return w.exit }

// standInPorts reads the kubelet's annotation: the TCP ports that the container declares, each once.
func standInPorts(annotation string) ([]int, error) {
	if annotation == "" {
		return nil, nil
	}
	var declared []struct {
		Port     int    `json:"containerPort"`
		Protocol string `json:"protocol"`
	}
	if err := json.Unmarshal([]byte(annotation), &declared); err != nil {
		return nil, fmt.Errorf("declared ports: %w", err)
	}
	var ports []int
	seen := map[int]bool{}
	for _, port := range declared {
		if (port.Protocol == "" || port.Protocol == "TCP") && !seen[port.Port] {
			seen[port.Port] = true
			ports = append(ports, port.Port)
		}
	}
	return ports, nil
}

// logWriter writes whole lines to a container's log.
type logWriter struct{ log *crilog.File }

// Write implements io.Writer for text that ends in a newline.
func (w logWriter) Write(text []byte) (int, error) {
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if err := w.log.Line(crilog.Stdout, []byte(line), true); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}

var _ io.Writer = logWriter{}
