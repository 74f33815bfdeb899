package runtime

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// sandbox is what the containers of a pod share: the network namespace, the name and the resolver's configuration.
type sandbox struct {
	id      string
	config  *runtimeapi.PodSandboxConfig
	created time.Time
	// hostNetwork pods have no address and no namespace of their own.
	hostNetwork bool
	address     netip.Addr
	// folder holds resolv.conf.
	folder string

	mu sync.Mutex
	// namespace is nil once the sandbox is stopped.
	namespace *os.File
	ready     bool
}

func (s *sandbox) resolvConf() string { return filepath.Join(s.folder, "resolv.conf") }

// network is the namespace that the pod's programs run in; the error says that there is none any more.
func (s *sandbox) network(lab *os.File) (*os.File, error) {
	if s.hostNetwork {
		return lab, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.namespace == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "sandbox %s is stopped", s.id)
	}
	return s.namespace, nil
}

func (s *sandbox) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

func (s *sandbox) state() runtimeapi.PodSandboxState {
	if s.isReady() {
		return runtimeapi.PodSandboxState_SANDBOX_READY
	}
	return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
}

func (s *sandbox) namespaces() *runtimeapi.NamespaceOption {
	return s.config.GetLinux().GetSecurityContext().GetNamespaceOptions()
}

// RunPodSandbox implements the CRI: the pod has its address when it returns.
func (r *Runtime) RunPodSandbox(_ context.Context, request *runtimeapi.RunPodSandboxRequest) (*runtimeapi.RunPodSandboxResponse, error) {
	if handler := request.GetRuntimeHandler(); handler != "" {
		return nil, status.Errorf(codes.InvalidArgument, "runtime class handler %q: the lab has one container runtime and no classes of it", handler)
	}
	s := &sandbox{id: newID(), config: request.GetConfig(), created: time.Now(), ready: true}
	s.folder = filepath.Join(r.node.LayersDir(), "pod-"+s.id)
	s.hostNetwork = s.namespaces().GetNetwork() == runtimeapi.NamespaceMode_NODE
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return nil, err
	}
	if directory := s.config.GetLogDirectory(); directory != "" {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(s.resolvConf(), resolvConf(s.config.GetDnsConfig()), 0o644); err != nil {
		return nil, err
	}
	if !s.hostNetwork {
		var err error
		if s.address, err = r.addresses.Take(); err != nil {
			return nil, errors.Join(err, os.RemoveAll(s.folder))
		}
		if s.namespace, err = r.network.Pod(s.address); err != nil {
			r.addresses.Return(s.address)
			return nil, errors.Join(fmt.Errorf("network of the pod: %w", err), os.RemoveAll(s.folder))
		}
	}
	r.mu.Lock()
	r.sandboxes[s.id] = s
	r.mu.Unlock()
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: s.id}, nil
}

// resolvConf is the content of /etc/resolv.conf for a pod.
func resolvConf(dns *runtimeapi.DNSConfig) []byte {
	var text strings.Builder
	for _, server := range dns.GetServers() {
		fmt.Fprintf(&text, "nameserver %s\n", server)
	}
	if searches := dns.GetSearches(); len(searches) > 0 {
		fmt.Fprintf(&text, "search %s\n", strings.Join(searches, " "))
	}
	if options := dns.GetOptions(); len(options) > 0 {
		fmt.Fprintf(&text, "options %s\n", strings.Join(options, " "))
	}
	return []byte(text.String())
}

// StopPodSandbox implements the CRI: containers that still run are killed, and the pod's network is gone. It may be
// called again.
func (r *Runtime) StopPodSandbox(ctx context.Context, request *runtimeapi.StopPodSandboxRequest) (*runtimeapi.StopPodSandboxResponse, error) {
	s, err := r.sandbox(request.GetPodSandboxId())
	if status.Code(err) == codes.NotFound {
		return &runtimeapi.StopPodSandboxResponse{}, nil
	}
	for _, c := range r.containersOf(s.id) {
		if err := c.stop(ctx, 0); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = false
	if s.namespace == nil {
		return &runtimeapi.StopPodSandboxResponse{}, nil
	}
	err = errors.Join(r.network.Release(s.address), s.namespace.Close())
	s.namespace = nil
	r.addresses.Return(s.address)
	return &runtimeapi.StopPodSandboxResponse{}, err
}

// RemovePodSandbox implements the CRI; it may be called again.
func (r *Runtime) RemovePodSandbox(ctx context.Context, request *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	id := request.GetPodSandboxId()
	if _, err := r.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		return nil, err
	}
	for _, c := range r.containersOf(id) {
		if err := r.remove(ctx, c); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	s := r.sandboxes[id]
	delete(r.sandboxes, id)
	r.mu.Unlock()
	if s != nil {
		if err := os.RemoveAll(s.folder); err != nil {
			return nil, err
		}
	}
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}

// PodSandboxStatus implements the CRI.
func (r *Runtime) PodSandboxStatus(_ context.Context, request *runtimeapi.PodSandboxStatusRequest) (*runtimeapi.PodSandboxStatusResponse, error) {
	s, err := r.sandbox(request.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	result := &runtimeapi.PodSandboxStatus{
		Id: s.id, Metadata: s.config.GetMetadata(), State: s.state(), CreatedAt: s.created.UnixNano(),
		Labels: s.config.GetLabels(), Annotations: s.config.GetAnnotations(),
		Network: &runtimeapi.PodSandboxNetworkStatus{},
		Linux:   &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{Options: s.namespaces()}},
	}
	if s.isReady() && !s.hostNetwork {
		result.Network.Ip = s.address.String()
	}
	return &runtimeapi.PodSandboxStatusResponse{Status: result}, nil
}

// ListPodSandbox implements the CRI.
func (r *Runtime) ListPodSandbox(_ context.Context, request *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	filter := request.GetFilter()
	r.mu.Lock()
	all := make([]*sandbox, 0, len(r.sandboxes))
	for _, s := range r.sandboxes {
		all = append(all, s)
	}
	r.mu.Unlock()
	response := &runtimeapi.ListPodSandboxResponse{}
	for _, s := range all {
		state := s.state()
		if filter.GetId() != "" && filter.GetId() != s.id || filter.GetState() != nil && filter.GetState().GetState() != state || !matches(filter.GetLabelSelector(), s.config.GetLabels()) {
			continue
		}
		response.Items = append(response.Items, &runtimeapi.PodSandbox{
			Id: s.id, Metadata: s.config.GetMetadata(), State: state, CreatedAt: s.created.UnixNano(),
			Labels: s.config.GetLabels(), Annotations: s.config.GetAnnotations(),
		})
	}
	return response, nil
}

// matches tells whether labels have every pair of a selector.
func matches(selector, labels map[string]string) bool {
	for key, value := range selector {
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// UpdatePodSandboxResources implements the CRI; nothing is enforced, so there is nothing to update.
func (r *Runtime) UpdatePodSandboxResources(context.Context, *runtimeapi.UpdatePodSandboxResourcesRequest) (*runtimeapi.UpdatePodSandboxResourcesResponse, error) {
	return &runtimeapi.UpdatePodSandboxResourcesResponse{}, nil
}
