// Package nodespec reads node.json, the one file which tells both processes of a node (kubelet and
// container runtime) what the node is.
package nodespec

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
)

// maxSocketPath is the longest path a unix socket can have on Linux (sun_path is 108 bytes with its NUL).
const maxSocketPath = 107

// belowRoot is the longest path below the root folder at which the kubelet opens a unix socket: upstream ends the
// process if it cannot. The name is a random one of at most ten digits before it is renamed.
const belowRoot = len("/kubelet/pod-resources/") + 10

// Taint is one taint the node registers with; an empty Value is a taint without a value.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Effect string `json:"effect"`
}

// Node is one node of the lab. Every path is absolute.
type Node struct {
	// Name is the name of the Node object and its kubernetes.io/hostname label.
	Name string `json:"name"`
	// Index numbers the nodes of a lab from 1; it tells apart what lives in the lab's one network namespace.
	Index int `json:"index"`
	// NodeIP is on an interface of the lab's namespace before the node starts.
	NodeIP string `json:"node_ip"`
	// PodCIDR is where the node's pods get their addresses; no other node may use it.
	PodCIDR string `json:"pod_cidr"`
	// Root is the node's own folder: kubelet state, pod logs, writable layers, dials.json.
	Root string `json:"root"`
	// Kubeconfig is the kubelet's credential (user system:node:NAME, group system:nodes).
	Kubeconfig string `json:"kubeconfig"`
	// RuntimeSocket is where the container runtime serves the CRI.
	RuntimeSocket string `json:"runtime_socket"`
	// ClientCAFile verifies those who call the kubelet's own API (the API server, for logs and exec).
	ClientCAFile string `json:"client_ca_file"`
	// ClusterDNS and ClusterDomain go into each pod's resolv.conf.
	ClusterDNS    string `json:"cluster_dns"`
	ClusterDomain string `json:"cluster_domain"`
	// Capacity is the node's capacity by resource name; anything but cpu, memory, pods and ephemeral-storage
	// is an extended resource.
	Capacity map[string]string `json:"capacity"`
	Labels   map[string]string `json:"labels"`
	Taints   []Taint           `json:"taints"`
	// EvictionHard holds the kubelet's hard eviction thresholds; nil means upstream's defaults.
	EvictionHard map[string]string `json:"eviction_hard"`
	// EvictionPressureTransitionS is how long a pressure condition outlives its cause, in seconds; 0 means
	// upstream's default of 300.
	EvictionPressureTransitionS int `json:"eviction_pressure_transition_s"`
	// Programs is the path of programs.json.
	Programs string `json:"programs"`
	// HiddenPaths are shown to no container and may not be mounted: the lab's own files, and other labs'.
	HiddenPaths []string `json:"hidden_paths"`
	// Homes are the home directories whose entries with a dot are hidden likewise, but for KeptPaths.
	Homes     []string `json:"homes"`
	KeptPaths []string `json:"kept_paths"`
	// FeatureGates are the kubelet's feature gates.
	FeatureGates map[string]bool `json:"feature_gates"`
}

// Read reads and checks the file. Unknown keys are errors, and every problem found is named at once.
func Read(path string) (*Node, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("node file: %w", err)
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	node := &Node{}
	if err := decoder.Decode(node); err != nil {
		return nil, fmt.Errorf("node file %s: %w", path, err)
	}
	if err := node.check(); err != nil {
		return nil, fmt.Errorf("node file %s: %w", path, err)
	}
	return node, nil
}

func (n *Node) check() error {
	var problems []error
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if n.Name == "" {
		complain("name is empty")
	}
	if n.Index < 1 {
		complain("index is %d, it starts at 1", n.Index)
	}
	if _, err := netip.ParseAddr(n.NodeIP); err != nil {
		complain("node_ip: %w", err)
	}
	if _, err := netip.ParsePrefix(n.PodCIDR); err != nil {
		complain("pod_cidr: %w", err)
	}
	for key, value := range map[string]string{
		"root": n.Root, "kubeconfig": n.Kubeconfig, "runtime_socket": n.RuntimeSocket,
		"client_ca_file": n.ClientCAFile, "programs": n.Programs,
	} {
		if !filepath.IsAbs(value) {
			complain("%s is %q, it must be an absolute path", key, value)
		}
	}
	for _, value := range slices.Concat(n.HiddenPaths, n.Homes, n.KeptPaths) {
		if !filepath.IsAbs(value) {
			complain("hidden_paths, homes and kept_paths hold %q, they must be absolute paths", value)
		}
	}
	if len(n.RuntimeSocket) > maxSocketPath {
		complain("runtime_socket is %d bytes long, a unix socket's path has at most %d", len(n.RuntimeSocket), maxSocketPath)
	}
	if most := maxSocketPath - belowRoot; len(n.Root) > most {
		complain("root is %d bytes long, the kubelet's sockets below it leave room for %d", len(n.Root), most)
	}
	for name, quantity := range n.Capacity {
		if _, err := resource.ParseQuantity(quantity); err != nil {
			complain("capacity %s: %q: %w", name, quantity, err)
		}
	}
	if cpu, err := resource.ParseQuantity(n.Capacity["cpu"]); err == nil && cpu.MilliValue()%1000 != 0 {
		complain("capacity cpu is %s, a node has whole cores", cpu.String())
	}
	for _, name := range []string{"cpu", "memory", "pods", "ephemeral-storage"} {
		if _, ok := n.Capacity[name]; !ok {
			complain("capacity has no %s", name)
		}
	}
	return errors.Join(problems...)
}

// Quantity is one capacity; the zero quantity if the node has none of it. Read has checked that it parses.
func (n *Node) Quantity(name string) resource.Quantity {
	text, ok := n.Capacity[name]
	if !ok {
		return resource.Quantity{}
	}
	return resource.MustParse(text)
}

// Under joins elements below the node's root folder.
func (n *Node) Under(elements ...string) string {
	return filepath.Join(append([]string{n.Root}, elements...)...)
}

// DialsFile is where the figures which the kubelet is to believe are written.
func (n *Node) DialsFile() string { return n.Under("dials.json") }

// LayersDir holds the writable layer of each container, a folder per container id. It is also the mount point that
// the runtime and the kubelet's figures know the images' file system by.
func (n *Node) LayersDir() string { return n.Under("layers") }

// BootIDFile holds the id of the node's present life: a new one whenever its container runtime starts.
func (n *Node) BootIDFile() string { return n.Under("boot_id") }

// PodLogsDir holds the pods' logs, in the kubelet's layout.
func (n *Node) PodLogsDir() string { return n.Under("logs") }

// PodDir holds a pod's volumes, by its UID.
func (n *Node) PodDir(uid string) string { return filepath.Join(n.KubeletDir(), "pods", uid) }

// KubeletDir is the kubelet's --root-dir.
func (n *Node) KubeletDir() string { return n.Under("kubelet") }
