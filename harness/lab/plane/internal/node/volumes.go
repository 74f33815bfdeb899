package node

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/configmap"
	"k8s.io/kubernetes/pkg/volume/downwardapi"
	"k8s.io/kubernetes/pkg/volume/emptydir"
	"k8s.io/kubernetes/pkg/volume/hostpath"
	"k8s.io/kubernetes/pkg/volume/projected"
	"k8s.io/kubernetes/pkg/volume/secret"
)

// supported names what a pod can mount, for messages.
const supported = "configMap, downwardAPI, emptyDir, hostPath, projected and secret"

// volumePlugins are upstream's plugins for volumes that need no file system of their own, and one of ours which says
// so for all others.
func volumePlugins(recorder record.EventRecorder) []volume.VolumePlugin {
	var plugins []volume.VolumePlugin
	for _, probed := range [][]volume.VolumePlugin{
		emptydir.ProbeVolumePlugins(), secret.ProbeVolumePlugins(), downwardapi.ProbeVolumePlugins(), configmap.ProbeVolumePlugins(),
		projected.ProbeVolumePlugins(), hostpath.ProbeVolumePlugins(volume.VolumeConfig{}),
	} {
		plugins = append(plugins, probed...)
	}
	users, groups := readIDMap("/proc/self/uid_map"), readIDMap("/proc/self/gid_map")
	list := []volume.VolumePlugin{&unsupported{others: plugins}}
	for _, plugin := range plugins {
		list = append(list, &owned{VolumePlugin: plugin, users: users, groups: groups, recorder: recorder})
	}
	return list
}

// unsupported takes every volume that no other plugin takes, and refuses to mount it: the pod gets a FailedMount
// event at once which says why, instead of a timeout.
type unsupported struct{ others []volume.VolumePlugin }

func (*unsupported) Init(volume.VolumeHost) error { return nil }
func (*unsupported) GetPluginName() string        { return "taintlab.dev/unsupported-volume" }
func (*unsupported) GetVolumeName(spec *volume.Spec) (string, error) {
	return spec.Name(), nil
}

func (u *unsupported) CanSupport(spec *volume.Spec) bool {
	for _, other := range u.others {
		if other.CanSupport(spec) {
			return false
		}
	}
	return true
}
func (*unsupported) RequiresRemount(*volume.Spec) bool { return false }
func (*unsupported) SupportsMountOption() bool         { return true }
func (*unsupported) SupportsSELinuxContextMount(*volume.Spec) (bool, error) {
	return false, nil
}

func (*unsupported) NewMounter(spec *volume.Spec, _ *v1.Pod) (volume.Mounter, error) {
	return nil, fmt.Errorf("volumes of type %s are not supported by the lab; %s are", volumeType(spec), supported)
}

func (*unsupported) NewUnmounter(name string, _ types.UID) (volume.Unmounter, error) {
	return nil, fmt.Errorf("volume %s was never mounted", name)
}

func (*unsupported) ConstructVolumeSpec(name, _ string) (volume.ReconstructedVolume, error) {
	return volume.ReconstructedVolume{}, fmt.Errorf("volume %s was never mounted", name)
}

// volumeType is the name of the one source that is set: "nfs", "csi".
func volumeType(spec *volume.Spec) string {
	var source any
	switch {
	case spec.Volume != nil:
		source = spec.Volume.VolumeSource
	case spec.PersistentVolume != nil:
		source = spec.PersistentVolume.Spec.PersistentVolumeSource
	default:
		return "unknown"
	}
	value := reflect.ValueOf(source)
	for i := range value.NumField() {
		if field := value.Field(i); field.Kind() == reflect.Pointer && !field.IsNil() {
			name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
			return name
		}
	}
	return "unknown"
}

// owned leaves out changes of ownership that a user namespace cannot make: without root, files can belong to the
// lab's user only, whom all programs run as. Upstream would fail the mount.
type owned struct {
	volume.VolumePlugin
	users, groups idMap
	recorder      record.EventRecorder
}

// NewMounter implements volume.VolumePlugin.
func (o *owned) NewMounter(spec *volume.Spec, pod *v1.Pod) (volume.Mounter, error) {
	inner, err := o.VolumePlugin.NewMounter(spec, pod)
	if err != nil {
		return nil, err
	}
	return &ownedMounter{Mounter: inner, plugin: o}, nil
}

type ownedMounter struct {
	volume.Mounter
	plugin *owned
}

// SetUp implements volume.Mounter.
func (m *ownedMounter) SetUp(args volume.MounterArgs) error { return m.Mounter.SetUp(m.possible(args)) }

// SetUpAt implements volume.Mounter.
func (m *ownedMounter) SetUpAt(dir string, args volume.MounterArgs) error {
	return m.Mounter.SetUpAt(dir, m.possible(args))
}

func (m *ownedMounter) possible(args volume.MounterArgs) volume.MounterArgs {
	if args.FsGroup != nil && !m.plugin.groups.has(*args.FsGroup) {
		args.FsGroup = nil
	}
	if args.FsUser != nil && !m.plugin.users.has(*args.FsUser) {
		args.FsUser = nil
	}
	return args
}

// idMap is the ids that exist in this user namespace: ranges of a first id and a length.
type idMap [][2]int64

func (m idMap) has(id int64) bool {
	for _, r := range m {
		if id >= r[0] && id < r[0]+r[1] {
			return true
		}
	}
	return false
}

func readIDMap(path string) idMap {
	content, err := os.ReadFile(path)
	if err != nil {
		// A kernel without user namespaces has all ids.
		return idMap{{0, 1 << 32}}
	}
	return parseIDMap(string(content))
}

// parseIDMap reads uid_map(5): a line of first id inside, first id outside, length for each range.
func parseIDMap(content string) idMap {
	var m idMap
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		first, err1 := strconv.ParseInt(fields[0], 10, 64)
		length, err2 := strconv.ParseInt(fields[2], 10, 64)
		if err1 == nil && err2 == nil {
			m = append(m, [2]int64{first, length})
		}
	}
	return m
}
