package node

import (
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"

	"taintlab.dev/plane/internal/nodespec"
)

// kubeletPort is upstream's port of the kubelet's API, on the node's own address.
const kubeletPort = 10250

// configure sets what the node file says, and what a machine without control groups needs. Everything else keeps
// upstream's default.
func configure(node *nodespec.Node, flags *options.KubeletFlags, config *kubeletconfig.KubeletConfiguration) error {
	flags.RootDirectory = node.KubeletDir()
	flags.CertDirectory = node.Under("kubelet", "pki")
	flags.HostnameOverride = node.Name
	flags.NodeIP = node.NodeIP
	flags.KubeConfig = node.Kubeconfig
	flags.NodeLabels = node.Labels

	config.Address = node.NodeIP
	config.Port = kubeletPort
	config.ReadOnlyPort = 0
	config.HealthzPort = 0
	config.PodLogsDir = node.PodLogsDir()
	config.ContainerRuntimeEndpoint = "unix://" + node.RuntimeSocket
	config.ResolverConfig = ""
	if node.ClusterDNS != "" {
		config.ClusterDNS = []string{node.ClusterDNS}
	}
	config.ClusterDomain = node.ClusterDomain

	config.Authentication.Anonymous.Enabled = false
	config.Authentication.Webhook.Enabled = true
	config.Authentication.Webhook.CacheTTL.Duration = 2 * time.Minute
	config.Authentication.X509.ClientCAFile = node.ClientCAFile
	config.Authorization.Mode = kubeletconfig.KubeletAuthorizationModeWebhook
	config.Authorization.Webhook.CacheAuthorizedTTL.Duration = 5 * time.Minute
	config.Authorization.Webhook.CacheUnauthorizedTTL.Duration = 30 * time.Second

	pods := node.Quantity("pods")
	config.MaxPods = int32(pods.Value())
	for _, taint := range node.Taints {
		switch effect := v1.TaintEffect(taint.Effect); effect {
		case v1.TaintEffectNoSchedule, v1.TaintEffectPreferNoSchedule, v1.TaintEffectNoExecute:
			config.RegisterWithTaints = append(config.RegisterWithTaints, v1.Taint{Key: taint.Key, Value: taint.Value, Effect: effect})
		default:
			return fmt.Errorf("taint %s: unknown effect %q", taint.Key, taint.Effect)
		}
	}
	if node.EvictionHard != nil {
		config.EvictionHard = node.EvictionHard
	}
	if node.EvictionPressureTransitionS > 0 {
		config.EvictionPressureTransitionPeriod.Duration = time.Duration(node.EvictionPressureTransitionS) * time.Second
	}

	config.CgroupsPerQOS = false
	config.CgroupRoot = ""
	config.EnforceNodeAllocatable = nil
	config.FailCgroupV1 = false
	config.FailSwapOn = false
	config.ProtectKernelDefaults = false
	config.MakeIPTablesUtilChains = false
	config.LocalStorageCapacityIsolation = true
	config.MaxOpenFiles = openFiles()
	return nil
}
