// Command noderuntime is the small program of the lab: a node's container runtime, and what needs the lab's network
// namespace. Its first argument says which.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"taintlab.dev/plane/internal/shim"
)

const usage = `usage:
  noderuntime serve --node FILE             the container runtime of one node (CRI v1)
  noderuntime network up --node-ips A,B,..  make this network namespace the lab's
  noderuntime network add-ip A              one more node address
  noderuntime door --door FD=HOST:PORT ..   pass connections of inherited listening sockets on
`

// commands maps the first argument to what runs; the result is the exit code.
var commands = map[string]func(args []string) error{
	"serve":   serve,
	"network": network,
	"door":    doors,
}

func init() {
	// The main thread is kept for main. The shim becomes the container's program and must do so on it, because only
	// there the parent-death signal survives. The runtime lets goroutines enter other network namespaces, and some
	// end with their thread; the main thread cannot end, and would stay in a pod's namespace for good.
	runtime.LockOSThread()
}

func isShim() bool { return len(os.Args) == 2 && os.Args[1] == "init" }

func main() {
	if isShim() {
		os.Exit(shim.Main())
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "noderuntime %s: %s\n", os.Args[1], strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}
