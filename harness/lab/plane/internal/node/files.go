package node

import (
	"os"
	"path/filepath"
	"strings"

	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
)

// legacyLogs is where the kubelet, whatever its configuration, leaves links to containers' logs for old log
// collectors. It is the machine's, not the node's.
const legacyLogs = "/var/log/containers"

// files is the file system as the kubelet's own work with it goes, without the machine's log folder.
type files struct{ kubecontainer.RealOS }

func isLegacy(path string) bool {
	path = filepath.Clean(path)
	return path == legacyLogs || strings.HasPrefix(path, legacyLogs+"/")
}

// MkdirAll implements OSInterface.
func (f files) MkdirAll(path string, perm os.FileMode) error {
	if isLegacy(path) {
		return nil
	}
	return f.RealOS.MkdirAll(path, perm)
}

// Symlink implements OSInterface.
func (f files) Symlink(target, path string) error {
	if isLegacy(path) {
		return nil
	}
	return f.RealOS.Symlink(target, path)
}

// Remove implements OSInterface.
func (f files) Remove(path string) error {
	if isLegacy(path) {
		return nil
	}
	return f.RealOS.Remove(path)
}

// Glob implements OSInterface.
func (f files) Glob(pattern string) ([]string, error) {
	if isLegacy(pattern) {
		return nil, nil
	}
	return f.RealOS.Glob(pattern)
}
