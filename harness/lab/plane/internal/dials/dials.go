// Package dials holds the figures that a node is told to believe instead of what is really used, so that memory,
// disk and process pressure can be staged without exhausting the machine. They are read from one JSON file which
// may change, appear and vanish at any time.
package dials

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/resource"
)

// The keys of the file which stand for the node's own figures: the kubelet's eviction signals.
const (
	MemoryAvailable  = "memory.available"
	NodefsAvailable  = "nodefs.available"
	NodefsInodesFree = "nodefs.inodesFree"
	ImagefsAvailable = "imagefs.available"
	PIDAvailable     = "pid.available"
	podsKey          = "pods"
	workingSetKey    = "memory.workingset"
	diskUsedKey      = "disk.used"
)

var signals = []string{MemoryAvailable, NodefsAvailable, NodefsInodesFree, ImagefsAvailable, PIDAvailable}

// Pod is what one pod is told to use; nil means what it really uses.
type Pod struct {
	MemoryWorkingSetBytes *uint64
	DiskUsedBytes         *uint64
}

// Figures is the content of the file at one moment. It is never changed after it was parsed.
type Figures struct {
	node map[string]uint64
	pods map[string]Pod
}

// Node is the dial of one eviction signal (bytes, inodes or processes that are free); false if it is not set.
func (f *Figures) Node(signal string) (uint64, bool) {
	value, ok := f.node[signal]
	return value, ok
}

// Pod is the dials of one pod; the zero Pod if there are none.
func (f *Figures) Pod(namespace, name string) Pod { return f.pods[namespace+"/"+name] }

// DialedDiskBytes is the sum of every pod's disk.used dial.
func (f *Figures) DialedDiskBytes() uint64 {
	var sum uint64
	for _, pod := range f.pods {
		if pod.DiskUsedBytes != nil {
			sum += *pod.DiskUsedBytes
		}
	}
	return sum
}

// Parse reads the file's content. Values are Kubernetes quantities ("200Mi", "1000"); unknown keys are errors.
func Parse(content []byte) (*Figures, error) {
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal(content, &raw); err != nil {
		return nil, err
	}
	figures := &Figures{node: map[string]uint64{}, pods: map[string]Pod{}}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		switch {
		case key == podsKey:
			pods := map[string]map[string]json.RawMessage{}
			if err := json.Unmarshal(raw[key], &pods); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			for name, values := range pods {
				pod, err := parsePod(values)
				if err != nil {
					return nil, fmt.Errorf("pods %s: %w", name, err)
				}
				if strings.Count(name, "/") != 1 {
					return nil, fmt.Errorf("pods %s: a pod is named NAMESPACE/NAME", name)
				}
				figures.pods[name] = pod
			}
		case slices.Contains(signals, key):
			value, err := parseQuantity(raw[key])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			figures.node[key] = value
		default:
			return nil, fmt.Errorf("unknown dial %q; there are %s and %s", key, strings.Join(signals, ", "), podsKey)
		}
	}
	return figures, nil
}

func parsePod(values map[string]json.RawMessage) (Pod, error) {
	pod := Pod{}
	for key, raw := range values {
		value, err := parseQuantity(raw)
		if err != nil {
			return pod, fmt.Errorf("%s: %w", key, err)
		}
		switch key {
		case workingSetKey:
			pod.MemoryWorkingSetBytes = &value
		case diskUsedKey:
			pod.DiskUsedBytes = &value
		default:
			return pod, fmt.Errorf("unknown dial %q; there are %s and %s", key, workingSetKey, diskUsedKey)
		}
	}
	return pod, nil
}

func parseQuantity(raw json.RawMessage) (uint64, error) {
	text := string(bytes.Trim(raw, `"`))
	quantity, err := resource.ParseQuantity(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no quantity such as 200Mi: %w", text, err)
	}
	if quantity.Sign() < 0 {
		return 0, fmt.Errorf("%q is negative", text)
	}
	return uint64(quantity.Value()), nil
}

// Reader gives the file's present content. It looks at the file on every call and parses it only when it changed.
// It is safe for concurrent use.
type Reader struct {
	path    string
	problem func(error)

	mu      sync.Mutex
	current *Figures
	seen    os.FileInfo
}

// NewReader reads from path. Problem is told once of each change that cannot be read; the last good figures stay.
func NewReader(path string, problem func(error)) *Reader {
	return &Reader{path: path, problem: problem, current: &Figures{}}
}

// Current is the figures as of now. A file that does not exist sets no dial.
func (r *Reader) Current() *Figures {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(r.path)
	if os.IsNotExist(err) {
		r.current, r.seen = &Figures{}, nil
		return r.current
	}
	if err != nil || (r.seen != nil && os.SameFile(info, r.seen) && info.ModTime().Equal(r.seen.ModTime()) && info.Size() == r.seen.Size()) {
		return r.current
	}
	r.seen = info
	content, err := os.ReadFile(r.path)
	if err == nil {
		var figures *Figures
		if figures, err = Parse(content); err == nil {
			r.current = figures
			return r.current
		}
	}
	r.problem(fmt.Errorf("dials file %s: %w (the figures before stay)", r.path, err))
	return r.current
}
