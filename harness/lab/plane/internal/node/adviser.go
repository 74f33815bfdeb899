package node

import (
	"context"
	"fmt"
	"sync"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"

	"taintlab.dev/plane/internal/cri"
	"taintlab.dev/plane/internal/programs"
)

// Reasons of the events which tell where the lab is not a machine. Each is written once for a container, however
// often that is restarted.
const (
	reasonStandIn          = "StandIn"
	reasonNoLimits         = "LimitsNotEnforced"
	reasonUserIgnored      = "UserNotApplied"
	reasonMountUnsupported = "MountNotSupported"
	reasonPodUnsupported   = "PodSettingNotApplied"
)

// adviser passes calls on to the container runtime and leaves events on pods that ask for what the lab has not.
type adviser struct {
	internalapi.RuntimeService
	programs programs.Table
	client   clientset.Interface
	recorder record.EventRecorder

	mu   sync.Mutex
	told map[advice]bool
}

// advice is one event that was written.
type advice struct {
	pod       types.UID
	container string
	reason    string
}

// maxTold bounds the memory of what was told; when it is full it starts afresh.
const maxTold = 20000

func newAdviser(service internalapi.RuntimeService, table programs.Table, client clientset.Interface, recorder record.EventRecorder) *adviser {
	return &adviser{RuntimeService: service, programs: table, client: client, recorder: recorder, told: map[advice]bool{}}
}

func (a *adviser) tell(sandbox *runtimeapi.PodSandboxConfig, container, kind, reason, format string, args ...any) {
	metadata := sandbox.GetMetadata()
	key := advice{pod: types.UID(metadata.GetUid()), container: container, reason: reason}
	a.mu.Lock()
	known := a.told[key]
	if len(a.told) >= maxTold {
		a.told = map[advice]bool{}
	}
	a.told[key] = true
	a.mu.Unlock()
	if known {
		return
	}
	reference := &v1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: metadata.GetNamespace(), Name: metadata.GetName(), UID: key.pod}
	if container != "" {
		reference.FieldPath = fmt.Sprintf("spec.containers{%s}", container)
	}
	a.recorder.Eventf(reference, kind, reason, format, args...)
}

// RunPodSandbox implements internalapi.RuntimeService.
func (a *adviser) RunPodSandbox(ctx context.Context, config *runtimeapi.PodSandboxConfig, handler string) (string, error) {
	for _, mapping := range config.GetPortMappings() {
		if mapping.GetHostPort() > 0 && config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork() != runtimeapi.NamespaceMode_NODE {
			a.tell(config, "", v1.EventTypeWarning, reasonPodUnsupported, "hostPort %d is not opened: the lab has no host ports (use a Service or hostNetwork)", mapping.GetHostPort())
		}
	}
	options := config.GetLinux().GetSecurityContext().GetNamespaceOptions()
	switch options.GetPid() {
	case runtimeapi.NamespaceMode_POD:
		a.tell(config, "", v1.EventTypeWarning, reasonPodUnsupported, "shareProcessNamespace is not applied: each container has a process table of its own")
	case runtimeapi.NamespaceMode_NODE:
		a.tell(config, "", v1.EventTypeWarning, reasonPodUnsupported, "hostPID is not applied: each container has a process table of its own")
	}
	if len(config.GetLinux().GetSysctls()) > 0 {
		a.tell(config, "", v1.EventTypeWarning, reasonPodUnsupported, "sysctls are not applied by the lab")
	}
	return a.RuntimeService.RunPodSandbox(ctx, config, handler)
}

// CreateContainer implements internalapi.RuntimeService.
func (a *adviser) CreateContainer(ctx context.Context, sandboxID string, config *runtimeapi.ContainerConfig, sandbox *runtimeapi.PodSandboxConfig) (string, error) {
	name := config.GetMetadata().GetName()
	image := config.GetImage().GetUserSpecifiedImage()
	choice, err := a.programs.Resolve(image, config.GetCommand(), config.GetArgs())
	if err == nil && choice.IsStandIn() {
		if !choice.Known {
			a.tell(sandbox, name, v1.EventTypeNormal, reasonStandIn, "Image %s has no program on this machine: a stand-in answers HTTP 200 on the container's ports (see the lab's programs table)", image)
		}
		if a.runsToCompletion(ctx, sandbox, name) {
			if config.Annotations == nil {
				config.Annotations = map[string]string{}
			}
			config.Annotations[cri.RunToCompletionAnnotation] = "true"
		}
	}
	a.adviseOnLimits(config, sandbox, name)
	a.adviseOnSecurity(config, sandbox, name)
	for _, mount := range config.GetMounts() {
		if mount.GetPropagation() == runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL {
			a.tell(sandbox, name, v1.EventTypeWarning, reasonMountUnsupported, "Mount %s: bidirectional propagation is not applied, mounts made in the container stay in it", mount.GetContainerPath())
		}
	}
	if len(config.GetDevices()) > 0 || len(config.GetCDIDevices()) > 0 {
		a.tell(sandbox, name, v1.EventTypeWarning, reasonMountUnsupported, "Devices are not given to containers by the lab")
	}
	return a.RuntimeService.CreateContainer(ctx, sandboxID, config, sandbox)
}

func (a *adviser) adviseOnLimits(config *runtimeapi.ContainerConfig, sandbox *runtimeapi.PodSandboxConfig, name string) {
	resources := config.GetLinux().GetResources()
	var limits string
	switch cpu, memory := resources.GetCpuQuota() > 0, resources.GetMemoryLimitInBytes() > 0; {
	case cpu && memory:
		limits = "cpu and memory limits are"
	case cpu:
		limits = "the cpu limit is"
	case memory:
		limits = "the memory limit is"
	default:
		return
	}
	a.tell(sandbox, name, v1.EventTypeNormal, reasonNoLimits, "Container %s: %s not enforced: the lab has no control groups (scheduling and eviction use requests as usual)", name, limits)
}

func (a *adviser) adviseOnSecurity(config *runtimeapi.ContainerConfig, sandbox *runtimeapi.PodSandboxConfig, name string) {
	security := config.GetLinux().GetSecurityContext()
	if user := security.GetRunAsUser(); user != nil && user.GetValue() != cri.ImageUser {
		a.tell(sandbox, name, v1.EventTypeNormal, reasonUserIgnored, "Container %s: runAsUser %d is not applied, programs run as the lab's own user", name, user.GetValue())
	}
	if security.GetPrivileged() {
		a.tell(sandbox, name, v1.EventTypeWarning, reasonUserIgnored, "Container %s: privileged is not applied, programs have the rights of the lab's own user in its namespaces", name)
	}
}

// runsToCompletion tells whether a container is an init container that is no sidecar. If the API server cannot say,
// it is taken for an ordinary one.
func (a *adviser) runsToCompletion(ctx context.Context, sandbox *runtimeapi.PodSandboxConfig, name string) bool {
	metadata := sandbox.GetMetadata()
	pod, err := a.client.CoreV1().Pods(metadata.GetNamespace()).Get(ctx, metadata.GetName(), metav1.GetOptions{})
	if err != nil {
		klog.ErrorS(err, "Pod of a stand-in not to be had", "pod", klog.KRef(metadata.GetNamespace(), metadata.GetName()))
		return false
	}
	for _, container := range pod.Spec.InitContainers {
		if container.Name == name {
			return container.RestartPolicy == nil || *container.RestartPolicy != v1.ContainerRestartPolicyAlways
		}
	}
	return false
}
