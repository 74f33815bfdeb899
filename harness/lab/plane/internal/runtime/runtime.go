// Package runtime is a node's container runtime: CRI v1 for the kubelet, with processes of this machine as
// containers and no images.
//
// Its state is in memory only, because its containers die with it: a runtime which is started again has none, and
// the kubelet starts the pods anew, as after a power loss.
package runtime

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"taintlab.dev/plane/internal/dials"
	"taintlab.dev/plane/internal/launch"
	"taintlab.dev/plane/internal/netns"
	"taintlab.dev/plane/internal/nodespec"
	"taintlab.dev/plane/internal/podnet"
	"taintlab.dev/plane/internal/procstat"
	"taintlab.dev/plane/internal/programs"
	"taintlab.dev/plane/internal/streaming"
)

// sampleAge is how old a figure of memory, processor or disk use may be when the kubelet asks: it asks in bursts.
const (
	sampleAge = time.Second
	diskAge   = 10 * time.Second
)

// Runtime implements the CRI's RuntimeService.
type Runtime struct {
	runtimeapi.UnimplementedRuntimeServiceServer

	node      *nodespec.Node
	programs  programs.Table
	dials     *dials.Reader
	launcher  *launch.Launcher
	network   *podnet.Node
	addresses *podnet.Pool
	// lab is the lab's network namespace, which pods with hostNetwork share.
	lab     *os.File
	sampler *procstat.Sampler
	stream  *streaming.Server

	mu         sync.Mutex
	sandboxes  map[string]*sandbox
	containers map[string]*container
}

// New prepares a node: its route and address pool in the lab's network (which the calling process is in), an empty
// folder for writable layers, and the server for exec, attach and port-forward.
func New(node *nodespec.Node, table programs.Table, figures *dials.Reader) (*Runtime, error) {
	pods, err := netip.ParsePrefix(node.PodCIDR)
	if err != nil {
		return nil, err
	}
	address, err := netip.ParseAddr(node.NodeIP)
	if err != nil {
		return nil, err
	}
	r := &Runtime{
		node: node, programs: table, dials: figures, sampler: procstat.NewSampler(sampleAge), launcher: launch.New(),
		sandboxes: map[string]*sandbox{}, containers: map[string]*container{},
	}
	if err := removeLayers(node.LayersDir()); err != nil {
		return nil, fmt.Errorf("writable layers of an earlier run: %w", err)
	}
	if r.lab, err = netns.Own(); err != nil {
		return nil, err
	}
	if r.addresses, err = podnet.NewPool(pods); err != nil {
		return nil, err
	}
	if r.network, err = podnet.NewNode(node.Index, address, pods); err != nil {
		return nil, fmt.Errorf("network of node %s: %w", node.Name, err)
	}
	// Written last: the kubelet takes it for the sign that this machine has come up anew.
	if err := os.WriteFile(node.BootIDFile(), []byte(newID()[:32]+"\n"), 0o644); err != nil {
		return nil, err
	}
	if r.stream, err = streaming.Start(streams{r}); err != nil {
		return nil, err
	}
	return r, nil
}

// newID is a name that no sandbox or container had before, in the form of container engines.
func newID() string {
	var id [32]byte
	// crypto/rand never fails on Linux; it ends the process instead.
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

func (r *Runtime) sandbox(id string) (*sandbox, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.sandboxes[id]; ok {
		return s, nil
	}
	return nil, status.Errorf(codes.NotFound, "no sandbox %s", id)
}

func (r *Runtime) container(id string) (*container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.containers[id]; ok {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "no container %s", id)
}

// containersOf are the containers of a sandbox, in the order in which they were created.
func (r *Runtime) containersOf(sandboxID string) []*container {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*container
	for _, c := range r.containers {
		if c.sandbox.id == sandboxID {
			list = append(list, c)
		}
	}
	sortByCreation(list)
	return list
}
