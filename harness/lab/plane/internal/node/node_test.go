package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/util/subpath"

	"taintlab.dev/plane/internal/nodespec"
)

func TestIDMap(t *testing.T) {
	m := parseIDMap("         0       1000          1\n    100000    1000000      65536\nbroken\n")
	for id, want := range map[int64]bool{0: true, 1: false, 2000: false, 100000: true, 165535: true, 165536: false} {
		if got := m.has(id); got != want {
			t.Errorf("has(%d) = %v, want %v", id, got, want)
		}
	}
	if !readIDMap(filepath.Join(t.TempDir(), "none")).has(65534) {
		t.Error("without user namespaces an id is missing")
	}
}

func TestVolumeType(t *testing.T) {
	for want, spec := range map[string]*volume.Spec{
		"nfs":     {Volume: &v1.Volume{VolumeSource: v1.VolumeSource{NFS: &v1.NFSVolumeSource{}}}},
		"csi":     {PersistentVolume: &v1.PersistentVolume{Spec: v1.PersistentVolumeSpec{PersistentVolumeSource: v1.PersistentVolumeSource{CSI: &v1.CSIPersistentVolumeSource{}}}}},
		"unknown": {},
	} {
		if got := volumeType(spec); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestEveryVolumeHasOnePlugin(t *testing.T) {
	plugins := volumePlugins(nil)
	for name, source := range map[string]v1.VolumeSource{
		"emptyDir": {EmptyDir: &v1.EmptyDirVolumeSource{}}, "configMap": {ConfigMap: &v1.ConfigMapVolumeSource{}},
		"secret": {Secret: &v1.SecretVolumeSource{}}, "projected": {Projected: &v1.ProjectedVolumeSource{}},
		"downwardAPI": {DownwardAPI: &v1.DownwardAPIVolumeSource{}}, "hostPath": {HostPath: &v1.HostPathVolumeSource{}},
		"nfs": {NFS: &v1.NFSVolumeSource{}}, "csi": {CSI: &v1.CSIVolumeSource{}}, "image": {Image: &v1.ImageVolumeSource{}},
	} {
		spec := volume.NewSpecFromVolume(&v1.Volume{Name: "v", VolumeSource: source})
		var takers []string
		for _, plugin := range plugins {
			if plugin.CanSupport(spec) {
				takers = append(takers, plugin.GetPluginName())
			}
		}
		isSupported := strings.Contains(supported, name)
		if len(takers) != 1 || strings.HasPrefix(takers[0], "taintlab.dev/") == isSupported {
			t.Errorf("%s is taken by %v", name, takers)
		}
	}
}

func TestReservation(t *testing.T) {
	node := &nodespec.Node{Capacity: map[string]string{"memory": "16Gi", "ephemeral-storage": "100Gi"}}
	thresholds, err := eviction.ParseThresholdConfig(nil, map[string]string{"memory.available": "1Gi", "nodefs.available": "10%", "pid.available": "5"}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	reserved := reservation(node, thresholds)
	memory, disk := reserved[v1.ResourceMemory], reserved[v1.ResourceEphemeralStorage]
	if len(reserved) != 2 || memory.Value() != 1<<30 || disk.Value()>>20 != 10<<10 {
		t.Errorf("reserved %v", reserved)
	}
}

func TestSubpath(t *testing.T) {
	pod := t.TempDir()
	vol := filepath.Join(pod, "vol")
	for _, step := range []error{
		os.MkdirAll(filepath.Join(vol, "dir"), 0o755),
		os.WriteFile(filepath.Join(vol, "file"), nil, 0o600),
		os.Symlink("dir", filepath.Join(vol, "inside")),
		os.Symlink(pod, filepath.Join(vol, "outside")),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	for name, want := range map[string]string{"dir": "dir", "file": "file", "inside": "dir", ".": ".", "outside": "", "missing": ""} {
		got, _, err := subpather{}.PrepareSafeSubpath(subpath.Subpath{VolumePath: vol, Path: filepath.Join(vol, name)})
		if want == "" {
			if err == nil {
				t.Errorf("%s accepted as %s", name, got)
			}
		} else if err != nil || got != filepath.Join(vol, want) {
			t.Errorf("%s gave %s, %v", name, got, err)
		}
	}
	if err := (subpather{}).SafeMakeDir(filepath.Join(vol, "a", "b"), vol, 0o750); err != nil {
		t.Error(err)
	}
	if err := (subpather{}).SafeMakeDir(filepath.Join(vol, "outside", "b"), vol, 0o750); err == nil {
		t.Error("a directory was made outside of the volume")
	}
}

func TestLoadavgHasOneLength(t *testing.T) {
	if a, b := loadavg(0), loadavg(maxProcesses); len(a) != len(b) || !strings.Contains(string(b), "1/0000032768 ") {
		t.Errorf("%q and %q", a, b)
	}
}

func TestLegacyLogs(t *testing.T) {
	for path, want := range map[string]bool{"/var/log/containers": true, "/var/log/containers/x.log": true, "/var/log/containers-of-mine": false, "/lab/logs/x": false} {
		if got := isLegacy(path); got != want {
			t.Errorf("isLegacy(%s) = %v", path, got)
		}
	}
}
