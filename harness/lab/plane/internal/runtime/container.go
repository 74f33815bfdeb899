package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"taintlab.dev/plane/internal/crilog"
	"taintlab.dev/plane/internal/launch"
)

// The reasons of container states, as container engines name them; the kubelet shows them.
const (
	reasonCompleted   = "Completed"
	reasonError       = "Error"
	reasonStartFailed = "StartError"
)

// startFailedCode is the exit code of a container whose program could not be started, as container engines give it.
const startFailedCode = 128

// workload is what runs in a container: a process or a stand-in.
type workload interface {
	// Signal asks it to end (any signal) or ends it (SIGKILL).
	Signal(syscall.Signal)
	Done() <-chan struct{}
	// Exit is valid once Done is closed.
	Exit() launch.Exit
}

type container struct {
	id      string
	sandbox *sandbox
	config  *runtimeapi.ContainerConfig
	created time.Time
	logPath string
	// layer is the folder of the writable layer.
	layer string
	disk  diskUsage

	mu       sync.Mutex
	state    runtimeapi.ContainerState
	started  time.Time
	finished time.Time
	exit     launch.Exit
	reason   string
	message  string
	// resources are what the kubelet last asked for; nothing enforces them.
	resources *runtimeapi.LinuxContainerResources
	running   workload
	log       *crilog.File
	io        *stdio
	// ended is closed when the state is final; nil until the container is started.
	ended chan struct{}
}

func sortByCreation(list []*container) {
	slices.SortFunc(list, func(a, b *container) int { return a.created.Compare(b.created) })
}

// image is the name as the pod's author wrote it.
func (c *container) image() string {
	if name := c.config.GetImage().GetUserSpecifiedImage(); name != "" {
		return name
	}
	return strings.TrimPrefix(c.config.GetImage().GetImage(), imageIDPrefix)
}

// CreateContainer implements the CRI.
func (r *Runtime) CreateContainer(_ context.Context, request *runtimeapi.CreateContainerRequest) (*runtimeapi.CreateContainerResponse, error) {
	s, err := r.sandbox(request.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	if !s.isReady() {
		return nil, status.Errorf(codes.FailedPrecondition, "sandbox %s is stopped", s.id)
	}
	directory := request.GetSandboxConfig().GetLogDirectory()
	if directory == "" || request.GetConfig().GetLogPath() == "" {
		// With an empty path in the status, the kubelet's log clean-up would delete files of its working directory.
		return nil, status.Error(codes.InvalidArgument, "a container without log path is not accepted")
	}
	c := &container{
		id: newID(), sandbox: s, config: request.GetConfig(), created: time.Now(),
		logPath:   filepath.Join(directory, request.GetConfig().GetLogPath()),
		resources: request.GetConfig().GetLinux().GetResources(),
		state:     runtimeapi.ContainerState_CONTAINER_CREATED,
	}
	c.layer = filepath.Join(r.node.LayersDir(), c.id)
	if err := os.MkdirAll(c.layer, 0o755); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.containers[c.id] = c
	r.mu.Unlock()
	return &runtimeapi.CreateContainerResponse{ContainerId: c.id}, nil
}

// StartContainer implements the CRI. When it returns without error the program runs (the kernel has accepted it).
func (r *Runtime) StartContainer(_ context.Context, request *runtimeapi.StartContainerRequest) (*runtimeapi.StartContainerResponse, error) {
	c, err := r.container(request.GetContainerId())
	if err != nil {
		return nil, err
	}
	if err := c.claim(); err != nil {
		return nil, err
	}
	// Not under the lock: others must be able to ask for the state while a start takes its time.
	running, streams, err := r.run(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.state, c.finished = runtimeapi.ContainerState_CONTAINER_EXITED, time.Now()
		c.exit, c.reason, c.message = launch.Exit{Code: startFailedCode}, reasonStartFailed, err.Error()
		close(c.ended)
		return nil, errors.Join(err, c.log.Close())
	}
	c.state, c.running, c.io = runtimeapi.ContainerState_CONTAINER_RUNNING, running, streams
	go c.finish()
	return &runtimeapi.StartContainerResponse{}, nil
}

// claim opens the log and makes sure that a container is started once.
func (c *container) claim() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return status.Errorf(codes.FailedPrecondition, "container %s was started before", c.id)
	}
	log, err := crilog.Open(c.logPath, time.Now)
	if err != nil {
		return err
	}
	c.log, c.ended, c.started = log, make(chan struct{}), time.Now()
	return nil
}

