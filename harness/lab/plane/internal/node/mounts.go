package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/kubernetes/pkg/volume/util/subpath"
	"k8s.io/mount-utils"
)

// mounter mounts nothing on the machine: a volume is a directory of the node's folder, which the container runtime
// binds into containers. A memory file system (secrets, emptyDir with medium Memory) is a directory on disk too, and
// its size limit is kept by the kubelet's eviction manager, not by the kernel. So volumes outlive both processes of
// a node, and neither of them needs the other's mount namespace.
type mounter struct{}

var _ mount.Interface = mounter{}

// Mount implements mount.Interface.
func (mounter) Mount(source, target, fstype string, _ []string) error {
	if fstype != "tmpfs" {
		return fmt.Errorf("mount %s at %s: the lab mounts no %q file systems", source, target, fstype)
	}
	return os.MkdirAll(target, 0o777)
}

// MountSensitive implements mount.Interface.
func (m mounter) MountSensitive(source, target, fstype string, options, _ []string) error {
	return m.Mount(source, target, fstype, options)
}

// MountSensitiveWithoutSystemd implements mount.Interface.
func (m mounter) MountSensitiveWithoutSystemd(source, target, fstype string, options, _ []string) error {
	return m.Mount(source, target, fstype, options)
}

// MountSensitiveWithoutSystemdWithMountFlags implements mount.Interface.
func (m mounter) MountSensitiveWithoutSystemdWithMountFlags(source, target, fstype string, options, _, _ []string) error {
	return m.Mount(source, target, fstype, options)
}

// Unmount implements mount.Interface.
func (mounter) Unmount(string) error { return nil }

// List implements mount.Interface.
func (mounter) List() ([]mount.MountPoint, error) { return nil, nil }

// IsLikelyNotMountPoint implements mount.Interface.
func (mounter) IsLikelyNotMountPoint(file string) (bool, error) {
	if _, err := os.Stat(file); err != nil {
		return true, err
	}
	return true, nil
}

// IsMountPoint implements mount.Interface.
func (mounter) IsMountPoint(file string) (bool, error) {
	_, err := os.Stat(file)
	return false, err
}

// CanSafelySkipMountPointCheck implements mount.Interface.
func (mounter) CanSafelySkipMountPointCheck() bool { return true }

// GetMountRefs implements mount.Interface.
func (mounter) GetMountRefs(string) ([]string, error) { return nil, nil }

// subpather gives a container a part of a volume: the path itself, once it is sure to lie in the volume.
type subpather struct{}

var _ subpath.Interface = subpather{}

// PrepareSafeSubpath implements subpath.Interface: links are followed now, so that the container keeps what the path
// meant when it started.
func (subpather) PrepareSafeSubpath(path subpath.Subpath) (string, func(), error) {
	volume, err := filepath.EvalSymlinks(path.VolumePath)
	if err != nil {
		return "", nil, err
	}
	target, err := filepath.EvalSymlinks(path.Path)
	if err != nil {
		return "", nil, err
	}
	if target != volume && !strings.HasPrefix(target, volume+"/") {
		return "", nil, fmt.Errorf("subpath %s leads out of its volume", path.Path)
	}
	return target, nil, nil
}

// CleanSubPaths implements subpath.Interface; nothing was mounted.
func (subpather) CleanSubPaths(string, string) error { return nil }

// SafeMakeDir implements subpath.Interface: no link in the volume can lead out of it.
func (subpather) SafeMakeDir(path, base string, perm os.FileMode) error {
	relative, err := filepath.Rel(base, path)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return err
	}
	return errors.Join(root.MkdirAll(relative, perm), root.Close())
}
