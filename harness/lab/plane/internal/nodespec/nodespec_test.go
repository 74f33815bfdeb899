package nodespec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func valid() map[string]any {
	return map[string]any{
		"name": "spot-1", "index": 3, "node_ip": "172.30.0.13", "pod_cidr": "10.244.3.0/24", "root": "/lab/spot-1",
		"kubeconfig": "/lab/k", "runtime_socket": "/lab/rt.sock", "client_ca_file": "/lab/ca.crt", "programs": "/lab/programs.json",
		"capacity": map[string]string{"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi", "nvidia.com/gpu": "4"},
	}
}

func read(t *testing.T, content any) (*Node, error) {
	t.Helper()
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "node.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return Read(path)
}

func TestRead(t *testing.T) {
	node, err := read(t, valid())
	if err != nil {
		t.Fatal(err)
	}
	gpus, none := node.Quantity("nvidia.com/gpu"), node.Quantity("example.com/none")
	if gpus.Value() != 4 || none.Value() != 0 || node.DialsFile() != "/lab/spot-1/dials.json" {
		t.Errorf("gpus %v, none %v, dials %s", gpus, none, node.DialsFile())
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		id, key string
		value   any
		problem string
	}{
		{"unknown key", "colour", "red", "unknown field"},
		{"no name", "name", "", "name is empty"},
		{"index", "index", 0, "index is 0"},
		{"address", "node_ip", "here", "node_ip"},
		{"range", "pod_cidr", "10.244.3.0", "pod_cidr"},
		{"relative path", "root", "lab", "root is \"lab\""},
		{"long socket", "runtime_socket", "/" + strings.Repeat("x", 107), "at most 107"},
		{"long root", "root", "/" + strings.Repeat("x", 74), "leave room for 74"},
		{"no quantity", "capacity", map[string]string{"cpu": "much", "memory": "1", "pods": "1", "ephemeral-storage": "1"}, "capacity cpu"},
		{"parts of a core", "capacity", map[string]string{"cpu": "500m", "memory": "1", "pods": "1", "ephemeral-storage": "1"}, "whole cores"},
		{"missing capacity", "capacity", map[string]string{"cpu": "1"}, "capacity has no memory"},
	} {
		t.Run(c.id, func(t *testing.T) {
			content := valid()
			content[c.key] = c.value
			if _, err := read(t, content); err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("error %v, want one with %q", err, c.problem)
			}
		})
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	_, err := read(t, map[string]any{})
	for _, part := range []string{"name is empty", "index is 0", "node_ip", "programs", "capacity has no pods"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v has no %q", err, part)
		}
	}
}
