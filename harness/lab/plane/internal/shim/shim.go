// Package shim is the last thing that runs before a container's program: the runtime starts its own executable
// again as `noderuntime init`, this package makes the process into a container, and the program takes its place.
//
// The process is already in its own PID, mount and UTS namespaces (a container) or in the PID namespace of one
// (exec). It gets its orders as JSON on descriptor 3 and reports on descriptor 4: nothing at all means that the
// program runs, anything else is why it does not. Both are closed by the kernel when the program starts.
package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"taintlab.dev/plane/internal/mounts"
)

// The descriptors which the runtime passes. Namespaces follow from FirstNamespaceFD in the order of
// Orders.Namespaces.
const (
	OrdersFD         = 3
	ReportFD         = 4
	FirstNamespaceFD = 5
)

// Orders is what the process becomes.
type Orders struct {
	Argv []string `json:"argv"`
	Env  []string `json:"env"`
	// WorkingDir is made if the container's file system does not have it; empty means the root.
	WorkingDir string `json:"workingDir"`
	// Namespaces are the clone flags of the namespaces to join, a descriptor each.
	Namespaces []int `json:"namespaces"`
	// Layer is the folder of the container's writable layer; empty means: the file system is there already (exec).
	Layer  string         `json:"layer"`
	Mounts []mounts.Mount `json:"mounts"`
	// Expose are paths of the machine which stay visible below directories that the container gets empty.
	Expose []string `json:"expose"`
	// Hidden is what of the machine the container does not see.
	Hidden mounts.Hidden `json:"hidden"`
	// Capabilities are those which the program may have beside the usual ones (rights.go).
	Capabilities []string `json:"capabilities"`
	// ReadOnlyRoot takes the right to write to the container's own layer away; volumes keep theirs.
	ReadOnlyRoot bool `json:"readOnlyRoot"`
	// Hostname is set in the UTS namespace unless it is empty.
	Hostname string `json:"hostname"`
}

// Main obeys the orders. It returns only if the program could not be started, with the process's exit code; the
// reason has then been reported.
func Main() int {
	// Descriptors are inherited by the program unless told otherwise.
	unix.CloseOnExec(OrdersFD)
	unix.CloseOnExec(ReportFD)
	report := os.NewFile(ReportFD, "report")
	err := dieWithRuntime()
	var orders *Orders
	if err == nil {
		orders, err = read(os.NewFile(OrdersFD, "orders"))
	}
	if err == nil {
		err = obey(orders)
	}
	fmt.Fprint(report, err)
	return 1
}

// dieWithRuntime has the kernel kill this process, and so the program, when the runtime ends. A runtime which ended
// before is known by the report that nobody can read any more: a process closes its files before it is mourned.
func dieWithRuntime() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("parent-death signal: %w", err)
	}
	poll := []unix.PollFd{{Fd: ReportFD}}
	if _, err := unix.Poll(poll, 0); err != nil {
		return fmt.Errorf("look for the runtime: %w", err)
	}
	if poll[0].Revents&unix.POLLERR != 0 {
		return errors.New("the container runtime is gone")
	}
	return nil
}

// read reads the orders to their end. A runtime which died before it gave them all leaves no valid orders.
func read(file *os.File) (*Orders, error) {
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	orders := &Orders{}
	if err := json.Unmarshal(content, orders); err != nil {
		return nil, fmt.Errorf("orders of the container runtime: %w", err)
	}
	return orders, nil
}

func obey(orders *Orders) error {
	for i, flag := range orders.Namespaces {
		fd := FirstNamespaceFD + i
		unix.CloseOnExec(fd)
		if flag == unix.CLONE_NEWNS {
			// A mount namespace cannot be joined by a thread which shares its root and working directory.
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return fmt.Errorf("unshare file system attributes: %w", err)
			}
		}
		if err := unix.Setns(fd, flag); err != nil {
			return fmt.Errorf("join namespace %#x: %w", flag, err)
		}
	}
	if orders.Hostname != "" {
		if err := unix.Sethostname([]byte(orders.Hostname)); err != nil {
			return fmt.Errorf("set the hostname: %w", err)
		}
	}
	var own []string
	if orders.Layer != "" {
		steps, err := mounts.Plan(mounts.Machine{}, orders.Mounts, orders.Expose, orders.WorkingDir, orders.Hidden)
		if err != nil {
			return err
		}
		if own, err = mounts.Enter(orders.Layer, steps); err != nil {
			return err
		}
	}
	unix.Umask(0o022)
	if orders.WorkingDir != "" {
		if err := os.Chdir(orders.WorkingDir); err != nil {
			return fmt.Errorf("working directory: %w", err)
		}
	}
	if orders.ReadOnlyRoot {
		if err := mounts.Seal(own); err != nil {
			return err
		}
	}
	program, err := find(orders.Argv[0], orders.Env)
	if err != nil {
		return err
	}
	if err := giveUpRights(orders.Capabilities); err != nil {
		return err
	}
	return fmt.Errorf("exec %s: %w", program, syscall.Exec(program, orders.Argv, orders.Env))
}

// find looks a program up as a shell would, on the container's own PATH.
func find(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		info, err := os.Stat(name)
		if err != nil {
			return "", fmt.Errorf("program %s does not exist on this machine, whose file system the container runs on", name)
		}
		if info.IsDir() || info.Mode()&0o111 == 0 {
			return "", fmt.Errorf("program %s is not an executable file on this machine", name)
		}
		return name, nil
	}
	for _, dir := range filepath.SplitList(lookup(env, "PATH")) {
		candidate := filepath.Join(dir, name)
		if info, err := os.Stat(candidate); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("program %s is not found on this machine, whose file system the container runs on (PATH=%s)", name, lookup(env, "PATH"))
}

func lookup(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(env[i], name+"="); ok {
			return value
		}
	}
	return ""
}
