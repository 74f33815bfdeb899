// Package cadvisor answers the kubelet's questions about its machine in place of upstream's cAdvisor, which reads
// control groups: capacity is the node file's, use is what the node's pods really use, and dials replace either.
package cadvisor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"time"

	cadvisorapi "github.com/google/cadvisor/info/v1"
	cadvisorapiv2 "github.com/google/cadvisor/info/v2"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
	upstream "k8s.io/kubernetes/pkg/kubelet/cadvisor"

	"taintlab.dev/plane/internal/dials"
	"taintlab.dev/plane/internal/nodespec"
)

// device names the node's one file system. Root and images are told to be on the same one, so that the kubelet's
// imagefs signals follow nodefs unless they are dialed.
const device = "taintlab"

// PodsGroup is the name under which the use of all pods together is asked for.
const PodsGroup = "/kubepods"

// bytesPerInode is ext4's usual ratio; it gives the file system its number of inodes.
const bytesPerInode = 16 << 10

// clamp keeps a figure at or below its capacity: one above would wrap round in the kubelet's subtractions.
func clamp(value, most uint64) uint64 { return min(value, most) }

// Machine implements upstream's cAdvisor interface.
type Machine struct {
	node  *nodespec.Node
	dials *dials.Reader
	usage *Usage
	// before is called when the kubelet begins to take a sample, before it reads any other figure.
	before func()
	born   time.Time
}

var _ upstream.Interface = (*Machine)(nil)

// New makes the machine of a node.
func New(node *nodespec.Node, figures *dials.Reader, usage *Usage, before func()) *Machine {
	return &Machine{node: node, dials: figures, usage: usage, before: before, born: time.Now()}
}

// Start implements the interface; nothing is sampled in the background.
func (m *Machine) Start() error { return nil }

// ContainerInfoV2 implements the interface for the machine's root ("/") and for all pods together, which is all that
// the kubelet reads from here: the containers' own figures come by CRI. A dial replaces the machine's figure only.
func (m *Machine) ContainerInfoV2(name string, _ cadvisorapiv2.RequestOptions) (map[string]cadvisorapiv2.ContainerInfo, error) {
	capacity := m.capacity("memory")
	workingSet, cpu := m.usage.Node()
	switch name {
	case "/":
		m.before()
		if available, ok := m.dials.Current().Node(dials.MemoryAvailable); ok {
			workingSet = capacity - clamp(available, capacity)
		}
	case PodsGroup:
	default:
		return map[string]cadvisorapiv2.ContainerInfo{}, nil
	}
	workingSet = clamp(workingSet, capacity)
	return map[string]cadvisorapiv2.ContainerInfo{name: {
		Spec: cadvisorapiv2.ContainerSpec{
			CreationTime: m.born, HasCpu: true, HasMemory: true, Memory: cadvisorapiv2.MemorySpec{Limit: capacity},
		},
		Stats: []*cadvisorapiv2.ContainerStats{{
			Timestamp: time.Now(),
			Memory:    &cadvisorapi.MemoryStats{Usage: workingSet, WorkingSet: workingSet, RSS: workingSet},
			Cpu:       &cadvisorapi.CpuStats{Usage: cadvisorapi.CpuUsage{Total: cpu}},
		}},
	}}, nil
}

// GetRequestedContainersInfo implements the interface; it feeds /metrics/cadvisor, which is empty here.
func (m *Machine) GetRequestedContainersInfo(string, cadvisorapiv2.RequestOptions) (map[string]*cadvisorapi.ContainerInfo, error) {
	return map[string]*cadvisorapi.ContainerInfo{}, nil
}

// MachineInfo implements the interface. The ids follow from the node's name, so they stay the same when it starts
// again; the boot id changes whenever its container runtime was started anew.
func (m *Machine) MachineInfo() (*cadvisorapi.MachineInfo, error) {
	sum := sha256.Sum256([]byte(m.node.Name))
	id := hex.EncodeToString(sum[:16])
	boot, err := os.ReadFile(m.node.BootIDFile())
	if err != nil {
		return nil, err
	}
	return &cadvisorapi.MachineInfo{
		Timestamp: time.Now(), NumCores: int(m.capacity("cpu")), MemoryCapacity: m.capacity("memory"),
		MachineID: id, SystemUUID: id, BootID: strings.TrimSpace(string(boot)),
	}, nil
}

// VersionInfo implements the interface.
func (m *Machine) VersionInfo() (*cadvisorapi.VersionInfo, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, err
	}
	return &cadvisorapi.VersionInfo{KernelVersion: unix.ByteSliceToString(name.Release[:]), ContainerOsVersion: "taintlab"}, nil
}

// RootFsInfo implements the interface.
func (m *Machine) RootFsInfo() (cadvisorapiv2.FsInfo, error) {
	return m.fileSystem("/", dials.NodefsAvailable), nil
}

// ImagesFsInfo implements the interface.
func (m *Machine) ImagesFsInfo(context.Context) (cadvisorapiv2.FsInfo, error) {
	return m.fileSystem(m.node.LayersDir(), dials.ImagefsAvailable), nil
}

// ContainerFsInfo implements the interface; images and writable layers share a file system.
func (m *Machine) ContainerFsInfo(ctx context.Context) (cadvisorapiv2.FsInfo, error) {
	return m.ImagesFsInfo(ctx)
}

// GetDirFsInfo implements the interface.
func (m *Machine) GetDirFsInfo(path string) (cadvisorapiv2.FsInfo, error) {
	if path == m.node.LayersDir() {
		return m.ImagesFsInfo(context.Background())
	}
	return m.RootFsInfo()
}

func (m *Machine) fileSystem(mountpoint, signal string) cadvisorapiv2.FsInfo {
	figures := m.dials.Current()
	capacity := m.capacity("ephemeral-storage")
	used, usedInodes := m.usage.Disk()
	available := capacity - clamp(used+figures.DialedDiskBytes(), capacity)
	if dialed, ok := figures.Node(signal); ok {
		available = clamp(dialed, capacity)
	}
	inodes := capacity / bytesPerInode
	free := inodes - clamp(usedInodes, inodes)
	if dialed, ok := figures.Node(dials.NodefsInodesFree); ok && signal == dials.NodefsAvailable {
		free = clamp(dialed, inodes)
	}
	return cadvisorapiv2.FsInfo{
		Timestamp: time.Now(), Device: device, Mountpoint: mountpoint,
		Capacity: capacity, Available: available, Usage: capacity - available, Inodes: &inodes, InodesFree: &free,
	}
}

func (m *Machine) capacity(name string) uint64 {
	quantity := m.node.Quantity(name)
	return uint64(quantity.Value())
}

// problem leaves a line in the log for a figure that could not be had; the figure before stays.
func problem(err error, what string) {
	klog.ErrorS(err, "Figure of the node not to be had", "figure", what)
}
