// Package launch starts processes in namespaces of their own, so that each dies with the runtime.
//
// Linux sends the parent-death signal when the *thread* which forked a child ends. So one thread of the runtime,
// which never ends, forks all containers. A process that joins a container needs a thread of its own: the thread
// has to stand in the container's PID namespace to fork into it, and without root it cannot get back.
package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"taintlab.dev/plane/internal/shim"
)

// Namespace is an open namespace to join and its clone flag.
type Namespace struct {
	Flag int
	File *os.File
}

// Spec is one process to start.
type Spec struct {
	Orders shim.Orders
	// Stdin, Stdout and Stderr become the process's; nil means /dev/null.
	Stdin, Stdout, Stderr *os.File
	// TTY makes Stdin the controlling terminal.
	TTY bool
	// Join are namespaces which the process enters by itself. Its Orders.Namespaces are filled in from them.
	Join []Namespace
	// PIDNamespace is the PID namespace to fork into; nil makes a new container: its own PID, mount, UTS and IPC
	// namespaces, with the program as process 1.
	PIDNamespace *os.File
}

// Exit is how a process ended.
type Exit struct {
	// Code is the exit code, 128 plus the signal's number for a signal.
	Code   int
	Signal syscall.Signal
}

// Process is a process that was started.
type Process struct {
	PID  int
	done chan struct{}
	exit Exit
	os   *os.Process
}

// Launcher starts processes. Use New.
type Launcher struct {
	requests chan func()
}

// New starts the launcher's thread, which lives as long as the calling process.
func New() *Launcher {
	l := &Launcher{requests: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for request := range l.requests {
			request()
		}
	}()
	return l
}

// Start starts a process and returns when its program runs, or why it does not.
func (l *Launcher) Start(spec Spec) (*Process, error) {
	devNull, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer devNull.Close()
	ordersRead, ordersWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ordersWrite.Close()
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, ordersRead.Close())
	}
	defer reportRead.Close()

	files := []*os.File{orNull(spec.Stdin, devNull), orNull(spec.Stdout, devNull), orNull(spec.Stderr, devNull), ordersRead, reportWrite}
	for _, namespace := range spec.Join {
		spec.Orders.Namespaces = append(spec.Orders.Namespaces, namespace.Flag)
		files = append(files, namespace.File)
	}
	content, err := json.Marshal(spec.Orders)
	if err != nil {
		return nil, err
	}
	process, err := l.fork(spec, files)
	ordersRead.Close()
	reportWrite.Close()
	if err != nil {
		return nil, err
	}
	_, writeErr := ordersWrite.Write(content)
	ordersWrite.Close()
	report, readErr := io.ReadAll(reportRead)
	if writeErr != nil || readErr != nil || len(report) > 0 {
		process.Signal(syscall.SIGKILL)
		<-process.Done()
		if len(report) > 0 {
			return nil, errors.New(string(report))
		}
		return nil, fmt.Errorf("the process ended before its program could start (exit code %d): %w", process.Exit().Code, errors.Join(writeErr, readErr))
	}
	return process, nil
}

func (l *Launcher) fork(spec Spec, files []*os.File) (*Process, error) {
	attributes := &os.ProcAttr{Files: files, Env: []string{}, Sys: &syscall.SysProcAttr{
		// The shim asks for the parent-death signal by itself: SysProcAttr.Pdeathsig checks the parent's process id,
		// which does not exist in another PID namespace, and would kill the child.
		Setsid: true, Setctty: spec.TTY, Ctty: 0,
	}}
	if spec.PIDNamespace == nil {
		attributes.Sys.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC
	}
	started := make(chan result)
	if spec.PIDNamespace == nil {
		l.requests <- func() { started <- start(attributes) }
	} else {
		go forkInto(spec.PIDNamespace, attributes, started)
	}
	outcome := <-started
	return outcome.process, outcome.err
}

type result struct {
	process *Process
	err     error
}

// forkInto starts a process in another PID namespace and keeps the thread until the process has ended.
func forkInto(namespace *os.File, attributes *os.ProcAttr, started chan<- result) {
	runtime.LockOSThread()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWPID); err != nil {
		runtime.UnlockOSThread()
		started <- result{err: fmt.Errorf("enter the container's PID namespace: %w", err)}
		return
	}
	outcome := start(attributes)
	started <- outcome
	if outcome.process != nil {
		<-outcome.process.Done()
	}
	// Not unlocked: the thread belongs to the other namespace for good and ends here.
}

func start(attributes *os.ProcAttr) result {
	process, err := os.StartProcess("/proc/self/exe", []string{"noderuntime", "init"}, attributes)
	if err != nil {
		return result{err: fmt.Errorf("start a process: %w", err)}
	}
	p := &Process{PID: process.Pid, done: make(chan struct{}), os: process}
	go p.wait()
	return result{process: p}
}

func (p *Process) wait() {
	defer close(p.done)
	state, err := p.os.Wait()
	if err != nil {
		p.exit = Exit{Code: 255}
		return
	}
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		p.exit = Exit{Code: 128 + int(status.Signal()), Signal: status.Signal()}
		return
	}
	p.exit = Exit{Code: state.ExitCode()}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit tells how the process ended; it is valid once Done is closed.
func (p *Process) Exit() Exit { return p.exit }

// Signal sends a signal. A process which has ended already is no matter.
func (p *Process) Signal(signal syscall.Signal) {
	// os.Process holds a pidfd where the kernel has them: a recycled process id is never hit.
	_ = p.os.Signal(signal)
}

// KillGroup kills the process and those of its descendants which stayed in its process group.
func (p *Process) KillGroup() {
	select {
	case <-p.done:
		// The leader is gone, but its number is not given to another while its group has members.
	default:
	}
	// A group without members is no matter.
	_ = unix.Kill(-p.PID, unix.SIGKILL)
}

func orNull(file, null *os.File) *os.File {
	if file == nil {
		return null
	}
	return file
}
