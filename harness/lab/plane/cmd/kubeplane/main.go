// Command kubeplane is one binary for every component of a Kubernetes cluster: the first argument names the
// component, the rest are that component's own flags. Components are upstream's own code; ours are only what the
// kubelet runs on, and the choice of CoreDNS's plugins.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"taintlab.dev/plane/internal/dns"
	"taintlab.dev/plane/internal/node"

	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

// components are what the first argument may be; the result is the exit code. os.Args is without it by then.
var components = map[string]func() int{
	"etcd":                    func() int { etcdmain.Main(os.Args); return 0 },
	"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() int { return cli.Run(controllers.NewControllerManagerCommand()) },
	"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
	"kube-proxy":              func() int { return cli.Run(proxy.NewProxyCommand()) },
	"kubectl":                 func() int { return cli.Run(kubectl.NewDefaultKubectlCommand()) },
	"kubelet":                 func() int { return cli.Run(node.NewCommand()) },
	"dns":                     func() int { return exit("dns", dns.Run(os.Args[1:])) },
}

func init() {
	if len(os.Args) > 1 && os.Args[1] == "kubelet" {
		// The kubelet moves into a mount namespace of its own by executing itself again, which must happen on the
		// main thread: only there the parent-death signal survives it.
		runtime.LockOSThread()
	}
}

func main() {
	if len(os.Args) < 2 || components[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: kubeplane etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kube-proxy|kubelet|dns|kubectl [flags]")
		os.Exit(2)
	}
	name := os.Args[1]
	if name == "kubelet" {
		if err := node.EnterNamespace(os.Args[2:]); err != nil {
			os.Exit(exit(name, err))
		}
		runtime.UnlockOSThread()
	}
	os.Args = append([]string{os.Args[0]}, os.Args[2:]...)
	os.Exit(components[name]())
}

func exit(name string, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "kubeplane %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", "; "))
	return 1
}