// finish waits for the end of what runs and of its output, and makes the state final.
func (c *container) finish() {
	<-c.running.Done()
	c.io.wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.finished, c.exit = runtimeapi.ContainerState_CONTAINER_EXITED, time.Now(), c.running.Exit()
	c.reason = reasonCompleted
	if c.exit.Code != 0 {
		c.reason = reasonError
	}
	// The log's last lines are written; a failing close has nobody to be told to.
	_ = c.log.Close()
	close(c.ended)
}

// StopContainer implements the CRI.
func (r *Runtime) StopContainer(ctx context.Context, request *runtimeapi.StopContainerRequest) (*runtimeapi.StopContainerResponse, error) {
	c, err := r.container(request.GetContainerId())
	if status.Code(err) == codes.NotFound {
		return &runtimeapi.StopContainerResponse{}, nil
	}
	grace := time.Duration(request.GetTimeout()) * time.Second
	return &runtimeapi.StopContainerResponse{}, c.stop(ctx, grace)
}

// stop asks the program to end, and ends it when the grace period is over. It returns when it has ended; the error
// is the context's.
func (c *container) stop(ctx context.Context, grace time.Duration) error {
	c.mu.Lock()
	running, ended := c.running, c.ended
	c.mu.Unlock()
	if running == nil {
		return nil
	}
	if grace > 0 {
		running.Signal(c.stopSignal())
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-ended:
			return nil
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	running.Signal(syscall.SIGKILL)
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// RemoveContainer implements the CRI; it may be called again.
func (r *Runtime) RemoveContainer(ctx context.Context, request *runtimeapi.RemoveContainerRequest) (*runtimeapi.RemoveContainerResponse, error) {
	c, err := r.container(request.GetContainerId())
	if status.Code(err) == codes.NotFound {
		return &runtimeapi.RemoveContainerResponse{}, nil
	}
	return &runtimeapi.RemoveContainerResponse{}, r.remove(ctx, c)
}

func (r *Runtime) remove(ctx context.Context, c *container) error {
	if err := c.stop(ctx, 0); err != nil {
		return err
	}
	r.mu.Lock()
	delete(r.containers, c.id)
	r.mu.Unlock()
	if err := removeLayers(c.layer); err != nil {
		return fmt.Errorf("writable layer of %s: %w", c.id, err)
	}
	return nil
}

// ReopenContainerLog implements the CRI: the kubelet has moved the log away.
func (r *Runtime) ReopenContainerLog(_ context.Context, request *runtimeapi.ReopenContainerLogRequest) (*runtimeapi.ReopenContainerLogResponse, error) {
	c, err := r.container(request.GetContainerId())
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != runtimeapi.ContainerState_CONTAINER_RUNNING {
		return nil, status.Errorf(codes.FailedPrecondition, "container %s does not run", c.id)
	}
	return &runtimeapi.ReopenContainerLogResponse{}, c.log.Reopen()
}

// UpdateContainerResources implements the CRI. What is asked for is remembered and shown, not enforced.
func (r *Runtime) UpdateContainerResources(_ context.Context, request *runtimeapi.UpdateContainerResourcesRequest) (*runtimeapi.UpdateContainerResourcesResponse, error) {
	c, err := r.container(request.GetContainerId())
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if request.GetLinux() != nil {
		c.resources = request.GetLinux()
	}
	return &runtimeapi.UpdateContainerResourcesResponse{}, nil
}
