package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"taintlab.dev/plane/internal/cadvisor"
	"taintlab.dev/plane/internal/dials"
	"taintlab.dev/plane/internal/nodespec"
)

// insideVariable tells the kubelet that it has executed itself in a mount namespace of its own: insideDone, or why
// it could not.
const (
	insideVariable = "TAINTLAB_KUBELET_INSIDE"
	insideDone     = "done"
)

// outside is why this process has no mount namespace of its own; empty if it has.
var outside string

// maxProcesses is the most processes that a node can have: Linux's default for machines of up to 32 cores.
const maxProcesses = 32768

// EnterNamespace moves the process into a mount namespace of its own, in which the few files of the machine that the
// kubelet reads for itself show the node's figures: the number of processes and its limit, and a kernel log without
// the machine's own troubles. It returns when the process is there, having executed itself again in between; it must
// be called on the main thread.
func EnterNamespace(args []string) error {
	if inside := os.Getenv(insideVariable); inside != "" {
		if inside != insideDone {
			outside = inside
		}
		return os.Unsetenv(insideVariable)
	}
	file, err := nodeFile(args)
	if err != nil {
		return err
	}
	node, err := nodespec.Read(file)
	if err != nil {
		return err
	}
	inside := insideDone
	if err := cover(node); err != nil {
		// All works without, but for figures of processes.
		inside = fmt.Sprintf("the kubelet has no mount namespace of its own: %v", err)
	}
	// By its own name if it still has one, so that the process is listed under it.
	program, err := os.Executable()
	if _, gone := os.Stat(program); err != nil || gone != nil {
		program = "/proc/self/exe"
	}
	return fmt.Errorf("execute again: %w", syscall.Exec(program, os.Args, append(os.Environ(), insideVariable+"="+inside)))
}

// covers are the machine's files that are covered, and by what.
func covers(node *nodespec.Node) map[string]string {
	return map[string]string{
		"/proc/loadavg":                figureFile(node, "loadavg"),
		"/proc/sys/kernel/pid_max":     figureFile(node, "pid_max"),
		"/proc/sys/kernel/threads-max": figureFile(node, "threads-max"),
		"/dev/kmsg":                    os.DevNull,
	}
}

func figureFile(node *nodespec.Node, name string) string { return node.Under("figures", name) }

func cover(node *nodespec.Node) error {
	limit := fmt.Appendf(nil, "%d\n", maxProcesses)
	for name, content := range map[string][]byte{"loadavg": loadavg(0), "pid_max": limit, "threads-max": limit} {
		path := figureFile(node, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			return err
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for at, source := range covers(node) {
		if _, err := os.Stat(at); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := unix.Mount(source, at, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

// loadavg is the content of /proc/loadavg on a machine with so many processes, always equally long: written over the
// old in one piece, a reader sees either.
func loadavg(processes uint64) []byte {
	return fmt.Appendf(nil, "0.00 0.00 0.00 1/%010d 1\n", processes)
}

// processFigures keeps the number of processes that the kubelet reads: that of the node's pods, or the dial.
type processFigures struct {
	path  string
	dials *dials.Reader
	usage *cadvisor.Usage

	// problem is why the figures do not reach the kubelet; empty if they do.
	problem string

	mu   sync.Mutex
	last uint64
	told bool
}

func newProcessFigures(node *nodespec.Node, figures *dials.Reader, usage *cadvisor.Usage) *processFigures {
	return &processFigures{path: figureFile(node, "loadavg"), dials: figures, usage: usage, problem: outside}
}

// refresh writes the number as of now; the kubelet reads it right afterwards.
func (p *processFigures) refresh() {
	available, dialed := p.dials.Current().Node(dials.PIDAvailable)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.problem != "" {
		if dialed && !p.told {
			klog.ErrorS(nil, "The dial pid.available has no effect: the kubelet reads the machine's own figures", "reason", p.problem)
		}
		p.told = dialed
		return
	}
	processes := p.usage.Processes()
	if dialed {
		processes = maxProcesses - min(available, maxProcesses)
	}
	if processes == p.last {
		return
	}
	if err := p.write(loadavg(processes)); err != nil {
		klog.ErrorS(err, "Number of processes not written", "file", p.path)
		return
	}
	p.last = processes
}

// write writes over the file's content: what is mounted is this very file, not its name.
func (p *processFigures) write(content []byte) error {
	file, err := os.OpenFile(p.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(content, 0)
	return errors.Join(err, file.Close())
}
