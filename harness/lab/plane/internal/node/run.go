package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	noopoteltrace "go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	clientset "k8s.io/client-go/kubernetes"
	v1core "k8s.io/client-go/kubernetes/typed/core/v1"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/kubelet"
	kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"
	"k8s.io/kubernetes/pkg/util/oom"
	"k8s.io/kubernetes/pkg/volume/util/hostutil"

	"taintlab.dev/compat/criclient"
	"taintlab.dev/plane/internal/cadvisor"
	"taintlab.dev/plane/internal/dials"
	"taintlab.dev/plane/internal/nodespec"
	"taintlab.dev/plane/internal/programs"
)

// runtimeWait bounds the wait for the node's container runtime, which is started beside the kubelet.
const runtimeWait = 30 * time.Second

// run runs the kubelet until the context is done.
func run(ctx context.Context, server *options.KubeletServer, node *nodespec.Node) error {
	// Upstream's clean-ups look at relative paths in odd cases; let them find nothing but the node's own folder.
	if err := os.MkdirAll(node.KubeletDir(), 0o755); err != nil {
		return err
	}
	if err := os.Chdir(node.Root); err != nil {
		return err
	}
	dependencies, err := dependencies(ctx, server, node)
	if err != nil {
		return err
	}
	utilfeature.DefaultMutableFeatureGate.AddMetrics()
	if err := kubeletapp.RunKubelet(ctx, server, dependencies); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// dependencies are what the kubelet is given. Left nil, and so upstream's own: pod configuration, probe manager.
func dependencies(ctx context.Context, server *options.KubeletServer, node *nodespec.Node) (*kubelet.Dependencies, error) {
	d := &kubelet.Dependencies{
		OSInterface: files{}, Mounter: mounter{}, Subpather: subpather{}, HostUtil: hostutil.NewHostUtil(),
		OOMAdjuster:               oom.NewFakeOOMAdjuster(), // the real one needs control groups
		PodStartupLatencyTracker:  kubeletutil.NewPodStartupLatencyTracker(),
		NodeStartupLatencyTracker: kubeletutil.NewNodeStartupLatencyTracker(),
		TracerProvider:            noopoteltrace.NewTracerProvider(),
	}
	if err := connect(server, d); err != nil {
		return nil, err
	}
	d.Recorder = recorder(ctx, d.EventClient, node.Name)
	d.VolumePlugins = volumePlugins(d.Recorder)

	auth, reload, err := kubeletapp.BuildAuth(nodeName(node), d.KubeClient, server.KubeletConfiguration)
	if err != nil {
		return nil, err
	}
	d.Auth = auth
	reload(ctx.Done())
	if d.TLSOptions, err = kubeletapp.InitializeTLS(ctx, &server.KubeletFlags, &server.KubeletConfiguration); err != nil {
		return nil, err
	}
	if err := connectRuntime(ctx, server, node, d); err != nil {
		return nil, err
	}
	figures := dials.NewReader(node.DialsFile(), func(err error) { klog.ErrorS(err, "Dials cannot be read") })
	usage := cadvisor.NewUsage(d.RemoteRuntimeService, node.Root)
	processes := newProcessFigures(node, figures, usage)
	d.CAdvisorInterface = cadvisor.New(node, figures, usage, processes.refresh)
	d.ContainerManager, err = newManager(node, server.EvictionHard)
	return d, err
}

// connect makes the API clients, each with upstream's limits.
func connect(server *options.KubeletServer, d *kubelet.Dependencies) error {
	config, err := clientcmd.BuildConfigFromFlags("", server.KubeConfig)
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	config.ContentType = server.ContentType
	config.AcceptContentTypes = strings.Join([]string{server.ContentType, "application/json"}, ",")
	config.QPS, config.Burst = float32(server.KubeAPIQPS), int(server.KubeAPIBurst)
	if d.KubeClient, err = clientset.NewForConfig(config); err != nil {
		return err
	}
	events := restclient.CopyConfig(config)
	events.QPS, events.Burst = float32(server.EventRecordQPS), int(server.EventBurst)
	if d.EventClient, err = v1core.NewForConfig(events); err != nil {
		return err
	}
	heartbeat := restclient.CopyConfig(config)
	heartbeat.QPS = -1
	heartbeat.Timeout = min(server.NodeStatusUpdateFrequency.Duration, time.Duration(server.NodeLeaseDurationSeconds)*time.Second)
	d.HeartbeatClient, err = clientset.NewForConfig(heartbeat)
	return err
}

// recorder writes events as the kubelet does, for the kubelet and for us.
func recorder(ctx context.Context, events v1core.EventsGetter, name string) record.EventRecorderLogger {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartStructuredLogging(3)
	broadcaster.StartRecordingToSink(&v1core.EventSinkImpl{Interface: events.Events("")})
	return broadcaster.NewRecorder(legacyscheme.Scheme, v1.EventSource{Component: "kubelet", Host: name})
}

// connectRuntime waits for the container runtime and connects to it with upstream's CRI client.
func connectRuntime(ctx context.Context, server *options.KubeletServer, node *nodespec.Node, d *kubelet.Dependencies) error {
	table, err := programs.Read(node.Programs)
	if err != nil {
		return err
	}
	if err := await(node.RuntimeSocket, runtimeWait); err != nil {
		return err
	}
	timeout := server.RuntimeRequestTimeout.Duration
	service, err := criclient.Runtime(ctx, server.ContainerRuntimeEndpoint, timeout, d.TracerProvider)
	if err != nil {
		return fmt.Errorf("container runtime: %w", err)
	}
	d.RemoteRuntimeService = newAdviser(service, table, d.KubeClient, d.Recorder)
	d.RemoteImageService, err = criclient.Images(ctx, server.ContainerRuntimeEndpoint, timeout, d.TracerProvider)
	if err != nil {
		return fmt.Errorf("image service: %w", err)
	}
	return nil
}

// await returns when something accepts connections on the socket.
func await(socket string, most time.Duration) error {
	deadline := time.Now().Add(most)
	for {
		connection, err := net.DialTimeout("unix", socket, time.Second)
		if err == nil {
			return connection.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no container runtime after %s: %w", most, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// openFiles is the limit of open files that this process may have; upstream's default of a million is refused
// without privileges.
func openFiles() int64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int64(min(limit.Max, 1_000_000))
}
