// Package node runs upstream's kubelet on a machine that is none: no control groups, no images, no devices. The
// container runtime is the node's own process (package runtime), reached by CRI like any other; this package gives
// the kubelet what it would otherwise find on its machine.
package node

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/version/verflag"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/validation"

	"taintlab.dev/plane/internal/nodespec"
)

// nodeFlag is our own flag; all others are upstream's.
const nodeFlag = "node"

// NewCommand makes `kubeplane kubelet --node FILE [upstream kubelet flags]`. The flags win over what the node file
// says.
func NewCommand() *cobra.Command {
	return &cobra.Command{
		Use: "kubelet", SilenceUsage: true, DisableFlagParsing: true,
		Short: "The kubelet of one node of the lab",
		RunE: func(_ *cobra.Command, args []string) error {
			server, node, err := parse(args)
			if err != nil {
				return err
			}
			logs.InitLogs()
			if err := logsapi.ValidateAndApply(&server.Logging, utilfeature.DefaultFeatureGate); err != nil {
				return fmt.Errorf("logging: %w", err)
			}
			return run(genericapiserver.SetupSignalContext(), server, node)
		},
	}
}

// parse reads the flags over the node file's values, and sets the feature gates of the process.
func parse(args []string) (*options.KubeletServer, *nodespec.Node, error) {
	file, err := nodeFile(args)
	if err != nil {
		return nil, nil, err
	}
	node, err := nodespec.Read(file)
	if err != nil {
		return nil, nil, err
	}
	config, err := options.NewKubeletConfiguration()
	if err != nil {
		return nil, nil, err
	}
	flags := options.NewKubeletFlags()
	if err := configure(node, flags, config); err != nil {
		return nil, nil, err
	}
	set := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	set.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	flags.AddFlags(set)
	options.AddKubeletConfigFlags(set, config)
	options.AddGlobalFlags(set)
	set.String(nodeFlag, "", "the node's file")
	if err := set.Parse(args); err != nil {
		return nil, nil, err
	}
	verflag.PrintAndExitIfRequested()
	if set.NArg() > 0 {
		return nil, nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if flags.KubeletConfigFile != "" || flags.KubeletDropinConfigDirectory != "" {
		return nil, nil, errors.New("--config and --config-dir are not supported: the configuration is the node file and the flags")
	}
	// A flag replaces the whole map; the node file's gates are added to it.
	if config.FeatureGates == nil {
		config.FeatureGates = map[string]bool{}
	}
	for name, on := range gates(node) {
		if _, set := config.FeatureGates[name]; !set {
			config.FeatureGates[name] = on
		}
	}
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(config.FeatureGates); err != nil {
		return nil, nil, fmt.Errorf("feature gates: %w", err)
	}
	if err := options.ValidateKubeletFlags(flags); err != nil {
		return nil, nil, err
	}
	if err := validation.ValidateKubeletConfiguration(config, utilfeature.DefaultFeatureGate); err != nil {
		return nil, nil, fmt.Errorf("kubelet configuration: %w", err)
	}
	return &options.KubeletServer{KubeletFlags: *flags, KubeletConfiguration: *config}, node, nil
}

// nodeFile finds --node among flags of which the rest is upstream's.
func nodeFile(args []string) (string, error) {
	set := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	set.ParseErrorsAllowlist.UnknownFlags = true
	set.Usage = func() {}
	file := set.String(nodeFlag, "", "")
	set.BoolP("help", "h", false, "")
	if err := set.Parse(args); err != nil {
		return "", err
	}
	if *file == "" {
		return "", errors.New("--node FILE is missing")
	}
	return *file, nil
}

// gates are the node file's feature gates, and the one without which the kubelet wants the machine's kernel log.
func gates(node *nodespec.Node) map[string]bool {
	all := map[string]bool{"KubeletInUserNamespace": true}
	for name, on := range node.FeatureGates {
		all[name] = on
	}
	return all
}
