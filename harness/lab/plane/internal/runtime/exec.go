package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	utilexec "k8s.io/utils/exec"

	"taintlab.dev/plane/internal/launch"
	"taintlab.dev/plane/internal/shim"
	"taintlab.dev/plane/internal/streaming"
)

// maxExecOutput bounds what ExecSync keeps of each stream, as the CRI says.
const maxExecOutput = 16 << 20

// standInExecCode answers an interactive exec into a stand-in: "command cannot be executed".
const standInExecCode = 126

// inside starts a command in a running container: its file system, network, process table and environment.
func (r *Runtime) inside(c *container, command []string, files ends, tty bool) (*launch.Process, error) {
	if len(command) == 0 {
		return nil, status.Error(codes.InvalidArgument, "no command")
	}
	process, err := c.process()
	if err != nil {
		return nil, err
	}
	folder := "/proc/" + strconv.Itoa(process.PID) + "/ns/"
	open := func(name string) (*os.File, error) { return os.Open(folder + name) }
	pidNamespace, err := open("pid")
	if err != nil {
		return nil, err
	}
	defer pidNamespace.Close()
	spec := launch.Spec{
		Orders: shim.Orders{Argv: command, Env: c.environment(), WorkingDir: c.config.GetWorkingDir(), Capabilities: c.config.GetLinux().GetSecurityContext().GetCapabilities().GetAddCapabilities()},
		Stdin:  files.in, Stdout: files.out, Stderr: files.err, TTY: tty, PIDNamespace: pidNamespace,
	}
	for _, join := range []struct {
		name string
		flag int
	}{{"uts", unix.CLONE_NEWUTS}, {"ipc", unix.CLONE_NEWIPC}, {"net", unix.CLONE_NEWNET}, {"mnt", unix.CLONE_NEWNS}} {
		file, err := open(join.name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		spec.Join = append(spec.Join, launch.Namespace{Flag: join.flag, File: file})
	}
	// The process id was the program's while these were opened only if the program has not ended by now.
	if _, err := c.process(); err != nil {
		return nil, err
	}
	return r.launcher.Start(spec)
}

// process is the container's program; errStandIn if it has none, FailedPrecondition if it does not run.
func (c *container) process() (*launch.Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != runtimeapi.ContainerState_CONTAINER_RUNNING {
		return nil, status.Errorf(codes.FailedPrecondition, "container %s does not run", c.id)
	}
	process, ok := c.running.(*launch.Process)
	if !ok {
		return nil, errStandIn
	}
	return process, nil
}

var errStandIn = errors.New("the container is a stand-in: it has no program, and no command was run in it")

// ExecSync implements the CRI, for probes and hooks. In a stand-in every command succeeds without being run: the
// stand-in stands for a program that is well.
func (r *Runtime) ExecSync(ctx context.Context, request *runtimeapi.ExecSyncRequest) (*runtimeapi.ExecSyncResponse, error) {
	c, err := r.container(request.GetContainerId())
	if err != nil {
		return nil, err
	}
	if timeout := request.GetTimeout(); timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(timeout)*time.Second)
		defer cancel()
	}
	streams, files, err := newStdio(false, false)
	if err != nil {
		return nil, err
	}
	process, err := r.inside(c, request.GetCmd(), files, false)
	files.close()
	if err != nil {
		streams.abandon()
		if errors.Is(err, errStandIn) {
			return &runtimeapi.ExecSyncResponse{Stdout: []byte(err.Error() + "\n")}, nil
		}
		return nil, err
	}
	var stdout, stderr limited
	var pumps sync.WaitGroup
	pumps.Go(func() { stdout.readFrom(streams.out) })
	pumps.Go(func() { stderr.readFrom(streams.err) })
	select {
	case <-process.Done():
	case <-ctx.Done():
		process.KillGroup()
		<-process.Done()
		streams.abandon()
		return nil, status.Errorf(codes.DeadlineExceeded, "command %q timed out", request.GetCmd())
	}
	// Children which the command left behind may hold its output open; it is over all the same.
	finished := make(chan struct{})
	go func() { pumps.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(drainTime):
		process.KillGroup()
	case <-ctx.Done():
	}
	streams.abandon()
	pumps.Wait()
	return &runtimeapi.ExecSyncResponse{Stdout: stdout.bytes(), Stderr: stderr.bytes(), ExitCode: int32(process.Exit().Code)}, nil
}

// drainTime is how long output is waited for after the command itself has ended.
const drainTime = 2 * time.Second

// limited keeps the beginning of a stream and reads the rest for nothing.
type limited struct{ kept bytes.Buffer }

func (l *limited) readFrom(from io.Reader) {
	// The stream ends when the command's end of it is closed, or this one; neither is a failure.
	_, _ = io.Copy(&l.kept, io.LimitReader(from, maxExecOutput))
	_, _ = io.Copy(io.Discard, from)
}

func (l *limited) bytes() []byte { return l.kept.Bytes() }

// Exec implements streaming.Backend, for kubectl exec.
func (s streams) Exec(ctx context.Context, id string, command []string, in io.Reader, out, errOut io.WriteCloser, tty bool, sizes <-chan streaming.TerminalSize) error {
	c, err := s.container(id)
	if err != nil {
		return err
	}
	local, files, err := newStdio(in != nil, tty)
	if err != nil {
		return err
	}
	process, err := s.inside(c, command, files, tty)
	files.close()
	if err != nil {
		local.abandon()
		if errors.Is(err, errStandIn) {
			return utilexec.CodeExitError{Err: err, Code: standInExecCode}
		}
		return err
	}
	if tty {
		go follow(local.terminal, sizes)
	}
	if in != nil {
		go func() {
			// Ends with the caller's input, or when the command has closed its own.
			_, _ = io.Copy(local.in, in)
			if !tty {
				local.in.Close()
			}
		}()
	}
	var pumps sync.WaitGroup
	for _, pair := range []struct {
		to   io.Writer
		from *os.File
	}{{out, local.out}, {errOut, local.err}} {
		if pair.from != nil {
			pumps.Go(func() {
				if pair.to == nil {
					pair.to = io.Discard
				}
				_, _ = io.Copy(pair.to, pair.from)
			})
		}
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		process.KillGroup()
		<-process.Done()
	}
	drained := make(chan struct{})
	go func() { pumps.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(drainTime):
	}
	local.abandon()
	if code := process.Exit().Code; code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
	}
	return nil
}

// Exec implements the CRI: it gives the URL at which the command can be run.
func (r *Runtime) Exec(_ context.Context, request *runtimeapi.ExecRequest) (*runtimeapi.ExecResponse, error) {
	return r.stream.Exec(request)
}

var _ workload = (*launch.Process)(nil)
