package cadvisor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type answers struct {
	containers []*runtimeapi.ContainerStats
	err        error
}

func (a *answers) ListContainerStats(context.Context, *runtimeapi.ContainerStatsFilter) ([]*runtimeapi.ContainerStats, error) {
	return a.containers, a.err
}

func (a *answers) ListPodSandboxStats(context.Context, *runtimeapi.PodSandboxStatsFilter) ([]*runtimeapi.PodSandboxStats, error) {
	return nil, a.err
}

func container(id string, memory, cpu uint64) *runtimeapi.ContainerStats {
	return &runtimeapi.ContainerStats{
		Attributes: &runtimeapi.ContainerAttributes{Id: id},
		Memory:     &runtimeapi.MemoryUsage{WorkingSetBytes: &runtimeapi.UInt64Value{Value: memory}},
		Cpu:        &runtimeapi.CpuUsage{UsageCoreNanoSeconds: &runtimeapi.UInt64Value{Value: cpu}},
	}
}

func TestCPUNeverGoesBack(t *testing.T) {
	usage := NewUsage(&answers{}, t.TempDir())
	for i, step := range []struct {
		list        []*runtimeapi.ContainerStats
		memory, cpu uint64
	}{
		{[]*runtimeapi.ContainerStats{container("a", 10, 100), container("b", 20, 50)}, 30, 150},
		{[]*runtimeapi.ContainerStats{container("a", 11, 130)}, 11, 180}, // b has ended
		{[]*runtimeapi.ContainerStats{container("a", 11, 120), container("c", 1, 5)}, 12, 185},
		{[]*runtimeapi.ContainerStats{container("a", 11, 131)}, 11, 186},
		{nil, 0, 186},
	} {
		usage.add(step.list)
		if usage.workingSet != step.memory || usage.cpu != step.cpu {
			t.Errorf("step %d: memory %d cpu %d, want %d and %d", i, usage.workingSet, usage.cpu, step.memory, step.cpu)
		}
	}
}

func TestLastFigureStaysWhenTheRuntimeFails(t *testing.T) {
	source := &answers{containers: []*runtimeapi.ContainerStats{container("a", 10, 100)}}
	usage := NewUsage(source, t.TempDir())
	if memory, _ := usage.Node(); memory != 10 {
		t.Fatalf("memory %d", memory)
	}
	source.err = errors.New("gone")
	usage.taken = usage.taken.Add(-statsAge)
	if memory, cpu := usage.Node(); memory != 10 || cpu != 100 {
		t.Errorf("memory %d, cpu %d", memory, cpu)
	}
}

func TestDisk(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), make([]byte, 100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	bytes, inodes := NewUsage(&answers{}, root).Disk()
	if bytes < 100<<10 || bytes > 200<<10 || inodes != 2 {
		t.Errorf("%d bytes, %d inodes", bytes, inodes)
	}
}
