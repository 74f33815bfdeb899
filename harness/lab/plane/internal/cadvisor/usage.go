package cadvisor

import (
	"context"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// How old figures may be. The kubelet asks for the node's figures several times in a row when it takes a sample, and
// takes one every ten seconds.
const (
	statsAge = time.Second
	diskAge  = 10 * time.Second
	// statsTimeout bounds a question to the container runtime: one that hangs must not stop the eviction manager.
	statsTimeout = 5 * time.Second
)

// Stats is the part of the container runtime that knows what containers use.
type Stats interface {
	ListContainerStats(ctx context.Context, filter *runtimeapi.ContainerStatsFilter) ([]*runtimeapi.ContainerStats, error)
	ListPodSandboxStats(ctx context.Context, filter *runtimeapi.PodSandboxStatsFilter) ([]*runtimeapi.PodSandboxStats, error)
}

// Usage adds up what the pods of a node use. It is safe for concurrent use.
type Usage struct {
	stats Stats
	root  string

	mu         sync.Mutex
	taken      time.Time
	workingSet uint64
	cpu        uint64
	cpuOf      map[string]uint64

	diskMu    sync.Mutex
	diskTaken time.Time
	bytes     uint64
	inodes    uint64
}

// NewUsage reads containers' use from the runtime and disk use from the node's root folder.
func NewUsage(stats Stats, root string) *Usage {
	return &Usage{stats: stats, root: root, cpuOf: map[string]uint64{}}
}

// Node is the memory that the node's pods use now, in bytes, and the processor time that they have used since the
// kubelet started, in nanoseconds. The latter never goes back when containers end.
func (u *Usage) Node() (workingSet, cpu uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Since(u.taken) < statsAge {
		return u.workingSet, u.cpu
	}
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	list, err := u.stats.ListContainerStats(ctx, &runtimeapi.ContainerStatsFilter{})
	if err != nil {
		problem(err, "memory")
		return u.workingSet, u.cpu
	}
	u.add(list)
	u.taken = time.Now()
	return u.workingSet, u.cpu
}

func (u *Usage) add(list []*runtimeapi.ContainerStats) {
	u.workingSet = 0
	seen := map[string]uint64{}
	for _, stats := range list {
		id := stats.GetAttributes().GetId()
		u.workingSet += stats.GetMemory().GetWorkingSetBytes().GetValue()
		now := stats.GetCpu().GetUsageCoreNanoSeconds().GetValue()
		if before := u.cpuOf[id]; now > before {
			u.cpu += now - before
		}
		seen[id] = max(now, u.cpuOf[id])
	}
	u.cpuOf = seen
}

// Processes is how many processes the node's pods have.
func (u *Usage) Processes() uint64 {
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	list, err := u.stats.ListPodSandboxStats(ctx, &runtimeapi.PodSandboxStatsFilter{})
	if err != nil {
		problem(err, "processes")
		return 0
	}
	var sum uint64
	for _, stats := range list {
		sum += stats.GetLinux().GetProcess().GetProcessCount().GetValue()
	}
	return sum
}

// Disk is what the node's root folder holds: volumes, logs and writable layers.
func (u *Usage) Disk() (bytes, inodes uint64) {
	u.diskMu.Lock()
	defer u.diskMu.Unlock()
	if time.Since(u.diskTaken) < diskAge {
		return u.bytes, u.inodes
	}
	u.bytes, u.inodes, u.diskTaken = 0, 0, time.Now()
	// Files which vanish during the walk are not counted.
	_ = filepath.WalkDir(u.root, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		u.inodes++
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			u.bytes += uint64(stat.Blocks) * 512
		}
		return nil
	})
	return u.bytes, u.inodes
}
