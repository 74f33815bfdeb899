package runtime

import (
	"context"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"taintlab.dev/plane/internal/dials"
	"taintlab.dev/plane/internal/launch"
	"taintlab.dev/plane/internal/procstat"
)

// ContainerStats implements the CRI.
func (r *Runtime) ContainerStats(_ context.Context, request *runtimeapi.ContainerStatsRequest) (*runtimeapi.ContainerStatsResponse, error) {
	c, err := r.container(request.GetContainerId())
	if err != nil {
		return nil, err
	}
	list, err := r.stats(func(other *container) bool { return other.sandbox == c.sandbox })
	if err != nil {
		return nil, err
	}
	for _, stats := range list {
		if stats.GetAttributes().GetId() == c.id {
			return &runtimeapi.ContainerStatsResponse{Stats: stats}, nil
		}
	}
	return &runtimeapi.ContainerStatsResponse{Stats: &runtimeapi.ContainerStats{Attributes: c.attributes()}}, nil
}

// ListContainerStats implements the CRI, for containers that run.
func (r *Runtime) ListContainerStats(_ context.Context, request *runtimeapi.ListContainerStatsRequest) (*runtimeapi.ListContainerStatsResponse, error) {
	filter := request.GetFilter()
	list, err := r.stats(func(c *container) bool {
		return (filter.GetId() == "" || filter.GetId() == c.id) && (filter.GetPodSandboxId() == "" || filter.GetPodSandboxId() == c.sandbox.id) &&
			matches(filter.GetLabelSelector(), c.config.GetLabels())
	})
	return &runtimeapi.ListContainerStatsResponse{Stats: list}, err
}

// stats is what the chosen running containers use. A pod's dials replace the figures of its first running
// container, and the others' are zero then.
func (r *Runtime) stats(chosen func(*container) bool) ([]*runtimeapi.ContainerStats, error) {
	table, err := r.sampler.Table()
	if err != nil {
		return nil, err
	}
	figures := r.dials.Current()
	now := time.Now().UnixNano()
	dialed := map[*sandbox]bool{}
	var list []*runtimeapi.ContainerStats
	for _, c := range r.all() {
		if c.currentState() != runtimeapi.ContainerState_CONTAINER_RUNNING {
			continue
		}
		pod := figures.Pod(c.sandbox.config.GetMetadata().GetNamespace(), c.sandbox.config.GetMetadata().GetName())
		first := !dialed[c.sandbox]
		dialed[c.sandbox] = true
		if chosen(c) {
			list = append(list, r.figures(c, table, pod, first, now))
		}
	}
	return list, nil
}

func (r *Runtime) figures(c *container, table *procstat.Table, pod dials.Pod, first bool, now int64) *runtimeapi.ContainerStats {
	usage := c.usage(table)
	bytes, inodes := c.disk.of(c.layer)
	memory := dial(usage.ResidentBytes, pod.MemoryWorkingSetBytes, first)
	disk := dial(bytes, pod.DiskUsedBytes, first)
	return &runtimeapi.ContainerStats{
		Attributes: c.attributes(),
		Cpu:        &runtimeapi.CpuUsage{Timestamp: now, UsageCoreNanoSeconds: value(usage.CPUNanoseconds)},
		Memory:     &runtimeapi.MemoryUsage{Timestamp: now, WorkingSetBytes: value(memory), UsageBytes: value(memory), RssBytes: value(memory)},
		WritableLayer: &runtimeapi.FilesystemUsage{
			Timestamp: now, UsedBytes: value(disk), InodesUsed: value(inodes),
			FsId: &runtimeapi.FilesystemIdentifier{Mountpoint: r.node.LayersDir()},
		},
	}
}

// dial is a real figure, or the pod's dial on the first of its containers and nothing on the others.
func dial(real uint64, dialed *uint64, first bool) uint64 {
	switch {
	case dialed == nil:
		return real
	case first:
		return *dialed
	default:
		return 0
	}
}

func (c *container) usage(table *procstat.Table) procstat.Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	if process, ok := c.running.(*launch.Process); ok {
		return table.Tree(process.PID)
	}
	return procstat.Usage{}
}

func (c *container) attributes() *runtimeapi.ContainerAttributes {
	return &runtimeapi.ContainerAttributes{Id: c.id, Metadata: c.config.GetMetadata(), Labels: c.config.GetLabels(), Annotations: c.config.GetAnnotations()}
}

func value(v uint64) *runtimeapi.UInt64Value { return &runtimeapi.UInt64Value{Value: v} }

// PodSandboxStats implements the CRI.
func (r *Runtime) PodSandboxStats(_ context.Context, request *runtimeapi.PodSandboxStatsRequest) (*runtimeapi.PodSandboxStatsResponse, error) {
	s, err := r.sandbox(request.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	stats, err := r.podStats(s)
	return &runtimeapi.PodSandboxStatsResponse{Stats: stats}, err
}

// ListPodSandboxStats implements the CRI.
func (r *Runtime) ListPodSandboxStats(_ context.Context, request *runtimeapi.ListPodSandboxStatsRequest) (*runtimeapi.ListPodSandboxStatsResponse, error) {
	filter := request.GetFilter()
	r.mu.Lock()
	var chosen []*sandbox
	for _, s := range r.sandboxes {
		if (filter.GetId() == "" || filter.GetId() == s.id) && matches(filter.GetLabelSelector(), s.config.GetLabels()) {
			chosen = append(chosen, s)
		}
	}
	r.mu.Unlock()
	response := &runtimeapi.ListPodSandboxStatsResponse{}
	for _, s := range chosen {
		if !s.isReady() {
			continue
		}
		stats, err := r.podStats(s)
		if err != nil {
			return nil, err
		}
		response.Stats = append(response.Stats, stats)
	}
	return response, nil
}

func (r *Runtime) podStats(s *sandbox) (*runtimeapi.PodSandboxStats, error) {
	list, err := r.stats(func(c *container) bool { return c.sandbox == s })
	if err != nil {
		return nil, err
	}
	table, err := r.sampler.Table()
	if err != nil {
		return nil, err
	}
	var cpu, memory, processes uint64
	for _, stats := range list {
		cpu += stats.GetCpu().GetUsageCoreNanoSeconds().GetValue()
		memory += stats.GetMemory().GetWorkingSetBytes().GetValue()
	}
	for _, c := range r.containersOf(s.id) {
		processes += c.usage(table).Threads
	}
	now := time.Now().UnixNano()
	return &runtimeapi.PodSandboxStats{
		Attributes: &runtimeapi.PodSandboxAttributes{Id: s.id, Metadata: s.config.GetMetadata(), Labels: s.config.GetLabels(), Annotations: s.config.GetAnnotations()},
		Linux: &runtimeapi.LinuxPodSandboxStats{
			Cpu:        &runtimeapi.CpuUsage{Timestamp: now, UsageCoreNanoSeconds: value(cpu)},
			Memory:     &runtimeapi.MemoryUsage{Timestamp: now, WorkingSetBytes: value(memory), UsageBytes: value(memory), RssBytes: value(memory)},
			Process:    &runtimeapi.ProcessUsage{Timestamp: now, ProcessCount: value(processes)},
			Containers: list,
		},
	}, nil
}
