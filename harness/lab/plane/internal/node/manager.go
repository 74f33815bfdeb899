package node

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
	evictionapi "k8s.io/kubernetes/pkg/kubelet/eviction/api"

	"taintlab.dev/plane/internal/cadvisor"
	"taintlab.dev/plane/internal/nodespec"
)

func nodeName(node *nodespec.Node) types.NodeName { return types.NodeName(node.Name) }

// basic are the resources which the kubelet gets from the machine; all others of a node are extended resources, as a
// device plugin would announce them.
var basic = map[v1.ResourceName]bool{v1.ResourceCPU: true, v1.ResourceMemory: true, v1.ResourcePods: true, v1.ResourceEphemeralStorage: true}

// manager is upstream's container manager for kubelets without control groups (the one of their scale tests), with
// the node's disk and, as on a real node, the eviction thresholds taken off what can be allocated.
type manager struct {
	cm.ContainerManager
	disk     v1.ResourceList
	reserved v1.ResourceList
}

func newManager(node *nodespec.Node, evictionHard map[string]string) (*manager, error) {
	extended := v1.ResourceList{}
	for name := range node.Capacity {
		if resource := v1.ResourceName(name); !basic[resource] {
			extended[resource] = node.Quantity(name)
		}
	}
	thresholds, err := eviction.ParseThresholdConfig(nil, evictionHard, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	return &manager{
		ContainerManager: cm.NewStubContainerManagerWithDevicePluginResource(extended),
		disk:             v1.ResourceList{v1.ResourceEphemeralStorage: node.Quantity("ephemeral-storage")},
		reserved:         reservation(node, thresholds),
	}, nil
}

// reservation is what hard eviction thresholds keep free of memory and disk.
func reservation(node *nodespec.Node, thresholds []evictionapi.Threshold) v1.ResourceList {
	reserved := v1.ResourceList{}
	for _, threshold := range thresholds {
		var resource v1.ResourceName
		switch threshold.Signal {
		case evictionapi.SignalMemoryAvailable:
			resource = v1.ResourceMemory
		case evictionapi.SignalNodeFsAvailable:
			resource = v1.ResourceEphemeralStorage
		default:
			continue
		}
		capacity := node.Quantity(string(resource))
		reserved[resource] = *evictionapi.GetThresholdQuantity(threshold.Value, &capacity)
	}
	return reserved
}

// GetCapacity implements cm.ContainerManager: the node's disk.
func (m *manager) GetCapacity(localStorageCapacityIsolation bool) v1.ResourceList {
	if !localStorageCapacityIsolation {
		return v1.ResourceList{}
	}
	return m.disk.DeepCopy()
}

// GetPodCgroupRoot implements cm.ContainerManager: the name by which cAdvisor is asked for the use of all pods.
func (m *manager) GetPodCgroupRoot() string { return cadvisor.PodsGroup }

// GetNodeAllocatableReservation implements cm.ContainerManager.
func (m *manager) GetNodeAllocatableReservation() v1.ResourceList { return m.reserved.DeepCopy() }
